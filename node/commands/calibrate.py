"""Propose reference windows from unlabelled exams, and apply or revert them."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ai.calibration import ReferenceWindow
from ai.proposals import FEWEST, Proposal, ScoredExam, StratumProposal, by_stratum, propose
from node import calibration_samples, console, holdings
from node.audit import decided
from node.calibration_samples import Period, Sample
from node.calibrations import Calibrations, ServedModel
from node.commands._decisions import ByOption, ProposerOption, ReasonOption, show_history, tell
from node.config import Config
from node.console import ConfigOption, ExitCode, JsonOption
from node.errors import ConfigError
from node.holdings import NothingKept
from node.identity import SOFTWARE_VERSION
from node.in_force import in_force

_GROUP = typer.Typer(
    help="Propose reference windows from unlabelled exams; apply, revert and history are commands below it.",
    invoke_without_command=True,
)
_ENOUGH = 1000
_PERIOD = r"YYYYMMDD"

TableOption = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="A table instead of this node's readings: ai_score, manufacturer, manufacturer_model_name, "
        "software_versions; a cohort table has them.",
    ),
]
StratumOption = Annotated[
    list[str] | None, typer.Option("--stratum", help="Only strata whose text contains this; may be repeated.")
]
SinceOption = Annotated[str, typer.Option("--since", metavar=_PERIOD, help="Readings: first study date.")]
UntilOption = Annotated[str, typer.Option("--until", metavar=_PERIOD, help="Readings: last study date.")]
LeastOption = Annotated[int, typer.Option("--least", min=FEWEST, help="Fewest exams of a stratum for a proposal.")]
MostOption = Annotated[int, typer.Option("--most", min=FEWEST, help="Readings: only the newest this many.")]
OutOption = Annotated[Path, typer.Option("--out", help="The proposal's file.")]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="calibrate")


@_GROUP.callback()
def calibrate(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    table: TableOption = None,
    stratum: StratumOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    least: LeastOption = _ENOUGH,
    most: MostOption = 20_000,
    out: OutOption = Path("calibration-proposal.json"),
    by: ProposerOption = "",
    json: JsonOption = False,
) -> None:
    """Propose reference windows from unlabelled exams, and write them to a file that a person may apply.

    Nothing changes by a proposal. Ends with 1 when no stratum has enough exams.
    """
    if context.invoked_subcommand is not None:
        return
    settings, model, _ = _kept(config)
    sample = _sample(settings, model, table, Period(_date("--since", since), _date("--until", until)), most)
    groups = by_stratum(calibration_samples.chosen(sample.exams, stratum or []))
    enough = [exams for exams in groups.values() if len(exams) >= least]
    too_few = {str(exams[0].stratum): len(exams) for exams in groups.values() if len(exams) < least}
    proposal = _proposal(settings, sample, enough, by or getpass.getuser()) if enough else None
    if proposal is not None:
        out.write_text(proposal.model_dump_json(indent=1) + "\n", encoding="utf-8")
        decided.decided(
            settings, f"calibration/{out.name}", f"calibration proposed from {sample.source}", proposal.made_by
        )
    if json:
        told = proposal.model_dump(mode="json", exclude={"pooled"}) if proposal else None
        file = str(out) if proposal else None
        console.print_json({"proposal": told, "file": file, "too_few": too_few, "left_out": dict(sample.left_out)})
    else:
        _show(proposal, out, too_few, sample.left_out)
    if proposal is None:
        console.end(ExitCode.WRONG, f"no stratum has {least} exams; nothing was written")


@_GROUP.command("apply")
def apply(
    proposal: Annotated[Path, typer.Argument(help="The proposal's file.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a proposal count. Refused when it was made for other weights or on another calibration."""
    settings, model, kept = _kept(config)
    entry = kept.apply(proposal, model, by=by, reason=reason)
    tell(settings, entry, "calibration", them="it", json=json)


@_GROUP.command("revert")
def revert(
    version: Annotated[str, typer.Argument(help="The calibration that shall count again (see history).")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make an earlier calibration, or the model's own, count again."""
    settings, model, kept = _kept(config)
    entry = kept.revert(model, version, by=by, reason=reason)
    tell(settings, entry, "calibration", them="it", json=json)


@_GROUP.command("history")
def history(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show what was applied and reverted, by whom and why, and which calibration counts."""
    _, model, kept = _kept(config)
    entries, counts = kept.history(), kept.current(model).version
    if json:
        told = [entry.model_dump(mode="json") for entry in entries]
        console.print_json(
            {"counts": counts, "model": model.name, "weights_sha256": model.weights_sha256, "history": told}
        )
        return
    show_history(entries, "calibration")
    console.say(f"calibration {counts} counts for {model.name} {model.version}")


def _kept(config: Path | None) -> tuple[Config, ServedModel, Calibrations]:
    settings = console.configuration(config)
    return settings, in_force(settings.reading).model, Calibrations(settings.reading.calibration_folder)


def _sample(settings: Config, model: ServedModel, table: Path | None, period: Period, most: int) -> Sample:
    if table is not None:
        return calibration_samples.of_table(table)
    try:
        with holdings.opened(settings) as held:
            return calibration_samples.of_readings(held, model, settings.reading.strategy, period, most)
    except NothingKept as error:
        raise ConfigError(f"{error}: there is nothing to calibrate from; a table may be given with --csv") from error


def _date(option: str, value: str) -> str:
    if value and not (len(value) == 8 and value.isdigit()):
        raise ConfigError(f"{option}: value '{value}' is not allowed; allowed: a date as {_PERIOD}")
    return value


def _proposal(settings: Config, sample: Sample, groups: Sequence[Sequence[ScoredExam]], by: str) -> Proposal:
    now = in_force(settings.reading)
    model, current = now.model, now.calibration
    return Proposal(
        made_at=datetime.now(UTC),
        made_by=by,
        software_version=SOFTWARE_VERSION,
        source=sample.source,
        data_sha256=sample.data_sha256,
        model_name=model.name,
        model_version=model.version,
        weights_sha256=model.weights_sha256,
        scale=sample.scale,
        based_on=current.version,
        pooled=ReferenceWindow.of(np.array([exam.score for exams in groups for exam in exams])),
        strata=tuple(propose(exams, current, now.points.of(exams[0].stratum)) for exams in groups),
    )


def _show(proposal: Proposal | None, out: Path, too_few: Mapping[str, int], left_out: Mapping[str, int]) -> None:
    for each in proposal.strata if proposal else ():
        _show_stratum(each)
    for name, count in too_few.items():
        console.complain(f"{name}: {count} exams, too few for a proposal")
    for why, count in left_out.items():
        console.say(f"left out: {count} exams: {why}")
    if proposal is not None:
        model = f"{proposal.model_name} {proposal.model_version}"
        console.say(f"{out}: from {proposal.source}, for {model}; nothing is changed yet")
        console.say(f"to make it count: mammo-node calibrate apply {out} --by NAME --reason TEXT")


def _show_stratum(each: StratumProposal) -> None:
    dates = f", studies of {each.first_study_date}–{each.last_study_date}" if each.first_study_date else ""
    console.say(f"{each.stratum}: {each.exams} exams{dates}; now placed in window {each.current_window}", style="bold")
    bands = console.table("band", *map(str, range(1, 11)), right=tuple(map(str, range(1, 11))))
    rows = [("now", each.current_bands), ("proposed", each.proposed_bands)]
    lines = [(name, *(f"{100 * share:.1f} %" for share in shares)) for name, shares in rows]
    console.out().print(console.rows(bands, lines))
    shares = console.table("share of exams", "now", "will be", "95 %", right=("now", "will be", "95 %"))
    told = [
        (s.what, *(f"{100 * v:.1f} %" for v in (s.current, s.proposed)), f"{100 * s.low:.1f}–{100 * s.high:.1f} %")
        for s in each.shares
    ]
    console.out().print(console.rows(shares, told))
    thresholds = console.table("percentile", "score", "95 %", right=("percentile", "score", "95 %"))
    lines_ = [(f"{t.percentile:g}", f"{t.score:.4f}", f"{t.low:.4f}–{t.high:.4f}") for t in each.thresholds]
    console.out().print(console.rows(thresholds, lines_))
