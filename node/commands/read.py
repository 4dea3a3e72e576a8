"""Read exams from DICOM files, without any network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.exam import Exam
from ai.findings import Category, Reading
from node import console, dicom_files
from node.config import Config, config_from
from node.console import ConfigOption, ExitCode, JsonOption
from node.dicom_files import DicomFile
from node.errors import ReadingFailed
from node.priors import earlier_exams
from node.reader import Reader
from node.readings import reading_lines, told
from node.settings import ReadingSettings


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("read")(read)


@dataclass(frozen=True, slots=True)
class Answer:
    """One study's reading, or why there is none."""

    study_instance_uid: str
    reading: Reading | None
    error: str = ""

    @property
    def read(self) -> bool:
        """Whether the exam was read."""
        return self.reading is not None and self.reading.category is not Category.NOT_READ


def read(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders with everything below them.")],
    config: ConfigOption = None,
    bundle: Annotated[
        list[str] | None,
        typer.Option("--bundle", help="Model bundle instead of the configuration's: a shipped one's name, or a path."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the readings, <Study Instance UID>.json each, as render takes them."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read exams from DICOM files, without any network: each study is one exam.

    A strategy that looks at priors finds a woman's earlier exams among the files that are given.

    Ends with 1 when any exam was not read, 2 when there is no DICOM file or the models cannot serve.
    """
    settings = _reading(console.configuration(config), bundle or [])
    studies = dicom_files.find(paths).by_study()
    answers = []
    with console.progress() as progress:
        task = progress.add_task("loading the models", total=len(studies))
        for answer in _answers(settings, list(studies.values())):
            answers.append(answer)
            progress.update(task, advance=1, description="reading")
            if out is not None and answer.reading is not None:
                _save(answer.reading, out)
    if json:
        console.print_json([_told(answer) for answer in answers])
    else:
        _show(answers)
    if not all(answer.read for answer in answers):
        console.end(ExitCode.WRONG)


def _reading(config: Config, bundles: Sequence[str]) -> ReadingSettings:
    if not bundles:
        return config.reading
    chosen = config.reading.model_dump(mode="json") | {"bundles": list(bundles)}
    return config_from({"reading": chosen}, Path.cwd()).reading


def _answers(settings: ReadingSettings, studies: Sequence[Sequence[DicomFile]]) -> Iterator[Answer]:
    reader = Reader(settings)
    reader.start()
    given = studies if reader.priors else ()
    with ThreadPoolExecutor(reader.room, thread_name_prefix="read") as pool:
        try:
            yield from pool.map(lambda files: _answer(reader, files, given), studies)
        finally:
            reader.stop()
            pool.shutdown(cancel_futures=True)


def _answer(reader: Reader, files: Sequence[DicomFile], studies: Sequence[Sequence[DicomFile]]) -> Answer:
    """studies: among which a strategy that looks at them finds the woman's earlier exams."""
    study = files[0].study_instance_uid
    try:
        headers = _headers(files)
        priors = [] if not studies else earlier_exams(headers, map(_headers, studies))[: reader.priors]
        exam = Exam.from_datasets(headers, map(Exam.from_datasets, priors))
        needed = {view.sop_instance_uid for each in (exam, *exam.priors) for view in each.views}
        paths = {f.sop_instance_uid: f.path for each in (*studies, files) for f in each if f.sop_instance_uid in needed}
        outcome = reader.read(exam, paths, 1)
    except (ReadingFailed, ValueError) as error:
        return Answer(study, None, str(error))
    return Answer(study, outcome.reading)


def _headers(files: Sequence[DicomFile]) -> list[Dataset]:
    return [dcmread(file.path, stop_before_pixels=True) for file in files]


def _save(reading: Reading, out: Path) -> None:
    """The whole reading, heat maps included."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{reading.study_instance_uid}.json").write_text(reading.to_json() + "\n", encoding="utf-8")


def _told(answer: Answer) -> dict[str, object]:
    content = told(answer.reading) if answer.reading is not None else None
    return {
        "study_instance_uid": answer.study_instance_uid,
        "read": answer.read,
        "error": answer.error,
        "reading": content,
    }


def _show(answers: Sequence[Answer]) -> None:
    for answer in answers:
        console.say(f"study {answer.study_instance_uid}", style="bold")
        if answer.reading is None:
            console.say(f"NOT READ: {answer.error}", style="bold yellow")
            continue
        for line in reading_lines(answer.reading):
            console.say(f"  {line}", style="" if answer.read else "bold yellow")
