"""Look whether scores still are as their reference was, in the node or in a table; show and clear alarms."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from typer.core import TyperGroup

from ai.calibration import ReferenceWindow
from ai.monitoring.report import Report, look
from ai.proposals import FEWEST
from node import console, drift, drift_now, drift_tables, holdings
from node.audit import decided
from node.commands._decisions import ByOption, ReasonOption
from node.console import ConfigOption, ExitCode, JsonOption
from node.drift_now import StratumNow
from node.drift_tables import Scores
from node.errors import ConfigError

_TABLE, _NOW = "table", "now"

PartArgument = Annotated[str, typer.Argument(metavar="STRATUM", help="Part of the stratum's name.")]


class _Group(TyperGroup):
    """`drift SCORES.csv --reference REF.csv` is short for `drift table …`; alone it is `drift now`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, "--help"}
        if not any(each in known for each in args[:1]):
            args = [_TABLE if any(each.startswith("--reference") for each in args) else _NOW, *args]
        return super().parse_args(ctx, args)


_GROUP = typer.Typer(cls=_Group, help="Look whether scores still are as their reference was; show and clear alarms.")


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="drift")


@_GROUP.command(_TABLE)
def table(
    scores: Annotated[Path, typer.Argument(help="Table (CSV) with a row an exam, in the order they came.")],
    reference: Annotated[Path, typer.Option("--reference", help="Table of the exams that they should be like.")],
    *,
    score_column: Annotated[str, typer.Option("--score-column", help="The column with the scores.")] = "ai_score",
    unordered: Annotated[
        bool,
        typer.Option("--unordered", help="The rows' order means nothing: put them in a random one, always the same."),
    ] = False,
    rule_out: Annotated[float, typer.Option("--rule-out", min=1, max=99, help="Rule-out percentile.")] = 70.0,
    json: JsonOption = False,
) -> None:
    """Compare a table of scores with a reference, stratum by stratum. Ends with 1 where a chart alarms."""
    references = drift_tables.read(reference, score_column)
    found = drift_tables.read(scores, score_column, unordered=unordered)
    told, alarms = [], False
    for key, each in found.items():
        mine, why = drift_tables.reference_of(key, references)
        report = _report(each, mine, rule_out, reference) if mine is not None else None
        alarms = alarms or report is None or bool(report.alarms)
        told.append({"stratum": str(each.stratum), "note": why, "report": asdict(report) if report else None})
        if not json:
            _show(each, why, report)
    if json:
        console.print_json({"strata": told})
    if alarms:
        console.end(ExitCode.WRONG)


def _report(scores: Scores, reference: Scores, rule_out: float, path: Path) -> Report:
    if len(reference.read) < FEWEST:
        raise ConfigError(f"{path}: {len(reference.read)} exams of {reference.stratum}; at least {FEWEST} are needed")
    window = ReferenceWindow.of(np.array(reference.read))
    return look(scores.scores, window, rule_out, offered=len(reference.scores), unread=reference.unread)


def _show(scores: Scores, why: str, report: Report | None) -> None:
    named = str(scores.stratum) if scores.stratum.manufacturer else "all exams"
    console.say(f"{named}: {len(scores.read)} exams, {scores.unread} not read", style="bold")
    if why:
        console.say(why, style="" if report else "bold yellow")
    if report is None:
        return
    made = console.table("share of exams", "reference", "here", "95 %", right=("reference", "here", "95 %"))
    lines = [
        (s.what, f"{100 * s.expected:.1f} %", f"{100 * s.found:.1f} %", f"{100 * s.low:.1f}–{100 * s.high:.1f} %")
        for s in report.shares
    ]
    console.out().print(console.rows(made, lines))
    console.say(f"KS {report.ks:.3f}, PSI {report.psi:.3f}, of all exams; reference of {report.reference_exams} exams")
    for alarm in report.alarms:
        console.say(f"ALARM at exam {alarm.exam}: {alarm.meaning} ({alarm.chart})", style="bold yellow")
    if not report.alarms:
        console.say("no chart alarms")


@_GROUP.command(_NOW)
def now(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show every stratum that this node has read: its charts, its alarms. Ends with 1 while an alarm stands."""
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        found = drift_now.strata(held, settings.reading)
    if json:
        console.print_json({"strata": found})
    else:
        for each in found:
            _show_now(each)
    if any(each.alarms for each in found):
        console.end(ExitCode.WRONG)


@_GROUP.command("alarms")
def alarms(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show every alarm and who cleared it, oldest first. Ends with 1 while one stands."""
    with holdings.opened(console.configuration(config)) as held:
        events, standing = held.drift.events(), held.drift.standing()
    if json:
        console.print_json({"standing": standing, "events": events})
    else:
        made = console.table("when", "what", "stratum", "by", "why")
        lines = [(console.moment(e.at), e.action, e.name, e.by, e.reason or e.detail) for e in events]
        console.out().print(console.rows(made, lines)) if lines else console.say("no alarm was ever raised")
    if standing:
        console.end(ExitCode.WRONG)


@_GROUP.command("clear")
def clear(
    stratum: PartArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Clear a stratum's alarms: its exams may be NEGATIVE again, and its charts begin anew."""
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        cleared = drift.clear(held.drift, stratum, by=by, reason=reason)
    for event in cleared:
        decided.decided(settings, "drift", f"drift alarm cleared for {event.name}: {reason}", by)
    if json:
        console.print_json({"cleared": cleared})
    for event in () if json else cleared:
        console.say(f"{event.name}: cleared; its exams may be NEGATIVE again, and its charts begin anew")


def _show_now(found: StratumNow) -> None:
    console.say(f"{found.name}: {found.exams} exams", style="bold")
    if found.note:
        console.say(found.note)
    if found.told:
        highest = ", ".join(f"{chart} {level:.0%}" for chart, level in found.highest)
        console.say(f"{found.told}; charts nearest to their limit: {highest}")
    for alarm in found.alarms:
        console.say(f"ALARM since {console.moment(alarm.at)}: {alarm.detail}", style="bold yellow")
