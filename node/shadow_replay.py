"""What each way of combining the AI with the readers would have done with the shadow's answers, not the live ones.

Thresholds stand in percentiles. Usually an exam's percentile is the one that each reading told of it, by its own
calibration, as the lines of a running node are: so a calibration alone in the shadow moves what is ruled out. Or it
is the place among these exams, each model's own: then both rule out the same share and only the order counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from ai.cohort import Outcome
from ai.evaluation import exams as arrays
from ai.evaluation.comparison import Comparison, Difference, Estimate, Result, compare_both
from ai.evaluation.decisions import Assumptions
from ai.evaluation.exams import Cohort
from ai.evaluation.metrics import WORKLOAD
from ai.evaluation.strategies import Variant
from node.cohort_export import exported
from node.errors import ConfigError
from node.holdings import Holdings
from node.pseudonyms import Pseudonyms
from storage.cohort import ReadExam

_KNOWN = "outcome_known"
_NOTHING = Estimate(*(None,) * 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReplay:
    """On the same exams, with the same readers and outcomes: once with the live answers, once with the shadow's.

    differences: per strategy and metric, the shadow's less the live one, of the same women drawn. own_percentiles: see
    this module. workload_exams: exams that reads, workload, meetings and ruled out are of; without_outcome of them
    count in nothing else. left_out: why exams with a shadow reading are not among them → how many.
    """

    shadow: str
    own_percentiles: bool
    live: Comparison
    other: Comparison
    differences: tuple[Mapping[str, Difference], ...]
    workload_exams: int
    without_outcome: int
    left_out: Mapping[str, int]


def replay(
    held: Holdings,
    pseudonyms: Pseudonyms,
    variants: Sequence[Variant],
    *,
    own_percentiles: bool = True,
    draws: int = 0,
    seed: int = 1,
) -> ShadowReplay:
    """Of the shadow that read last. draws, seed: as `compare`.

    Raises ConfigError where nothing was read in the shadow, or the readers' decisions are not known.
    """
    shadow, readings = held.shadows.latest()
    if not shadow:
        raise ConfigError("no exam was read in the shadow; see shadow in the settings")
    live = [each for each in held.cohort.read_exams() if each.study_instance_uid in readings]
    other = [replace(each, reading_json=readings[each.study_instance_uid]) for each in live]
    left_out: Counter[str] = Counter()
    tables = []
    for read in (live, other):
        made = exported(held, pseudonyms, lambda read=read: read)  # type: ignore[misc]
        left_out |= Counter(made.left_out)
        tables.append(_prepared(made.table, read, own_percentiles))
    common = list(set(tables[0]["exam_id"]) & set(tables[1]["exam_id"]))
    cohorts = [_usable(each.filter(pl.col("exam_id").is_in(common))) for each in tables]
    for column, count in cohorts[0].left_out.items():
        left_out[f"without {column}"] = count
    known = cohorts[0].table[_KNOWN]
    told = _compared(cohorts, variants, draws, seed)
    return ShadowReplay(
        shadow=shadow,
        own_percentiles=own_percentiles,
        live=told[0],
        other=told[1],
        differences=told[2],
        workload_exams=len(known),
        without_outcome=int((~known).sum()),
        left_out=left_out,
    )


def _prepared(table: pl.DataFrame, read: Sequence[ReadExam], own_percentiles: bool) -> pl.DataFrame:
    """With each reading's percentile where wanted; an exam without an outcome is marked, and has none of a cancer."""
    outcome = pl.col("outcome") if "outcome" in table.columns else pl.lit(None, pl.String)
    marked = table.with_columns(outcome.is_not_null().alias(_KNOWN), outcome.fill_null(Outcome.NONE).alias("outcome"))
    if not own_percentiles:
        return marked
    told = {each.study_instance_uid: json.loads(each.reading_json).get("percentile") for each in read}
    percentiles = [told[each] for each in table["exam_id"]]
    return marked.with_columns(pl.Series(arrays.PERCENTILE, percentiles, dtype=pl.Float64))


_Told = tuple[Comparison, Comparison, tuple[Mapping[str, Difference], ...]]


def _compared(cohorts: Sequence[Cohort], variants: Sequence[Variant], draws: int, seed: int) -> _Told:
    """Workload of all exams, the rest of those whose outcome is known."""

    def both(live: arrays.Exams, other: arrays.Exams) -> _Told:
        return compare_both(live, other, variants, Assumptions(), draws=draws, seed=seed)

    known = cohorts[0].table[_KNOWN].to_numpy()
    everyone = both(cohorts[0].exams, cohorts[1].exams)
    some = both(*(each.exams.chosen(known) for each in cohorts)) if known.any() else everyone
    results = [
        [_joined(one, two, known=bool(known.any())) for one, two in zip(most.results, few.results, strict=True)]
        for most, few in zip(everyone[:2], some[:2], strict=True)
    ]
    nothing = Difference(None, None, None)
    differences = tuple(
        {name: most[name] if name in WORKLOAD else few[name] if known.any() else nothing for name in most}
        for most, few in zip(everyone[2], some[2], strict=True)
    )
    live, other = (replace(each, results=tuple(found)) for each, found in zip(some[:2], results, strict=True))
    return live, other, differences


def _joined(everyone: Result, some: Result, *, known: bool) -> Result:
    metrics = {
        name: everyone.metrics[name] if name in WORKLOAD else estimate if known else _NOTHING
        for name, estimate in some.metrics.items()
    }
    return replace(some, metrics=metrics)


def _usable(table: pl.DataFrame) -> Cohort:
    if missing := arrays.missing_columns(table):
        raise ConfigError(
            f"of no exam that was read in the shadow {', '.join(missing)} is known: mammo-node cohort import"
        )
    try:
        return arrays.exams(table)
    except ValueError as error:
        raise ConfigError(f"{error}: mammo-node cohort import") from error
