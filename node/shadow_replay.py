"""What each way of combining the AI with the readers would have done with the shadow's answers, not the live ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ai.cohort import Outcome
from ai.evaluation import exams as arrays
from ai.evaluation.comparison import Comparison, Difference, compare, differences
from ai.evaluation.decisions import Assumptions
from ai.evaluation.exams import Cohort, Exams
from ai.evaluation.metrics import OF_WORKLOAD
from ai.evaluation.strategies import Variant
from node.cohort_export import exported
from node.errors import ConfigError
from node.holdings import Holdings
from node.pseudonyms import Pseudonyms
from storage.cohort import ReadExam


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same exams, readers and outcomes: with the live answers, and with the shadow's.

    differences: for each result in order, metric → shadow minus live, from the same draws.
    """

    live: Comparison
    other: Comparison
    differences: tuple[Mapping[str, Difference], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReplay:
    """as_read: thresholds are on the percentiles that each reading gave, else on quantiles of these exams.

    known: of exams whose outcome is known; None where none is. workload: also of the others, metrics that need no
    outcome only. left_out: why exams with a shadow reading are in neither → how many.
    """

    shadow: str
    as_read: bool
    known: Pair | None
    workload: Pair
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Options:
    """as_read: see `ShadowReplay`. draws, seed: as `compare`."""

    as_read: bool = True
    draws: int = 0
    seed: int = 1


def replay(
    held: Holdings, pseudonyms: Pseudonyms, variants: Sequence[Variant], options: Options = Options()
) -> ShadowReplay:
    """Of the shadow that read last.

    Raises ConfigError where nothing was read in the shadow, or the readers' decisions are not known.
    """
    shadow, readings = held.shadows.latest()
    if not shadow:
        raise ConfigError("no exam was read in the shadow; see shadow in the settings")

    def live() -> Iterator[ReadExam]:
        return (each for each in held.cohort.read_exams() if each.study_instance_uid in readings)

    def other() -> Iterator[ReadExam]:
        return (replace(each, reading_json=readings[each.study_instance_uid]) for each in live())

    tables = [exported(held, pseudonyms, read) for read in (live, other)]
    common = list(set(tables[0].table["exam_id"]) & set(tables[1].table["exam_id"]))
    left_out = Counter(tables[0].left_out) | Counter(tables[1].left_out)
    rows = [each.table.filter(each.table["exam_id"].is_in(common)) for each in tables]
    percentiles = [_percentiles(read) for read in (live, other)] if options.as_read else None

    def pair(which: Callable[[pl.DataFrame], pl.DataFrame]) -> tuple[Pair, Cohort]:
        cohorts = [_usable(which(each)) for each in rows]
        found = [each.exams for each in cohorts]
        if percentiles is not None:
            found = [_placed(each, known) for each, known in zip(cohorts, percentiles, strict=True)]
        return _pair(found, variants, options), cohorts[0]

    everybody, cohort = pair(_whatever_the_outcome)
    left_out.update({f"without {column}": count for column, count in cohort.left_out.items()})
    outcomes = "outcome" in rows[0].columns and rows[0]["outcome"].is_not_null().any()
    return ShadowReplay(
        shadow=shadow,
        as_read=options.as_read,
        known=pair(lambda table: table)[0] if outcomes else None,
        workload=_of_workload(everybody),
        left_out=left_out,
    )


def _pair(found: Sequence[Exams], variants: Sequence[Variant], options: Options) -> Pair:
    one, two = found
    draws, seed = options.draws, options.seed
    live, other = (compare(each, variants, Assumptions(), draws=draws, seed=seed) for each in (one, two))
    apart = differences(one, two, variants, Assumptions(), draws=draws, seed=seed)
    return Pair(live=live, other=other, differences=apart)


def _percentiles(read: Callable[[], Iterable[ReadExam]]) -> dict[str, float]:
    """Exam → the percentile that its reading gave, as a share; without those that were not read."""
    told = ((each.study_instance_uid, json.loads(each.reading_json).get("percentile")) for each in read())
    return {exam: percentile / 100 for exam, percentile in told if percentile is not None}


def _placed(cohort: Cohort, percentiles: Mapping[str, float]) -> Exams:
    """The exams with the positions that their readings gave: what the calibration in use would have done with them."""
    position = np.array([percentiles.get(exam, np.nan) for exam in cohort.table["exam_id"]], float)
    return replace(cohort.exams, position=position, follows_ai=~np.isnan(position))


def _whatever_the_outcome(table: pl.DataFrame) -> pl.DataFrame:
    """Exams whose outcome is not known yet count as without cancer: for metrics that do not ask."""
    if "outcome" not in table.columns:
        return table.with_columns(pl.lit(str(Outcome.NONE)).alias("outcome"))
    return table.with_columns(pl.col("outcome").fill_null(str(Outcome.NONE)))


def _of_workload(pair: Pair) -> Pair:
    def only(found: Comparison) -> Comparison:
        kept = [replace(each, metrics={name: each.metrics[name] for name in OF_WORKLOAD}) for each in found.results]
        return replace(found, results=tuple(kept))

    kept = tuple({name: each[name] for name in OF_WORKLOAD} for each in pair.differences)
    return Pair(live=only(pair.live), other=only(pair.other), differences=kept)


def _usable(table: pl.DataFrame) -> Cohort:
    if missing := arrays.missing_columns(table):
        raise ConfigError(
            f"of no exam that was read in the shadow {', '.join(missing)} is known: mammo-node cohort import"
        )
    try:
        return arrays.exams(table)
    except ValueError as error:
        raise ConfigError(f"{error}: mammo-node cohort import") from error
