"""Compare what reads in the shadow with the live model; promote it, or roll that back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from node import console, holdings, promotions, shadow_replay, shadow_report
from node.audit import decided
from node.calibrations import Calibrations
from node.commands._decisions import ByOption, ReasonOption
from node.commands.strategies import StrategyOption, show_differences, show_metrics, wanted_variants
from node.config import Config
from node.console import ConfigOption, ExitCode, JsonOption
from node.decisions import Decisions, Entry
from node.errors import ConfigError
from node.in_force import in_force
from node.pipeline.shadowing import shadow_settings
from node.pseudonyms import Pseudonyms
from node.shadow_replay import ShadowReplay
from node.shadow_report import LABELS, ShadowReport

_GROUP = typer.Typer(
    help="Compare what reads in the shadow with the live model; strategies, promote and rollback are below it.",
    invoke_without_command=True,
)


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="shadow")


@_GROUP.callback()
def shadow(
    context: typer.Context,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Only exams of the last so many days.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show bands live and in the shadow, how far they agree, and what would be ruled out and flagged otherwise.

    Ends with 1 when nothing was read in the shadow.
    """
    if context.invoked_subcommand is not None:
        return
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None
    with holdings.opened(console.configuration(config)) as held:
        found = shadow_report.reports(held.shadows.answers(since))
    if json:
        console.print_json({"labels": LABELS, "shadows": found})
    else:
        for each in found:
            _show(each)
    if not found:
        console.end(ExitCode.WRONG, "no exam was read in the shadow; see shadow in the settings")


@_GROUP.command("promote")
def promote(by: ByOption, reason: ReasonOption, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Make what reads in the shadow count, from the next exam on."""
    settings = console.configuration(config)
    wanted = settings.shadow
    if not wanted.is_on:
        raise ConfigError("shadow: nothing reads in the shadow; allowed: bundles, a calibration, or both")
    entries = []
    if wanted.calibration is not None:
        entries.append(_calibrate(settings, wanted.calibration, by, reason))
    if wanted.bundles:
        entries.append(promotions.promote(settings.reading, wanted.bundles, by=by, reason=reason))
    _tell(settings, entries, json)


@_GROUP.command("rollback")
def rollback(by: ByOption, reason: ReasonOption, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Make what counted before the last promotion count again, from the next exam on."""
    settings = console.configuration(config)
    history = Decisions(settings.reading.calibration_folder).history()
    last = next((entry for entry in reversed(history) if entry.action in ("promote", "rollback")), None)
    if last is None or last.action == "rollback":
        raise ConfigError("nothing was promoted since the last rollback: there is nothing to roll back")
    if last.kind == "model":
        entry = promotions.rollback(settings.reading, by=by, reason=reason)
    else:
        model, kept = in_force(settings.reading).model, Calibrations(settings.reading.calibration_folder)
        entry = kept.revert(model, kept.before(model), by=by, reason=reason, action="rollback")
    _tell(settings, [entry], json)


@_GROUP.command("strategies")
def strategies(
    *,
    strategy: StrategyOption = None,
    percentiles: Annotated[
        bool,
        typer.Option(
            "--percentiles/--quantiles",
            help="Thresholds in the percentiles that each reading told, as the running node has them; or in quantiles "
            "of these exams, each model's own.",
        ),
    ] = True,
    draws: Annotated[int, typer.Option("--draws", min=0, help="Bootstrap samples of women; 0: no intervals.")] = 2000,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Replay ways of combining the AI with the readers: with the live answers, and with the shadow's.

    On exams that the shadow read and whose decisions were imported; those without an outcome count for reads, meetings
    and what is ruled out. Ends with 2 where there are none.
    """
    settings = console.configuration(config)
    wanted = wanted_variants(strategy or [])
    with holdings.opened(settings) as held:
        pseudonyms = Pseudonyms(settings.storage.pseudonym_key_file)
        found = shadow_replay.replay(held, pseudonyms, wanted, own_percentiles=percentiles, draws=draws)
    if json:
        console.print_json(found)
    else:
        _show_replay(found)


def _show_replay(found: ShadowReplay) -> None:
    about = found.live
    console.say(f"{found.shadow}, against the live model on the same exams", style="bold")
    own = "as each reading told them" if found.own_percentiles else "of these exams, each model's own"
    console.say(f"thresholds are percentiles {own}")
    console.say(f"reads, consensus and ruled out: of {found.workload_exams} exams")
    if found.without_outcome == found.workload_exams:
        console.say("the rest: not told, for no outcome is known; mammo-node cohort import, outcomes")
    else:
        of = f"{about.exams} exams of {about.women} women; {about.sdc} SDC, {about.ic} IC"
        console.say(f"the rest: of {of}; {found.without_outcome} without an outcome")
    for why, count in found.left_out.items():
        console.say(f"left out, {why}: {count}")
    pairs = list(zip(found.live.results, found.other.results, strict=True))
    show_metrics([(live.name, [live, other]) for live, other in pairs])
    console.say("shadow less live, and the middle 95 % of samples of women (the same for both):")
    show_differences(zip((live.name for live, _ in pairs), found.differences, strict=True))


def _calibrate(settings: Config, wanted: str, by: str, reason: str) -> Entry:
    model = in_force(shadow_settings(settings.reading, settings.shadow)).model
    kept = Calibrations(settings.reading.calibration_folder)
    if wanted.endswith(".json"):
        return kept.apply(Path(wanted), model, by=by, reason=reason, action="promote")
    return kept.revert(model, wanted, by=by, reason=reason, action="promote")


def _tell(settings: Config, entries: list[Entry], json: bool) -> None:
    decided.entered(settings, entries)
    if json:
        console.print_json([entry.model_dump(mode="json") for entry in entries])
        return
    for entry in entries:
        console.say(f"{entry.kind} {entry.version} counts from the next exam on ({entry.action}, {entry.by})")
    if holdings.node_runs(settings):
        console.say("the running node takes it up by itself")


def _show(found: ShadowReport) -> None:
    console.say(f"{found.shadow}: {found.exams} exams", style="bold")
    made = console.table("live \\ shadow", *LABELS, right=LABELS)
    lines = [(label, *(count or "·" for count in row)) for label, row in zip(LABELS, found.matrix, strict=True)]
    console.out().print(console.rows(made, lines))
    if found.same_band is not None:
        shares = (found.same_band, found.within_one_band or 0.0, found.same_category or 0.0)
        console.say("same band {:.1%}, within one band {:.1%}, same category {:.1%}".format(*shares))
    kappas = (("bands (quadratic weights)", found.band_kappa), ("categories", found.category_kappa))
    if any(kappa is not None for _, kappa in kappas):
        told = (f"{of} {one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for of, one in kappas if one is not None)
        console.say("kappa: " + ", ".join(told))
    made = console.table("", "live", "shadow", "gained", "lost", right=("live", "shadow", "gained", "lost"))
    changes = [(each.what, each.live, each.shadow, each.gained, each.lost) for each in found.changes]
    console.out().print(console.rows(made, changes))
