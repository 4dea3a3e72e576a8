"""List the exams, or why some were not read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ai.findings import Category
from node import console, holdings, overview, refusals
from node.console import ConfigOption, JsonOption
from node.overview import ExamLine
from node.refusals import RefusalLine, RefusalReport
from storage.records import StudyState

_PAGE = 100
_COUNTS = ("not read", "share", "exams", "images")


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("exams")(exams)


def exams(
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    state: Annotated[
        list[StudyState] | None, typer.Option("--state", help="Only exams in this state; may be repeated.")
    ] = None,
    count_refusals: Annotated[
        bool, typer.Option("--refusals", help="Count what kept exams and images from being read, per reason.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="How many at most; 100 in the table, all with --json.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="With --refusals: readings from this day on (UTC)."),
    ] = None,
) -> None:
    """List the exams, last received first; names and IDs of patients are not shown."""
    if count_refusals:
        with holdings.opened(console.configuration(config)) as held:
            found = refusals.report(held, since.replace(tzinfo=UTC) if since else None)
        console.print_json(found) if json else _show_refusals(found)
        return
    with holdings.opened(console.configuration(config)) as held:
        most = limit if limit or json else _PAGE
        lines = overview.exam_lines(held, state or tuple(StudyState), most)
    if json:
        console.print_json(lines)
        return
    _show(lines)
    if len(lines) == most:
        console.say(f"the {most} last received; --limit shows more")


def _show(lines: list[ExamLine]) -> None:
    if not lines:
        console.say("no such exam")
        return
    columns = ("study", "received", "state", "rev", "category", "band", "score", "views", "waits", "for")
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
        line.waits_for,
    )


def _show_refusals(found: RefusalReport) -> None:
    share = f" ({found.unread / found.answered:.1%})" if found.answered else ""
    console.say(f"{found.answered} exams answered, {found.unread} of them not read{share}")
    if not found.reasons:
        return
    made = console.table("reason", "not read", "share", "exams", "images", "since", right=_COUNTS)
    console.out().print(console.rows(made, [_refusal_row(line) for line in found.reasons]))
    for line in found.reasons:
        console.say(f"{line.reason}: {line.sentence}. What to do: {line.advice}.")


def _refusal_row(line: RefusalLine) -> tuple[object, ...]:
    since = console.moment(line.since)
    return line.reason, line.unread, f"{line.share:.1%}", line.exams, line.images, since
