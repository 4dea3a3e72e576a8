"""Show a week: exams, bands, ruled out, alarms, what was not read and why, how long it took."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from node import console, holdings
from node import week as weeks
from node.console import ConfigOption, ExitCode, JsonOption
from node.week import Overrides, Spent, Week


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("monitor")(monitor)


def monitor(
    week: Annotated[str | None, typer.Option("--week", metavar="YYYY-Www", help="ISO week; without: this one.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a week: exams, bands, ruled out, alarms, what was not read and why. Ends with 1 while an alarm stands."""
    with holdings.opened(console.configuration(config)) as held:
        found = weeks.week(held.database, week, datetime.now(UTC))
    if json:
        console.print_json(found)
    else:
        _show(found)
    if found.standing:
        console.end(ExitCode.WRONG)


def _show(found: Week) -> None:
    last = found.until.astimezone().strftime("%Y-%m-%d")
    console.say(f"week {found.week}, {found.since.strftime('%Y-%m-%d')} until before {last}", style="bold")
    for event in found.standing:
        console.say(f"ALARM, NEGATIVE is suspended: {weeks.told(event)}", style="bold yellow")
    counts = ", ".join(f"{name} {count}" for name, count in found.categories.items() if count)
    console.say(f"{found.exams} exams{': ' + counts if counts else ''}")
    if not found.exams:
        return
    out = console.out()
    bands = tuple(map(str, range(1, 11)))
    out.print(console.rows(console.table("band", *bands, right=bands), [("exams", *found.bands)]))
    made = console.table("system", "exams", "not read", "ruled out", "flagged", right=("exams", "not read"))
    lines = [(s.stratum, s.exams, s.not_read, _percent(s.ruled_out), _percent(s.flagged)) for s in found.strata]
    out.print(console.rows(made, lines))
    for line in found.not_read:
        console.say(f"not read, {line.exams} exams: {line.sentence} ({line.code})")
    for event in found.alarms:
        console.say(f"{console.moment(event.at)} {event.action}: {weeks.told(event)}")
    console.say(
        f"from the last image to the reading {_told(found.to_reading)}, to the last result "
        + (_told(found.to_last_result))
    )
    _show_overrides(found.overrides)


def _show_overrides(found: Overrides) -> None:
    if not found.decided:
        console.say("overrides: no reader's decision on these exams was imported (mammo-node cohort import)")
        return
    seen = f", with the AI's result in sight {found.ai_visible}" if found.ai_visible is not None else ""
    console.say(
        f"{found.decided} exams decided{seen}: NEGATIVE but marked by a reader {found.negative_marked}, recalled "
        f"{found.negative_recalled}; SUSPICIOUS but not recalled {found.suspicious_not_recalled}"
    )


def _percent(share: float | None) -> str:
    return f"{100 * share:.1f} %" if share is not None else "–"


def _told(spent: Spent) -> str:
    if spent.median_s is None or spent.p95_s is None:
        return "–"
    return f"{console.duration(spent.median_s)} (95 %: {console.duration(spent.p95_s)})"
