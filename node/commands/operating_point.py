"""Propose rule-out and flag points from outcomes or quantiles, and apply or revert them."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ai import cohort
from ai.cohort import CohortError, Outcome
from ai.findings import Stratum
from ai.operating_points import (
    Basis,
    LabelledExam,
    Limits,
    PointsProposal,
    StratumPointsProposal,
    by_stratum,
    propose,
)
from node import console
from node.audit import decided
from node.calibrations import ServedModel
from node.commands._decisions import ByOption, ProposerOption, ReasonOption, show_history, tell
from node.config import Config
from node.console import ConfigOption, ExitCode, JsonOption
from node.errors import ConfigError
from node.identity import SOFTWARE_VERSION
from node.in_force import InForce, in_force, site_points
from node.operating_points import SiteOperatingPoints

_GROUP = typer.Typer(help="Propose rule-out and flag points from outcomes or quantiles, and apply or revert them.")
_STRATUM = ("manufacturer", "manufacturer_model_name", "software_versions")


class Misses(StrEnum):
    """Which outcomes count as cancer."""

    SDC = "SDC"
    SDC_IC = "SDC+IC"

    @property
    def outcomes(self) -> set[Outcome]:
        """Those of the cohort table."""
        return {Outcome.SDC} if self is Misses.SDC else {Outcome.SDC, Outcome.IC}


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="operating-point")


@_GROUP.command("propose")
def propose_points(
    table: Annotated[Path, typer.Argument(metavar="COHORT", help="Cohort table; outcome may be absent.")],
    *,
    misses: Annotated[
        float, typer.Option("--misses", min=0.0001, max=0.9999, help="Largest share of cancers ruled out.")
    ] = 0.02,
    flagged: Annotated[
        float, typer.Option("--flagged", min=0.0001, max=0.9999, help="Largest share of exams without cancer flagged.")
    ] = 0.03,
    confidence: Annotated[float, typer.Option("--confidence", min=0.51, max=0.9999, help="That both hold.")] = 0.95,
    cancer: Annotated[Misses, typer.Option("--cancer", help="Outcomes that count as cancer.")] = Misses.SDC,
    out: Annotated[Path, typer.Option("--out", help="The proposal's file.")] = Path("operating-points-proposal.json"),
    by: ProposerOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Propose points for every stratum of the table that has a reference window, and write them to a file.

    From outcomes where a stratum has enough cancers for the limit, else from quantiles; which one is said. Nothing
    changes by a proposal. Ends with 1 when no stratum has a proposal.
    """
    settings, counts, _ = _kept(config)
    limits = Limits(misses=misses, flagged=flagged, confidence=confidence)
    exams, left_out = _exams(table, cancer), {}
    found: list[StratumPointsProposal] = []
    for each in by_stratum(exams):
        usual = counts.points.of(each[0].stratum)
        try:
            found.append(propose(each, counts.calibration, limits, usual))
        except ValueError as error:
            left_out[str(each[0].stratum)] = str(error)
    if found:
        proposal = _proposal(counts, found, table, limits=limits, misses=cancer, by=by or getpass.getuser())
        out.write_text(proposal.model_dump_json(indent=1) + "\n", encoding="utf-8")
        text = f"operating points proposed from {proposal.source}"
        decided.decided(settings, f"operating_points/{out.name}", text, proposal.made_by)
    if json:
        told = [each.model_dump(mode="json") for each in found]
        console.print_json({"strata": told, "file": str(out) if found else None, "left_out": left_out})
    else:
        _show(found, limits, cancer, out, left_out)
    if not found:
        console.end(ExitCode.WRONG, "no stratum has a proposal; nothing was written")


@_GROUP.command("apply")
def apply(
    proposal: Annotated[Path, typer.Argument(help="The proposal's file.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a proposal count. Refused when it was made for other weights, or on what counts no more."""
    settings, counts, kept = _kept(config)
    entry = kept.apply(proposal, counts.model, by=by, reason=reason)
    tell(settings, entry, "operating points", them="them", json=json)


@_GROUP.command("revert")
def revert(
    version: Annotated[str, typer.Argument(help="Version of the points, as history tells it; config: the settings'.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make earlier points, or those of the settings, count again."""
    settings, counts, kept = _kept(config)
    entry = kept.revert(counts.model, version, by=by, reason=reason)
    tell(settings, entry, "operating points", them="them", json=json)


@_GROUP.command("history")
def history(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show what was applied and reverted, by whom and why, and which points count for which stratum."""
    _, counts, kept = _kept(config)
    entries, points = kept.history(), counts.points
    if json:
        told = [entry.model_dump(mode="json") for entry in entries]
        console.print_json({"counts": points.model_dump(mode="json"), "history": told})
        return
    show_history(entries, "points")
    console.say(f"operating points {points.version} count for {counts.model.name} {counts.model.version}")
    own = [(str(each.stratum), each.points) for each in points.strata]
    for name, each in [*own, ("every other stratum", points.default)]:
        console.say(f"{name}: rule out below {each.rule_out_percentile:g}, flag from {each.flag_percentile:g}")


def _kept(config: Path | None) -> tuple[Config, InForce, SiteOperatingPoints]:
    settings = console.configuration(config)
    return settings, in_force(settings.reading), site_points(settings.reading)


def _exams(path: Path, misses: Misses) -> list[LabelledExam]:
    try:
        table = cohort.read(path, needed=("ai_score", *_STRATUM))
    except CohortError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    cancer, healthy = misses.outcomes, Outcome.NONE
    return [
        LabelledExam(
            stratum=Stratum(**{name: row[name] for name in _STRATUM}),
            score=row["ai_score"],
            cancer=True if row.get("outcome") in cancer else False if row.get("outcome") == healthy else None,
        )
        for row in table.iter_rows(named=True)
        if (row.get("gate") or cohort.READ) == cohort.READ
    ]


def _proposal(
    counts: InForce,
    found: Sequence[StratumPointsProposal],
    table: Path,
    *,
    limits: Limits,
    misses: Misses,
    by: str,
) -> PointsProposal:
    model: ServedModel = counts.model
    return PointsProposal(
        made_at=datetime.now(UTC),
        made_by=by,
        software_version=SOFTWARE_VERSION,
        source=f"table {table.name}",
        data_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        weights_sha256=model.weights_sha256,
        calibration_version=counts.calibration.version,
        based_on=counts.points.version,
        limits=limits,
        misses_are=str(misses),
        strata=tuple(found),
    )


def _show(
    found: Sequence[StratumPointsProposal], limits: Limits, misses: Misses, out: Path, left_out: dict[str, str]
) -> None:
    for each in found:
        console.say(f"{each.stratum}: {each.exams} exams, {each.cancers} with {misses}", style="bold")
        for name, point in (("rule out below", each.rule_out), ("flag from", each.flag)):
            data = f"; in the data {point.missed} of {point.of}" if point.of is not None else ""
            what = f"{point.bound:.2%} {point.what}" if point.basis is Basis.LABELS else point.what
            console.say(f"  {name} percentile {point.percentile:g}, from {point.basis}: {what}{data}")
        if each.rule_out.basis is Basis.QUANTILES:
            console.say(f"  labels need at least {each.needed} exams with {misses} for {limits.misses:.2%} misses")
    for name, why in left_out.items():
        console.complain(f"{name}: no proposal: {why}")
    if found:
        console.say(f"{out}: bounds hold at {limits.confidence:.0%}; nothing is changed yet")
        console.say(f"to make it count: mammo-node operating-point apply {out} --by NAME --reason TEXT")
