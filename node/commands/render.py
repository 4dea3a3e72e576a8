"""Write an exam's result objects and their pictures to a folder, without any network."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydicom import dcmread

from ai.exam import Exam
from ai.findings import Reading
from node import console, dicom_files, holdings, rendering
from node.commands.show import find
from node.config import Config
from node.console import ConfigOption, ExitCode, JsonOption
from node.errors import ConfigError, NodeError, NotFound, ReadingFailed
from node.reader import Reader
from node.rendering import Material, Rendered


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("render")(render)


def render(
    *,
    what: Annotated[
        list[str],
        typer.Argument(
            help="A Study Instance UID of the node's data (or a part that only one has), a reading's JSON file as "
            "read --out or read --json writes it (with --images), or DICOM files and folders, which are read first.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder; each study gets one of its own below it.")],
    result: Annotated[
        list[str] | None, typer.Option("--result", help="Only this kind of result object; may be repeated.")
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option("--images", help="Files or folders with the images of a saved reading."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write every configured result object of an exam, and a PNG of each that has pixels, without any network.

    For a site's own acceptance test. A study of the node's gives the files that it sends, byte for byte; read anew,
    the same exam gives other bytes (times) under the same UIDs, so those files are to be looked at and not sent.
    Ends with 1 when an object could not be made.
    """
    settings = rendering.with_results(console.configuration(config), result or [])
    made: list[Rendered] = []
    for material in _materials(settings, what, images or []):
        made += rendering.render(settings, material, out)
    if json:
        console.print_json(made)
    else:
        _show(made)
    if any(each.error for each in made) or not made:
        console.end(ExitCode.WRONG)


def _materials(config: Config, what: Sequence[str], images: Sequence[Path]) -> Iterator[Material]:
    if len(what) == 1 and what[0].endswith(".json"):
        yield from _saved(Path(what[0]), images)
    elif any(Path(each).exists() for each in what):
        yield from _read(config, [Path(each) for each in what])
    elif len(what) == 1:
        yield _held(config, what[0])
    else:
        raise ConfigError(f"{', '.join(what)}: there are no such files, and of studies one at a time is rendered")


def _held(config: Config, study: str) -> Material:
    """The reading of a study among the node's data."""
    try:
        with holdings.opened(config) as held:
            return rendering.held(config, held, find(held, study))
    except NotFound as error:
        raise NotFound(f"{study} is no file or folder here, and no study of the node's: {error}") from error


def _saved(file: Path, images: Sequence[Path]) -> Iterator[Material]:
    if not images:
        raise ConfigError("--images: a saved reading needs the images it was made of; name their folder")
    found = dicom_files.find(images).files
    for reading in readings(file):
        yield rendering.saved(reading, found)


def readings(file: Path) -> list[Reading]:
    """The readings in a JSON file: one alone, what `show --json` writes, or the list that `read --json` writes.

    Raises ConfigError when it holds none, or something else.
    """
    try:
        content = jsons.loads(file.read_text(encoding="utf-8"))
        found = [_inner(each) for each in (content if isinstance(content, list) else [content])]
        made = [Reading.from_json(jsons.dumps(each)) for each in found if each is not None]
    except (OSError, UnicodeDecodeError, jsons.JSONDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise ConfigError(f"{file}: not a reading: {where}") from error
    if not made:
        raise ConfigError(f"{file}: it holds no reading")
    return made


def _inner(content: Any) -> Any:
    return content["reading"] if isinstance(content, dict) and "reading" in content else content


def _read(config: Config, paths: Sequence[Path]) -> Iterator[Material]:
    """Every study among the files, read with the configured models."""
    studies = dicom_files.find(paths).by_study()
    reader = Reader(config.reading)
    reader.start()
    try:
        for files in studies.values():
            exam = Exam.from_datasets(dcmread(file.path, stop_before_pixels=True) for file in files)
            outcome = reader.read(exam, {file.sop_instance_uid: file.path for file in files}, 1)
            yield rendering.fresh(outcome.reading, files, outcome.previews)
    except (ReadingFailed, ValueError) as error:
        raise NodeError(f"study {files[0].study_instance_uid}: {error}") from error
    finally:
        reader.stop()


def _show(made: Sequence[Rendered]) -> None:
    for study, group in groupby(made, key=lambda each: each.study_instance_uid):
        rendered = list(group)
        folder = next((Path(each.file).parent for each in rendered if each.file), None)
        console.say(f"study {study}" + (f" in {folder}" if folder else ""), style="bold")
        table = console.table("result", "part", "size", "file", "picture", "options", right=("size",))
        console.out().print(console.rows(table, [_row(each) for each in rendered]))


def _row(each: Rendered) -> tuple[object, ...]:
    options = ", ".join(f"{key} {_value(value)}" for key, value in each.options.items())
    if each.error:
        return each.kind, each.part, "", f"NOT MADE: {each.error}", "", options
    return each.kind, each.part, console.size(each.size_bytes), Path(each.file).name, Path(each.picture).name, options


def _value(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)
