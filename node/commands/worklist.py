"""Show what the modality worklist expects of a day, and what has come of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from node import console, holdings
from node.console import ConfigOption, ExitCode, JsonOption
from node.examinations import scheduled
from storage.worklist import ExpectedLine


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("worklist")(worklist)


def worklist(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Another day than today, of the last 14.")
    ] = None,
    only_missing: Annotated[
        bool, typer.Option("--missing", help="Only exams that should be here and are not.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show what the modality worklist expects of a day, and what has come of it; names of patients are not shown.

    Ends with 1 when exams are missing that should have come.
    """
    settings = console.configuration(config)
    now = datetime.now(UTC)
    wanted: date = day.date() if day else now.astimezone().date()
    with holdings.opened(settings) as held:
        lines = held.worklist.lines(*scheduled.bounds(wanted))
    missing = scheduled.missing(lines, now, settings.worklist.missing_after_s)
    shown = missing if only_missing else lines
    if json:
        console.print_json([_told(line, missing=line in missing) for line in shown])
    else:
        _show(shown, missing)
    if missing:
        console.end(ExitCode.WRONG)


def _told(line: ExpectedLine, *, missing: bool) -> dict[str, object]:
    each = line.expected
    return {
        "scheduled_at": each.scheduled_at,
        "station_ae_title": each.station_ae_title,
        "accession_number": each.accession_number,
        "study_instance_uid": each.study_instance_uid,
        "urgent": each.urgent,
        "modality_says": list(line.steps),
        "state": line.state,
        "missing": missing,
    }


def _show(lines: list[ExpectedLine], missing: list[ExpectedLine]) -> None:
    if not lines:
        console.say("nothing is scheduled that the worklist has told of")
        return
    made = console.table("scheduled", "station", "accession", "study", "", "the modality says", "state")
    console.out().print(console.rows(made, [_row(line, missing=line in missing) for line in lines]))
    if missing:
        console.say(f"{len(missing)} of them should be here and are not", style="bold yellow")


def _row(line: ExpectedLine, *, missing: bool) -> tuple[object, ...]:
    each = line.expected
    return (
        console.moment(each.scheduled_at),
        each.station_ae_title,
        each.accession_number,
        each.study_instance_uid,
        "urgent" if each.urgent else "",
        ", ".join(line.steps).lower(),
        "MISSING" if missing else line.state or "to come",
    )
