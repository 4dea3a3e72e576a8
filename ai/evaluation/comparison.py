"""Strategies compared on one cohort, each paired with double reading on the same exams and in the same draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ai.evaluation import strategies
from ai.evaluation.decisions import SWEEP, Assumptions, Replay, meeting
from ai.evaluation.exams import Exams, Numbers
from ai.evaluation.metrics import Metric, Misses, metrics, share
from ai.evaluation.strategies import Variant
from ai.evaluation.tally import Sums, sums

_TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric, with the bootstrap's middle 95 %; and its difference from double reading. None: not to be had."""

    value: float | None
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """A strategy's metrics by name. sweep: π1 → detected of 1,000, mid."""

    name: str
    rule: str
    metrics: Mapping[str, Estimate]
    sweep: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """On the exams of one stratum, or of all. recall_of_others: π0. following: exams that the AI decides of."""

    stratum: str
    exams: int
    women: int
    sdc: int
    ic: int
    following: int
    recall_of_others: float
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of other answers less that of one; interval: the bootstrap's middle 95 %. None: not to be had."""

    value: float | None
    low: float | None
    high: float | None


def compare(
    exams: Exams,
    variants: Sequence[Variant],
    assumptions: Assumptions,
    *,
    draws: int,
    seed: int,
    stratum: str = "all exams",
) -> Comparison:
    """Every variant with double reading before them. draws: bootstrap samples; 0 for none, so no intervals."""
    return _comparison(_counted(exams, variants, assumptions, draws, seed), assumptions, stratum)


def compare_both(
    one: Exams, other: Exams, variants: Sequence[Variant], assumptions: Assumptions, *, draws: int, seed: int
) -> tuple[Comparison, Comparison, tuple[Mapping[str, Difference], ...]]:
    """Two AIs on the same exams of the same women in the same order, and per strategy what the other gives more.

    The women drawn are the same for both, so what they share cancels out. Raises ValueError for other women.
    """
    if not np.array_equal(one.women, other.women):
        raise ValueError("the exams of the two are not those of the same women")
    both = [_counted(each, variants, assumptions, draws, seed) for each in (one, other)]
    differences = tuple(
        {name: _difference(metric, both, place) for name, metric in metrics(assumptions).items()}
        for place in range(len(both[0].told))
    )
    return _comparison(both[0], assumptions), _comparison(both[1], assumptions), differences


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """told: the variants, double reading first; of each its sums over the cohort, and over each draw."""

    replay: Replay
    told: Sequence[Variant]
    whole: Sequence[Sums]
    drawn: Sequence[Sums]


def _counted(exams: Exams, variants: Sequence[Variant], assumptions: Assumptions, draws: int, seed: int) -> _Counted:
    replay = Replay(exams, meeting(exams, assumptions))
    told = list(dict.fromkeys([Variant(strategies.BASELINE), *variants]))
    decisions = [strategies.decided(variant, replay) for variant in told]
    return _Counted(replay, told, *sums(replay, decisions, draws, seed))


def _difference(metric: Metric, both: Sequence[_Counted], place: int) -> Difference:
    one, other = (metric.value(each.whole[place]) for each in both)
    drawn = [metric.value(each.drawn[place]) for each in both]
    return Difference(*(_number(each) for each in (other - one, *_interval(drawn[1] - drawn[0]))))


def _comparison(counted: _Counted, assumptions: Assumptions, stratum: str = "all exams") -> Comparison:
    exams, whole, drawn = counted.replay.exams, counted.whole, counted.drawn
    results = [
        _result(variant, (whole[i], drawn[i]), (whole[0], drawn[0]), assumptions)
        for i, variant in enumerate(counted.told)
    ]
    return Comparison(
        stratum=stratum,
        exams=len(exams),
        women=len(np.unique(exams.women)),
        sdc=int(exams.sdc.sum()),
        ic=int(exams.ic.sum()),
        following=int(exams.follows_ai.sum()),
        recall_of_others=counted.replay.meeting.recall_of_others,
        results=tuple(results),
    )


def _result(variant: Variant, own: tuple[Sums, Sums], double: tuple[Sums, Sums], assumptions: Assumptions) -> Result:
    estimates = {}
    for name, metric in metrics(assumptions).items():
        values, before = [metric.value(each) for each in own], [metric.value(each) for each in double]
        low, high = _interval(values[1])
        if isinstance(metric.value, Misses) and values[0] == 0 and not np.isnan(low):
            high = metric.value.most(own[0])
        difference_low, difference_high = _interval(values[1] - before[1])
        told = (values[0], low, high, values[0] - before[0], difference_low, difference_high)
        estimates[name] = Estimate(*(_number(each) for each in told))
    return Result(str(variant), strategies.rule(variant.strategy), estimates, _sweep(own[0], assumptions))


def _interval(values: Numbers) -> tuple[Numbers | float, Numbers | float]:
    if values.size == 0 or np.isnan(values).all():
        return np.nan, np.nan
    low, high = np.nanquantile(values, _TAILS) if np.isnan(values).any() else np.quantile(values, _TAILS)
    return low, high


def _number(value: Numbers | float) -> float | None:
    return None if np.isnan(value) else float(value)


def _sweep(sums: Sums, assumptions: Assumptions) -> dict[float, float]:
    """mid is linear in π1: those flagged on the right side are recalled with that chance."""
    found = sums["recall_sdc_mid"] + sums["recall_ic_mid"]
    moved = {each: found + (each - assumptions.recall_of_flagged) * sums["called_new"] for each in SWEEP}
    return {each: float(share(value, sums["exams"], 1000)) for each, value in moved.items()}
