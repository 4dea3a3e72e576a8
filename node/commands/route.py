"""Explain which routing rule takes an instance or a study, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from node import console, dicom_files, explained, holdings
from node.commands.show import find
from node.config import Config
from node.console import ConfigOption, JsonOption
from node.errors import ConfigError
from node.exams import header
from node.explained import Exam, Explained, PassedOver
from node.routing import Mismatch

_GROUP = typer.Typer(help="Explain which routing rule takes an instance or a study, and why.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="route")


@_GROUP.callback()
def _group() -> None:
    """Makes `explain` a command below this one."""


@_GROUP.command("explain")
def explain(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="DICOM files, or folders with files.")
    ] = None,
    study: Annotated[
        str, typer.Option("--study", help="A study that is held here: its UID, or a part that only it has.")
    ] = "",
    sender: Annotated[str, typer.Option("--from", metavar="AE_TITLE", help="With files: who would send them.")] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Say what the routing rules of the configuration make of files, or of a study that is held: nothing is done.

    A running node takes the rules of its configuration up at SIGHUP.
    """
    settings = console.configuration(config)
    if bool(files) == bool(study):
        raise ConfigError("name files, or a study with --study")
    instances = _of_study(settings, study) if study else _of_files(settings, files or [], sender)
    found = explained.explanation(settings, instances)
    if json:
        console.print_json(found)
        return
    for each in found.instances:
        _show(each)
    for exam in found.exams:
        console.say(_exam(exam))


def _of_files(settings: Config, paths: list[Path], sender: str) -> Iterator[Explained]:
    for file in dicom_files.find(paths).files:
        yield explained.explain(settings, header(file.path), sender, str(file.path))


def _of_study(settings: Config, part: str) -> list[Explained]:
    store = holdings.object_store(settings)
    with holdings.opened(settings) as held:
        uid = find(held, part).study_instance_uid
        return [
            explained.explain(settings, header(store.path(each.path)), each.calling_ae_title, each.path, each.rule)
            for each in held.index.instances(uid)
        ]


def _show(found: Explained) -> None:
    console.say(f"{found.source} from {found.calling_ae_title or 'nobody named (see --from)'}", style="bold")
    if found.number is None:
        console.say(f"  no rule takes it: refused with 0x{found.status:04X}")
    else:
        conditions = ", ".join(found.conditions) or "it has no conditions"
        console.say(f"  rule {found.number}, {found.rule}, takes it ({conditions}): {_fate(found)}")
    for each in found.passed_over:
        console.say(f"  rule {each.number}, {each.rule}, does not: {_because(each)}")
    if found.taken_by not in ("", found.rule):
        console.say(f"  when it came, rule {found.taken_by} took it")


def _fate(found: Explained) -> str:
    told = {
        "read": "kept, and its exam is read",
        "store": "kept only",
        "refuse": f"refused with 0x{found.status or 0:04X}",
    }
    forward = f"; forwarded to {', '.join(found.forward)}" if found.forward else ""
    return told[found.action] + forward


def _because(passed: PassedOver) -> str:
    return "; ".join(_mismatch(each) for each in passed.because)


def _mismatch(each: Mismatch) -> str:
    have = " or ".join(f"'{value}'" for value in each.found if value) or "absent or empty"
    return f"{each.condition} is {have}, and not {' or '.join(each.wanted)}"


def _exam(exam: Exam) -> str:
    how = f"as {exam.reading}" if exam.reading else "as usual"
    where = ", ".join(exam.destinations) or "nowhere: it would be held for a person"
    return f"exam {exam.study_instance_uid}: read {how}; results to {where}"
