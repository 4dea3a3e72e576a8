"""Judge DICOM result files with the validators that are installed, and name those that are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node import console, dicom_files, judges
from node.console import ExitCode, JsonOption
from node.dicom_files import DicomFile
from node.judges import Judge, Judged, Outcome, Verdict

_STYLES = {Outcome.PASS: "green", Outcome.SHORT: "bold red", Outcome.BROKEN: "bold yellow"}
_SHOWN = 3  # faults of one verdict; --json has all
_AT_ONCE = 2  # the slowest of them takes seconds of one core and half a gigabyte


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("judge")(judge)


def judge(
    *,
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders with everything below them.")],
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images", help="Files or folders with the mammograms the results are of: our own rules need them."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge DICOM result files with the validators that are installed (dciodvfy, dcentvfy, DicomSRValidator, dsrdump,
    dcmpschk) and, with --images, by our own rules.

    Ends with 1 when a file falls short or a judge did not finish, 2 when nothing could judge.
    """
    found = dicom_files.find(paths).files
    sources = dicom_files.find(images).files if images else ()
    present = [each for each in judges.OUTSIDE if not each.missing]
    absent = [each for each in judges.OUTSIDE if each.missing]
    verdicts = list(_verdicts(found, sources, present))
    advice = judges.install(absent)
    if json:
        missing = [{"judge": each.name, "packages": each.missing} for each in absent]
        console.print_json({"verdicts": verdicts, "missing": missing, "install": advice})
    else:
        _show(verdicts, [each.name for each in absent], advice, own=bool(images))
    unjudged = {str(file.path) for file in found} - {verdict.file for verdict in verdicts}
    if not verdicts or unjudged:
        console.end(ExitCode.REFUSED, f"nothing could judge {len(unjudged)} of {len(found)} files")
    if any(verdict.outcome is not Outcome.PASS for verdict in verdicts):
        console.end(ExitCode.WRONG)


def _verdicts(files: Sequence[DicomFile], sources: Sequence[DicomFile], present: Sequence[Judge]) -> Iterator[Verdict]:
    headers = judges.images_of([file.path for file in sources])

    def of_file(file: DicomFile) -> list[Verdict]:
        return judges.of_file(Judged(file.path, file.sop_class_uid, file.study_instance_uid), present, headers)

    with ThreadPoolExecutor(_AT_ONCE) as pool, console.progress() as progress:
        task = progress.add_task("judging", total=len(files))
        for verdicts in pool.map(of_file, files):
            yield from verdicts
            progress.advance(task)
    for study, paths in _by_study([*files, *sources]).items():
        yield from judges.of_study(study, paths, present)


def _by_study(files: Sequence[DicomFile]) -> Mapping[str, list[Path]]:
    studies: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.path not in studies[file.study_instance_uid]:
            studies[file.study_instance_uid].append(file.path)
    return studies


def _show(verdicts: Sequence[Verdict], absent: Sequence[str], advice: str, *, own: bool) -> None:
    table = console.table("file or study", "judge", "verdict", "warnings", right=("warnings",))
    for each in verdicts:
        word = Text(str(each.outcome), style=_STYLES[each.outcome])
        console.rows(table, [(each.file, each.judge, word, len(each.warnings) or "")])
        console.rows(table, [("", "", Text(f"  {fault}", style="red"), "") for fault in each.faults[:_SHOWN]])
        if len(each.faults) > _SHOWN:
            console.rows(table, [("", "", f"  and {len(each.faults) - _SHOWN} more (--json)", "")])
    if verdicts:
        console.out().print(table)
    passed = sum(each.outcome is Outcome.PASS for each in verdicts)
    console.say(f"{passed} of {len(verdicts)} verdicts are a pass")
    if absent:
        console.say(f"not installed: {', '.join(absent)}; to install: {advice}", style="yellow")
    if not own:
        console.say("our own rules did not judge: name the mammograms with --images", style="yellow")
