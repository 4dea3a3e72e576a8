"""Show where everything stands, and what needs a person."""

from __future__ import annotations

import typer

from node import console, overview
from node.console import ConfigOption, ExitCode, JsonOption
from node.overview import DestinationLine, Status
from node.upkeep import DutyLine, Upkeep
from storage.records import DeliveryState


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("status")(status)


def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show where everything stands, and what needs a person. Ends with 1 when something does."""
    found = overview.status(console.configuration(config))
    if json:
        console.print_json(found)
    else:
        _show(found)
    if found.attention:
        console.end(ExitCode.WRONG)


def _show(found: Status) -> None:
    for sentence in found.attention:
        console.say(f"NEEDS A PERSON: {sentence}", style="bold yellow")
    free = f"{console.size(found.free_bytes)} free (least: {console.size(found.minimum_free_bytes)})"
    console.say(f"node {'runs' if found.running else 'does not run'}; disk {free}; kept aside: {found.asides}")
    if found.commitments:
        requests = ", ".join(f"{count} {state.lower()}" for state, count in sorted(found.commitments.items()))
        console.say(f"storage commitment asked of this node: {requests}")
    if found.audit.records:
        oldest = console.duration(found.audit.oldest_s)
        console.say(f"audit records that wait for syslog: {found.audit.records}, the oldest for {oldest}")
    _show_upkeep(found.upkeep)
    out = console.out()
    if found.states:
        states = console.table("exams", "state", "oldest for", "", right=("exams", "oldest for"))
        lines = [(line.count, line.state, console.duration(line.oldest_s), line.sentence) for line in found.states]
        out.print(console.rows(states, lines))
    else:
        console.say("no exam has come yet")
    if found.destinations:
        counts = (str(state).lower() for state in DeliveryState)
        columns = ("destination", *counts, "oldest waits", "oldest uncommitted", "last error")
        made = console.table(*columns, right=columns[1:-1])
        out.print(console.rows(made, [_destination(line) for line in found.destinations]))


def _show_upkeep(found: Upkeep) -> None:
    most = "" if found.maximum_bytes is None else f" of {console.size(found.maximum_bytes)} allowed"
    console.say(f"kept: {console.size(found.kept_bytes)}{most}")
    if found.sweep is not None:
        age, orphans = console.duration(console.seconds_since(found.sweep.at)), console.size(found.sweep.orphan_bytes)
        told = f"{found.sweep.orphans} files without a row ({orphans}), {found.sweep.missing} rows without their file"
        console.say(f"last sweep, {age} ago: {told}")
    if found.workers:
        made = console.table("worker", "does", "", "leads", "heard of", right=("heard of",))
        lines = [
            (line.slot, line.roles, line.pulse, "leads" if line.leads else "", f"{line.silent_s:.0f} s ago")
            for line in found.workers
        ]
        console.out().print(console.rows(made, lines))
    if found.duties:
        made = console.table("by the clock", "done", "found", "last found", "", right=("done", "found", "last found"))
        console.out().print(console.rows(made, [_duty(line) for line in found.duties]))


def _duty(line: DutyLine) -> tuple[object, ...]:
    done = "not yet" if line.ago_s is None else f"{console.duration(line.ago_s)} ago"
    last = "" if line.last_found_ago_s is None else f"{line.last_found}, {console.duration(line.last_found_ago_s)} ago"
    told = f"FAILS ({line.problem}): {line.finds}" if line.problem else line.finds
    return line.duty, done, line.found, last, told


def _destination(line: DestinationLine) -> tuple[object, ...]:
    counts = (line.counts.get(str(state), 0) for state in DeliveryState)
    ages = (line.oldest_waiting_s, line.oldest_uncommitted_s)
    return (line.destination, *counts, *("" if age is None else console.duration(age) for age in ages), line.last_error)
