"""Area under the ROC curve with an interval, in the time that sorting takes, exams clustered by woman.

The placements of DeLong, DeLong and Clarke-Pearson (1988) come from midranks (Sun and Xu 2014). Their variance is
Obuchowski's (1997) for clusters, which is DeLong's to the last digit where each woman has one exam. The interval is
straight on the logit scale, so that it stays within 0 and 1 (Perme and Manevski, Statistical Methods in Medical
Research 28 (2019) 3755), and takes Student's t with Satterthwaite's degrees of freedom, as Brunner and Munzel (2000).

That alone is too short near 1 with few cancers: a sample in which by luck none scored low knows of no spread. So the
interval, and it alone, is taken as if there were a further exam that tells nothing, placed in the middle of all others:
what Agresti and Coull (The American Statistician 52 (1998) 119) do for a share. It counts PSEUDO of an exam, of the
kind that there are fewer of. `benchmarks/coverage.py` shows what that gives, and chose the number.
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

#: Weight of the exam that tells nothing; simulated coverage is nearest to 95 % with it.
PSEUDO = 0.75


@dataclass(frozen=True, slots=True)
class Area:
    """Area under a curve with its interval; the standard error is DeLong's, of the area itself and not of its logit."""

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

    NaN without positives or negatives; no interval (NaN) where there are fewer than two women of a kind.
    """
    positives = int(np.count_nonzero(positive))
    counts = positives, len(positive) - positives
    if not _tells(positive):
        return Area(*counts, NOTHING, math.nan)
    placed = _placements(scores, positive)
    own = _spread(placed, positive, women).error
    low, high = _logit_interval(_spread(placed, positive, women, PSEUDO), level)
    # the further exam draws the interval to the middle, at most to where the estimate is its end
    return Area(*counts, Estimate(placed.area, min(low, placed.area), max(high, placed.area)), own)


def delong_difference(
    first: Scores, second: Scores, positive: Flags, women: Women | None = None, level: float = LEVEL
) -> Difference:
    """Two scores of the same exams compared. NaN where the data do not tell."""
    if not _tells(positive):
        return Difference(NOTHING, math.nan, math.nan)
    placed = _placements(first, positive) - _placements(second, positive)
    error = _spread(placed, positive, women).error
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


@dataclass(frozen=True, slots=True)
class _Spread:
    """An area (or a difference of areas), its standard error and degrees of freedom; NaN with too few women."""

    area: float
    error: float
    freedom: float


def _spread(placed: _Placements, positive: Flags, women: Women | None, pseudo: float = 0.0) -> _Spread:
    """Obuchowski 1997. pseudo: the weight of a further exam in the middle, of the kind that there are fewer of."""
    of = np.arange(len(positive)) if women is None else women
    fewer = 2 * int(np.count_nonzero(positive)) <= len(positive)
    kinds = [
        _kind(of[positive == kind], values, placed.area, pseudo if kind == fewer else 0.0)
        for kind, values in ((True, placed.positive), (False, placed.negative))
    ]
    if min(each.women for each in kinds) < 2:
        return _Spread(placed.area, math.nan, math.nan)
    area = kinds[0 if fewer else 1].area
    variance = sum(each.variance for each in kinds)
    both, size = int(np.count_nonzero(np.bincount(of))), int(of.max()) + 1
    sums = [np.pad(each.sums, (0, size - len(each.sums))) for each in kinds]
    shared = 2 * both / (both - 1) * float(np.sum(sums[0] * sums[1]))
    doubt = sum(each.variance**2 / (each.women - 1) for each in kinds)
    return _Spread(area, math.sqrt(max(0.0, variance + shared)), variance**2 / doubt if doubt > 0 else math.nan)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Of the exams of one kind: sums: by woman, of their distances from the area; women: how many there are."""

    area: float
    sums: Scores
    women: float
    variance: float


def _kind(of: Women, values: Scores, area: float, pseudo: float) -> _Kind:
    exams, women = len(of) + pseudo, int(np.count_nonzero(np.bincount(of))) + pseudo
    area = area + pseudo * (0.5 - area) / exams
    sums = np.bincount(of, weights=values - area) / exams
    squares = float(np.sum(sums**2)) + pseudo * ((0.5 - area) / exams) ** 2
    return _Kind(area, sums, women, women / (women - 1) * squares if women > 1 else math.nan)


def _logit_interval(found: _Spread, level: float) -> tuple[float, float]:
    if not 0 < found.area < 1 or not found.error > 0:
        return math.nan, math.nan
    half = float(special.stdtrit(found.freedom, (1 + level) / 2)) * found.error / (found.area * (1 - found.area))
    middle = float(special.logit(found.area))
    return float(special.expit(middle - half)), float(special.expit(middle + half))


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
