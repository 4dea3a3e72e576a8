"""Area under the ROC curve with DeLong's interval, in the time that sorting takes, exams clustered by woman.

The placements of DeLong, DeLong and Clarke-Pearson (1988) come from midranks (Sun and Xu 2014). Their variance is
Obuchowski's (1997) for clusters, which is DeLong's to the last digit where each woman has one exam. The interval is
straight on the logit scale, so that it stays within 0 and 1, and takes Student's t with Satterthwaite's degrees of
freedom, as Brunner and Munzel (2000) do: both matter near 1 and with few cancers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ai.evaluation.intervals import LEVEL, NOTHING, Estimate, normal_quantile

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]
Women = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Area:
    """Area under a curve: `estimate` with DeLong's interval; the standard error is the area's own, not the logit's."""

    positives: int
    negatives: int
    estimate: Estimate
    standard_error: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Area of the first scores less that of the second, on the same exams; p two-sided."""

    estimate: Estimate
    standard_error: float
    p: float


@dataclass(frozen=True, slots=True)
class _Placements:
    """positive: per positive exam, the share of negatives below it; negative: per negative, of positives above it."""

    area: float
    positive: Scores
    negative: Scores

    def __sub__(self, other: _Placements) -> _Placements:
        return _Placements(self.area - other.area, self.positive - other.positive, self.negative - other.negative)


def area_under_curve(scores: Scores, positive: Flags) -> float:
    """Probability that a positive scores above a negative, ties counting half. NaN without both."""
    return _placements(scores, positive).area if _tells(positive) else math.nan


def delong(scores: Scores, positive: Flags, women: Women | None = None, level: float = LEVEL) -> Area:
    """The area with its interval. women: exam → number of its woman; without it every exam stands alone.

    NaN without positives or negatives; no interval (NaN) where they are wholly apart or fewer than two of a kind.
    """
    positives = int(np.count_nonzero(positive))
    counts = positives, len(positive) - positives
    if not _tells(positive):
        return Area(*counts, NOTHING, math.nan)
    placed = _placements(scores, positive)
    error, freedom = _standard_error(placed, positive, women)
    return Area(*counts, _logit_interval(placed.area, error, freedom, level), error)


def delong_difference(
    first: Scores, second: Scores, positive: Flags, women: Women | None = None, level: float = LEVEL
) -> Difference:
    """Two scores of the same exams compared. NaN where the data do not tell."""
    if not _tells(positive):
        return Difference(NOTHING, math.nan, math.nan)
    placed = _placements(first, positive) - _placements(second, positive)
    error, _ = _standard_error(placed, positive, women)
    if not error > 0:
        return Difference(Estimate(placed.area, math.nan, math.nan), error, math.nan)
    half = normal_quantile(level) * error
    p = float(2 * stats.norm.sf(abs(placed.area) / error))
    return Difference(Estimate(placed.area, placed.area - half, placed.area + half), error, p)


def bootstrapped(
    scores: Scores, positive: Flags, multiplicities: Iterable[NDArray[np.uint16]], women: Women, level: float = LEVEL
) -> Estimate:
    """The area with its percentile interval. multiplicities: arrays (draws, women), how often each woman is drawn.

    The percentiles lie further out than the level says, by as much as so few women with (or without) cancer make a
    bootstrap too narrow: Hesterberg's expanded percentile interval, The American Statistician 69 (2015) 371–386.
    """
    order = np.argsort(scores, kind="stable")
    areas = [
        _weighted_area(scores[order], positive[order], drawn[women[order]].astype(np.float64))
        for chunk in multiplicities
        for drawn in chunk
    ]
    known = np.array(areas)[~np.isnan(areas)]
    if not _tells(positive) or not len(known):
        return NOTHING
    tail = _expanded_tail(min(len(np.unique(women[positive])), len(np.unique(women[~positive]))), level)
    low, high = np.quantile(known, (tail, 1 - tail))
    return Estimate(area_under_curve(scores, positive), float(low), float(high))


def _expanded_tail(women: int, level: float) -> float:
    if women < 2:
        return 0.0
    return float(stats.norm.cdf(math.sqrt(women / (women - 1)) * stats.t.ppf((1 - level) / 2, women - 1)))


def _tells(positive: Flags) -> bool:
    return bool(positive.any()) and not bool(positive.all())


def _placements(scores: Scores, positive: Flags) -> _Placements:
    ranks = stats.rankdata(scores)
    above, below = scores[positive], scores[~positive]
    of_positive = (ranks[positive] - stats.rankdata(above)) / len(below)
    of_negative = 1 - (ranks[~positive] - stats.rankdata(below)) / len(above)
    return _Placements(float(of_positive.mean()), of_positive, of_negative)


def _standard_error(placed: _Placements, positive: Flags, women: Women | None) -> tuple[float, float]:
    """Obuchowski 1997 (of one area, or of a difference when given differences of placements); degrees of freedom."""
    of = np.arange(len(positive)) if women is None else women
    clusters = int(of.max()) + 1
    sums, variances, freedoms = [], [], []
    for kind, values in ((True, placed.positive), (False, placed.negative)):
        exams = of[positive == kind]
        present = int(np.count_nonzero(np.bincount(exams)))
        if present < 2:
            return math.nan, math.nan
        sums.append(np.bincount(exams, weights=values - placed.area, minlength=clusters) / len(exams))
        variances.append(present / (present - 1) * float(np.sum(sums[-1] ** 2)))
        freedoms.append(present - 1)
    both = int(np.count_nonzero(np.bincount(of)))
    shared = 2 * both / (both - 1) * float(np.sum(sums[0] * sums[1]))
    spread = sum(each**2 / freedom for each, freedom in zip(variances, freedoms, strict=True))
    freedom = sum(variances) ** 2 / spread if spread > 0 else math.nan
    return math.sqrt(max(0.0, sum(variances) + shared)), freedom


def _logit_interval(area: float, error: float, freedom: float, level: float) -> Estimate:
    if not 0 < area < 1 or not error > 0:
        return Estimate(area, math.nan, math.nan)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error / (area * (1 - area))
    middle = float(special.logit(area))
    return Estimate(area, float(special.expit(middle - half)), float(special.expit(middle + half)))


def _weighted_area(scores: Scores, positive: Flags, weights: Scores) -> float:
    """The area of ascending scores where each exam counts `weights` times."""
    negative = np.where(positive, 0.0, weights)
    counted = weights[positive]
    if not counted.sum() or not negative.sum():
        return math.nan
    below = np.concatenate(([0.0], np.cumsum(negative)))
    wanted = scores[positive]
    first, after = np.searchsorted(scores, wanted, "left"), np.searchsorted(scores, wanted, "right")
    return float(np.dot(counted, (below[first] + below[after]) / 2) / counted.sum() / negative.sum())
