"""Shares with their intervals, and what it costs them that a woman is seen more than once.

Wilson's score interval is the one shown: its coverage is near the nominal level at any share. Clopper and Pearson's
never covers less than the level and is used where a limit has to be promised (see `ai.evaluation.planning`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the interval that holds the truth at the given level; NaN where the data do not tell."""

    value: float
    low: float
    high: float


NOTHING = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, as a share from 0 to 1 with its interval; NaN of none."""

    count: int
    of: int
    value: float
    low: float
    high: float


def normal_quantile(level: float) -> float:
    """z of a two-sided interval, 1.96 at 0.95."""
    return float(stats.norm.ppf((1 + level) / 2))


def wilson(count: float, of: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share. Counts may be effective ones, that is: not whole. NaN of none."""
    if of <= 0:
        return math.nan, math.nan
    z, share = normal_quantile(level), count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half) if count > 0 else 0.0, min(1.0, middle + half) if count < of else 1.0


def clopper_pearson(count: float, of: float, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's interval: each side is wrong in at most (1 - level) / 2 of all samples. NaN of none."""
    if of <= 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, count, of - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, of - count)) if count < of else 1.0
    return low, high


def upper_limit(count: int, of: int, confidence: float = LEVEL) -> float:
    """One-sided: the share is below this with at least the given confidence. 1 of none."""
    return 1.0 if of <= 0 else clopper_pearson(count, of, 2 * confidence - 1)[1]


def design_effect(values: NDArray[np.floating] | NDArray[np.bool_], women: NDArray[np.intp]) -> float:
    """How many times larger the variance of the mean of `values` is because exams of one woman resemble each other.

    women: exam → number of its woman. At least 1: that exams of a woman differ more than those of two is taken for
    chance. 1 where there is nothing to compare.
    """
    centred = values - np.mean(values) if len(values) else np.zeros(0)
    alone = float(np.sum(centred**2))
    clusters = int(np.count_nonzero(np.bincount(women)))
    if clusters < 2 or alone == 0:
        return 1.0
    together = float(np.sum(np.bincount(women, weights=centred) ** 2))
    correction = clusters / (clusters - 1) / (len(values) / (len(values) - 1))
    return max(1.0, together / alone * correction)


def share(count: int, of: int, *, effect: float = 1.0, level: float = LEVEL) -> Share:
    """A share with Wilson's interval. effect: see `design_effect`."""
    low, high = wilson(count / effect, of / effect, level)
    return Share(count, of, count / of if of else math.nan, low, high)


def share_of(found: NDArray[np.bool_], women: NDArray[np.intp], level: float = LEVEL) -> Share:
    """The share of exams that are `found`, with Wilson's interval on as many exams as independent ones are worth."""
    return share(int(np.count_nonzero(found)), len(found), effect=design_effect(found, women), level=level)
