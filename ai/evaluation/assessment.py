"""Everything the report says of the AI on a cohort, as records of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai.cohort import Outcome
from ai.evaluation import auc
from ai.evaluation.auc import Area
from ai.evaluation.bootstrap import resampled
from ai.evaluation.cases import SDC, Cases, Flags, Flow, cases
from ai.evaluation.exams import numbered
from ai.evaluation.intervals import Estimate, Share, share_of, upper_limit
from ai.evaluation.parts import Missed, Stratum, ruled_out_cancers, strata
from ai.evaluation.reliability import Reliability, reliability
from ai.evaluation.versus import Versus, versus

#: Shares ruled out that are always told, beside the site's own.
USUAL = (0.5, 0.7, 0.9)
_BINS = 20
_ROC_POINTS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked. rule_out, flag: positions in the stratum, 0–1: below the one NEGATIVE, from the other SUSPICIOUS.

    Margins, 0–1, have to be fixed before the figures are seen. draws: of the bootstrap of women.
    """

    rule_out: float = 0.70
    flag: float = 0.97
    sensitivity_margin: float = 0.05
    specificity_margin: float = 0.02
    draws: int = 2000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """Sensitivity and specificity of somebody's positives, for one kind of cancer."""

    who: str
    cancers: str
    sensitivity: Share
    specificity: Share
    positive_predictive: Share
    negative_predictive: Share


@dataclass(frozen=True, slots=True)
class Curve:
    """ROC of one kind of cancer: its area by DeLong and by the bootstrap of women, and its points, thinned."""

    cancers: str
    area: Area
    bootstrap: Estimate
    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RuleOut:
    """What ruling out below `position` does. The limits are one-sided, 95 % (Clopper and Pearson)."""

    position: float
    ruled_out: Share
    missed_sdc: Share
    missed_ic: Share
    limit_sdc: float
    limit_ic: float
    sdc_per_10000: Share
    ic_per_10000: Share


@dataclass(frozen=True, slots=True)
class Histogram:
    """Share of an outcome's exams in each twentieth of the positions."""

    outcome: str
    exams: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """All of it."""

    questions: Questions
    flow: Flow
    curves: tuple[Curve, ...]
    points: tuple[Point, ...]
    histograms: tuple[Histogram, ...]
    rule_out_curve: tuple[RuleOut, ...]
    rule_out: tuple[RuleOut, ...]
    comparisons: tuple[Versus, ...]
    reliability: Reliability
    strata: tuple[Stratum, ...]
    ruled_out_cancers: tuple[Missed, ...]


def assess(table: pl.DataFrame, questions: Questions) -> Assessment:
    """Of a checked table with `ai.evaluation.cases.NEEDED`. Raises ValueError: no exam can be evaluated."""
    found = cases(table)
    told = sorted({*USUAL, questions.rule_out})
    return Assessment(
        questions=questions,
        flow=found.flow,
        curves=tuple(_curve(found, name, chosen, questions) for name, chosen in found.kinds().items()),
        points=tuple(_points(found, questions)),
        histograms=tuple(_histogram(found, outcome) for outcome in Outcome),
        rule_out_curve=tuple(_rule_out(found, percent / 100) for percent in range(2, 100, 2)),
        rule_out=tuple(_rule_out(found, position) for position in told),
        comparisons=versus(found, questions.rule_out, questions.flag, _margins(questions)),
        reliability=reliability(found.score, found.cancer),
        strata=strata(found, questions.rule_out, questions.flag),
        ruled_out_cancers=ruled_out_cancers(found, questions.rule_out),
    )


def _margins(questions: Questions) -> Mapping[str, float]:
    return {"sensitivity": questions.sensitivity_margin, "specificity": questions.specificity_margin}


def _curve(found: Cases, name: str, kind: tuple[Flags, Flags], questions: Questions) -> Curve:
    positive, chosen = kind
    scores, truth, women = found.score[chosen], positive[chosen], numbered(found.women[chosen])
    drawn = resampled(women, questions.draws, questions.seed)
    false_positive, true_positive = _roc(scores, truth)
    return Curve(
        name,
        auc.delong(scores, truth, women),
        auc.bootstrapped(scores, truth, drawn, women),
        false_positive,
        true_positive,
    )


def _roc(scores: NDArray[np.float64], positive: Flags) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(share of negatives, of positives) at or above each score; thinned evenly along the curve."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    rates = []
    for kind in (~positive, positive):
        rates.append(np.append(0.0, np.cumsum(kind[order])[last] / max(1, int(kind.sum()))))
    along = rates[0] + rates[1]
    kept = np.unique(np.searchsorted(along, np.linspace(0, 2, _ROC_POINTS)).clip(0, len(along) - 1))
    return tuple(rates[0][kept].tolist()), tuple(rates[1][kept].tolist())


def _points(found: Cases, questions: Questions) -> list[Point]:
    """The AI at its two lines, and the readers where the table tells of them, on the exams it tells of."""
    who: dict[str, tuple[Flags, Flags]] = {
        f"AI, not ruled out (from {questions.rule_out:.0%})": (found.everywhere, found.position >= questions.rule_out),
        f"AI, flagged (from {questions.flag:.0%})": (found.everywhere, found.position >= questions.flag),
        "first reader": found.flags("r1", 2),
        "second reader": found.flags("r2", 2),
        "recalled": found.recalled(),
    }
    return [
        _point(found, name, cancers, positive, known & counted)
        for name, (known, positive) in who.items()
        if known.any()
        for cancers, (_, counted) in found.kinds().items()
    ]


def _point(found: Cases, who: str, cancers: str, positive: Flags, counted: Flags) -> Point:
    truth = found.sdc if cancers == SDC else found.cancer

    def of(chosen: Flags, what: Flags) -> Share:
        return share_of(what[chosen & counted], found.women[chosen & counted])

    return Point(who, cancers, of(truth, positive), of(~truth, ~positive), of(positive, truth), of(~positive, ~truth))


def _histogram(found: Cases, outcome: Outcome) -> Histogram:
    positions = found.position[(found.table["outcome"] == outcome).to_numpy()]
    counts = np.histogram(positions, bins=_BINS, range=(0, 1))[0]
    return Histogram(outcome.value, len(positions), tuple((counts / max(1, len(positions))).tolist()))


def _rule_out(found: Cases, position: float) -> RuleOut:
    below = found.position < position
    sdc, ic = (share_of(below[kind], found.women[kind]) for kind in (found.sdc, found.ic))
    return RuleOut(
        position=position,
        ruled_out=share_of(below, found.women),
        missed_sdc=sdc,
        missed_ic=ic,
        limit_sdc=upper_limit(sdc.count, sdc.of),
        limit_ic=upper_limit(ic.count, ic.of),
        sdc_per_10000=share_of(found.sdc[below], found.women[below]),
        ic_per_10000=share_of(found.ic[below], found.women[below]),
    )
