"""List the exams, or why some were not read."""

from __future__ import annotations

from typing import Annotated

import typer

from ai.findings import Category
from ai.reasons import ReasonCode
from node import console, holdings, overview
from node.console import ConfigOption, JsonOption
from node.overview import ExamLine
from storage.records import StudyState


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("exams")(exams)


def exams(
    config: ConfigOption = None,
    json: JsonOption = False,
    state: Annotated[
        list[StudyState] | None, typer.Option("--state", help="Only exams in this state; may be repeated.")
    ] = None,
    reasons: Annotated[bool, typer.Option("--reasons", help="Count the exams not read, per reason.")] = False,
) -> None:
    """List the exams, last received first; names and IDs of patients are not shown."""
    with holdings.opened(console.configuration(config)) as held:
        lines = overview.exam_lines(held, state or tuple(StudyState))
    if reasons:
        _show_reasons(overview.refusals(lines), json)
    elif json:
        console.print_json(lines)
    else:
        _show(lines)


def _show(lines: list[ExamLine]) -> None:
    if not lines:
        console.say("no such exam")
        return
    columns = ("study", "received", "state", "rev", "category", "band", "score", "views", "waits")
    made = console.table(*columns, right=("rev", "band", "score", "waits"))
    console.out().print(console.rows(made, [_row(line) for line in lines]))


def _row(line: ExamLine) -> tuple[object, ...]:
    unread = line.category == Category.NOT_READ
    category = f"{line.category}: {', '.join(line.reasons)}" if unread else line.category
    return (
        line.study_instance_uid,
        console.moment(line.received_at),
        line.state,
        line.revision,
        category,
        "" if line.band is None else line.band,
        "" if line.score is None else f"{line.score:.3f}",
        ", ".join(line.views),
        "" if line.waits_s is None else console.duration(line.waits_s),
    )


def _show_reasons(counts: dict[str, int], json: bool) -> None:
    told = [{"reason": code, "exams": count, "sentence": ReasonCode(code).sentence} for code, count in counts.items()]
    if json:
        console.print_json(told)
    elif not told:
        console.say("every exam that was answered was read")
    else:
        made = console.table("exams", "reason", "", right=("exams",))
        console.out().print(console.rows(made, [(each["exams"], each["reason"], each["sentence"]) for each in told]))
