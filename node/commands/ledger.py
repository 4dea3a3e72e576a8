"""Show what came on a day, what became of it, and what is unanswered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from node import console, holdings
from node.console import ConfigOption, ExitCode, JsonOption
from node.reconciliation import Answer, Day, Line, reconcile
from storage.ledger import Counted


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("ledger")(ledger)


def ledger(
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Of this machine's time zone; without it, today."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show what came on a day, what became of it, and what is unanswered. Ends with 1 when something is."""
    settings = console.configuration(config)
    wanted = (day or datetime.now().astimezone()).date()
    with holdings.opened(settings) as held:
        found = reconcile(settings, held.database, wanted)
    if json:
        console.print_json({**console.plain(found), "balanced": found.balanced})
    else:
        _show(found)
    if not found.balanced:
        console.end(ExitCode.WRONG)


def _show(found: Day) -> None:
    for line in found.unanswered:
        console.say(f"UNANSWERED: {line.study_instance_uid}: {line.why}", style="bold yellow")
    for uid in found.missing:
        console.say(f"MISSING: {uid} was answered as stored and is not held", style="bold yellow")
    came = ", ".join(f"{count} {outcome}" for outcome, count in found.came.items()) or "nothing"
    console.say(f"{found.day}: {sum(found.came.values())} instances came: {came}")
    stand = ", ".join(f"{found.answers.get(str(each), 0)} {each}" for each in Answer)
    console.say(f"{sum(found.answers.values())} instances were kept: {stand}")
    if found.waiting:
        _table("waits", found.waiting)
    if found.reasons:
        made = console.table("instances", "became", "status", "why", right=("instances",))
        rows = [(each.count, each.outcome, f"0x{each.status:04X}", each.why) for each in found.reasons]
        console.out().print(console.rows(made, rows))
    if found.transfers:
        made = console.table("began", "service", "name", "from", "address", "ended", "what came")
        console.out().print(console.rows(made, [_transfer(each) for each in found.transfers]))


def _table(column: str, lines: tuple[Line, ...]) -> None:
    made = console.table("study", "instances", column, right=("instances",))
    console.out().print(console.rows(made, [(line.study_instance_uid, line.instances, line.why) for line in lines]))


def _transfer(each: Counted) -> tuple[object, ...]:
    of = each.transfer
    what = ", ".join(f"{count} {outcome}" for outcome, count in each.counts.items())
    began = console.moment(of.began_at)
    return began, of.service, of.name, of.calling_ae_title, of.address, of.ending or "is open", what
