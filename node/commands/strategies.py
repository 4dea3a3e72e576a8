"""Replay ways of combining the AI with the readers on a cohort table, each against double reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from ai import cohort
from ai.cohort import CohortError
from ai.evaluation import exams as arrays
from ai.evaluation import losses, readers, strategies_page
from ai.evaluation import published as publication
from ai.evaluation import strategies as offer
from ai.evaluation.comparison import Comparison, Difference, Estimate, Result, compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.exams import MINIMUM, NEEDED, Cohort
from ai.evaluation.losses import Lost
from ai.evaluation.published import Reproduced
from ai.evaluation.readers import Cell
from ai.evaluation.strategies import Variant
from node import console
from node.console import JsonOption
from node.errors import ConfigError

_Table = Annotated[
    Path | None, typer.Argument(metavar="COHORT", help=f"Cohort table, CSV or Parquet, with {', '.join(NEEDED)}.")
]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option("--strategy", help='One of them, as "s2" or "s2 lower=0.65"; may be repeated. Without it, all.'),
]
_By = Annotated[str, typer.Option("--by", help="stratum: each system by itself too.")]
_Draws = Annotated[int, typer.Option("--draws", min=0, help="Bootstrap samples of women; 0: no intervals.")]
_Seed = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]
_Recall = Annotated[
    float,
    typer.Option(
        "--recall-of-flagged", min=0, max=1, help="mid: chance that a cancer flagged to a meeting is recalled."
    ),
]
_Cost = Annotated[float, typer.Option("--consensus-cost", min=0, help="What a meeting on an exam costs, in reads.")]
_Reference = Annotated[
    int, typer.Option("--reference", min=0, help="Thresholds from the first so many exams of each system; 0: all.")
]
_Report = Annotated[Path | None, typer.Option("--report", help="Write a page (HTML) with tables and pictures.")]
_Published = Annotated[
    bool, typer.Option("--published", help="A published comparison of eleven scenarios beside the same made here.")
]

#: What a terminal has room for: metric → heading and decimals.
_SHOWN: Mapping[str, tuple[str, int]] = {
    "reads": ("reads", 2),
    "consensus_pct": ("consensus %", 2),
    "recall_pct_mid": ("recall %", 2),
    "sdc_per_1000_lo": ("SDC/1000", 2),
    "detected_per_1000_lo": ("found lo", 2),
    "detected_per_1000_mid": ("found mid", 2),
    "detected_per_1000_hi": ("found hi", 2),
    "ruled_out_pct": ("ruled out %", 1),
    "missed_sdc": ("SDC out", 0),
    "missed_ic": ("IC out", 0),
}

#: Not told of differences: the ends of what lies between them.
_BETWEEN = ("sdc_per_1000_lo", "detected_per_1000_lo", "detected_per_1000_hi")


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("strategies")(strategies)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was asked for. left_out: column → rows without a value. ai_visible: exams read with the AI's result seen.

    held_otherwise: exams with a meeting though both readers were negative, or without one though one was positive.
    """

    comparisons: tuple[Comparison, ...] = ()
    lost: tuple[Lost, ...] = ()
    readers: tuple[Cell, ...] = ()
    published: tuple[Reproduced, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    strata_without_thresholds: tuple[str, ...] = ()
    ai_visible: int = 0
    held_otherwise: int = 0


def strategies(
    cohort_table: _Table = None,
    *,
    strategy: StrategyOption = None,
    by: _By = "",
    draws: _Draws = 2000,
    seed: _Seed = 1,
    recall_of_flagged: _Recall = 0.6,
    consensus_cost: _Cost = 2.0,
    reference: _Reference = 0,
    published: _Published = False,
    report: _Report = None,
    json: JsonOption = False,
) -> None:
    """Replay ways of combining the AI with the readers on a cohort table, each against double reading.

    Exams without one of the needed values are left out and counted. Ends with 2 when the table cannot be used.
    """
    if cohort_table is None and not published:
        raise ConfigError("give a cohort table, or --published; mammo-node cohort simulate makes a table")
    if by not in ("", "stratum"):
        raise ConfigError(f"--by: value '{by}' is not allowed; allowed: stratum")
    found = _cohort(cohort_table, reference) if cohort_table is not None else None
    comparisons: tuple[Comparison, ...] = ()
    costs: tuple[Lost, ...] = ()
    if found is not None:
        assumptions = Assumptions(recall_of_flagged, consensus_cost)
        variants = wanted_variants(strategy or [])
        comparisons = tuple(_comparisons(found, variants, assumptions, (draws, seed), by))
        costs = tuple(losses.lost(found, variants, assumptions))
    answer = _answer(found, (comparisons, costs), publication.reproduce() if published else [])
    if report is not None:
        title = f"Strategies on {cohort_table.name}" if cohort_table is not None else "Strategies, published and here"
        page = strategies_page.page(
            title, strategies_page.section(answer.comparisons, answer.readers, answer.lost), answer.published
        )
        report.write_text(page, encoding="utf-8")
    if json:
        console.print_json(answer)
    else:
        _show(answer)


def wanted_variants(wanted: Sequence[str]) -> tuple[Variant, ...]:
    """Those named, or all. Raises ConfigError."""
    try:
        return tuple(each for text in wanted for each in offer.parse(text)) or offer.everything()
    except ValueError as error:
        raise ConfigError(f"--strategy: {error}") from error


def _cohort(path: Path, reference: int) -> Cohort:
    try:
        table = cohort.read(path)
        if missing := arrays.missing_columns(table):
            raise ConfigError(f"{path}: the column {', '.join(missing)} is missing")
        return arrays.exams(table, reference=reference)
    except (CohortError, OSError, ValueError) as error:
        raise ConfigError(str(error)) from error


def _comparisons(
    found: Cohort, variants: Sequence[Variant], assumptions: Assumptions, chance: tuple[int, int], by: str
) -> Iterator[Comparison]:
    draws, seed = chance
    yield compare(found.exams, variants, assumptions, draws=draws, seed=seed)
    for number, stratum in enumerate(found.strata if by else ()):
        exams = found.exams.chosen(found.exams.strata == number)
        yield compare(exams, variants, assumptions, draws=draws, seed=seed, stratum=stratum.name)


def _answer(
    found: Cohort | None, told: tuple[tuple[Comparison, ...], tuple[Lost, ...]], published: Sequence[Reproduced]
) -> _Answer:
    if found is None:
        return _Answer(published=tuple(published))
    seen = found.table["ai_visible"].sum() if "ai_visible" in found.table.columns else 0
    exams = found.exams
    return _Answer(
        comparisons=told[0],
        lost=told[1],
        readers=tuple(readers.table(exams)),
        published=tuple(published),
        left_out=found.left_out,
        strata_without_thresholds=tuple(each.name for each in found.strata if each.reference < MINIMUM),
        ai_visible=int(seen),
        held_otherwise=int((exams.held != exams.either).sum()),
    )


def _show(answer: _Answer) -> None:
    for line in _remarks(answer):
        console.say(line)
    for comparison in answer.comparisons:
        _show_comparison(comparison)
    if answer.published:
        _show_published(answer.published)


def _remarks(answer: _Answer) -> Iterator[str]:
    for column, count in answer.left_out.items():
        yield f"left out: {count} exams without {column}"
    for name in answer.strata_without_thresholds:
        yield f"{name}: fewer than {MINIMUM} exams to set thresholds from; its exams follow the readers"
    if answer.ai_visible:
        yield f"caution: in {answer.ai_visible} exams the readers saw the AI's result, unlike readers without it"
    if answer.held_otherwise:
        yield f"caution: in {answer.held_otherwise} exams a meeting was held without a positive reader, or not with one"


def _show_comparison(found: Comparison) -> None:
    console.say(
        f"{found.stratum}: {found.exams} exams of {found.women} women, {found.following} with an answer of the AI; "
        f"{found.sdc} SDC, {found.ic} IC; recalled of single positives without cancer {found.recall_of_others:.1%}",
        style="bold",
    )
    show_metrics([(result.name, [result]) for result in found.results])
    console.say(
        "found: SDC and IC of 1,000 exams; every metric, interval and difference from S0 with --json or --report"
    )


def show_metrics(lines: Iterable[tuple[str, Sequence[Result]]]) -> None:
    """A row a strategy: its metrics in one result, or from one to the next."""
    titles = [title for title, _ in _SHOWN.values()]
    made = console.table("strategy", *titles, right=titles)
    shown = []
    for name, results in lines:
        cells = (
            " → ".join(_told(each.metrics[metric], decimals) for each in results)
            for metric, (_, decimals) in _SHOWN.items()
        )
        shown.append((name, *cells))
    console.out().print(console.rows(made, shown))


def show_differences(lines: Iterable[tuple[str, Mapping[str, Difference]]]) -> None:
    """A row a strategy: what one way has more than the other, with the interval where there is one."""
    shown = {name: each for name, each in _SHOWN.items() if name not in _BETWEEN}
    titles = [title for title, _ in shown.values()]
    made = console.table("strategy", *titles, right=titles)
    rows = [
        (name, *(_more(found[metric], decimals) for metric, (_, decimals) in shown.items())) for name, found in lines
    ]
    console.out().print(console.rows(made, rows))


def _more(found: Difference, decimals: int) -> str:
    if found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:+.{decimals}f}"
    return f"{found.value:+.{decimals}f} ({found.low:.{decimals}f} to {found.high:.{decimals}f})"


def _told(estimate: Estimate, decimals: int) -> str:
    return "–" if estimate.value is None else f"{estimate.value:.{decimals}f}"


def _show_published(rows: Sequence[Reproduced]) -> None:
    console.say("published by Larsen et al. 2022 / reproduced from its margins", style="bold")
    columns = ("consensus", "recalled", "SDC", "IC in consensus")
    made = console.table("row", "scenario", "strategy", *columns, right=columns)
    console.out().print(console.rows(made, [_published_row(each) for each in rows]))


def _published_row(found: Reproduced) -> tuple[object, ...]:
    row = found.row
    pairs = ((row.consensus, found.consensus), (row.recalled, found.recalled), (row.sdc, found.sdc), (row.ic, found.ic))
    return row.number, row.scenario, row.variant, *(f"{'–' if one is None else one} / {two}" for one, two in pairs)
