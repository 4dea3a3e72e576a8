"""How many exams and cancers a site needs before its own figures can show what it wants shown.

Everything here counts cancers first; exams follow from how many cancers a thousand exams have. Shares are from 0 to
1. Answers are the smallest numbers with which the method that the report uses reaches what is asked: by exact
binomial sums for misses and precision, by the normal approximation of Nam's test for paired non-inferiority.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ai.evaluation.inferiority import paired_variance
from ai.evaluation.intervals import clopper_pearson, wilson

#: Beyond this no programme has so many cancers.
MOST = 200_000


class Unreachable(ValueError):
    """No number of exams shows what is asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """cancers: needed; allowed: of them at most so many may be missed, where that is the question; exams, years."""

    cancers: int
    exams: int
    years: float | None
    allowed: int | None = None


def planned(cancers: int, per_thousand: float, yearly: int | None = None, allowed: int | None = None) -> Plan:
    """The plan for so many cancers. per_thousand: of them in a thousand exams; yearly: exams of the site a year."""
    exams = math.ceil(cancers * 1000 / per_thousand)
    return Plan(cancers, exams, exams / yearly if yearly else None, allowed)


def cancers_for_misses(
    limit: float, expected: float, *, confidence: float = 0.95, power: float = 0.8
) -> tuple[int, int]:
    """Cancers, and how many of them may be missed, to show that the rule-out misses fewer than `limit` of them.

    Shown is: the one-sided upper limit of Clopper and Pearson at `confidence` lies below `limit`. power: chance of
    that when the share missed is `expected`. Raises Unreachable.
    """
    if not 0 <= expected < limit:
        raise Unreachable(
            f"the expected share of misses, {expected:g}, must be from 0 up and below the limit, {limit:g}"
        )

    def allowed(cancers: int) -> int:
        """The largest count of misses that still shows it; -1: none does."""
        # the limit of k misses of n is below `limit` just when P(at most k misses | limit) is below 1 - confidence
        k = int(stats.binom.ppf(1 - confidence, cancers, limit))
        while k >= 0 and stats.binom.cdf(k, cancers, limit) >= 1 - confidence:
            k -= 1
        return k

    def reached(cancers: int) -> bool:
        k = allowed(cancers)
        return k >= 0 and bool(stats.binom.cdf(k, cancers, expected) >= power)

    cancers = _smallest_for_good(reached)
    return cancers, allowed(cancers)


def cancers_for_width(expected: float, half_width: float, *, level: float = 0.95) -> int:
    """Cancers for a sensitivity (or any share) of about `expected` known to ± half_width, by Wilson's interval."""

    def reached(cancers: int) -> bool:
        low, high = wilson(expected * cancers, cancers, level)
        return (high - low) / 2 <= half_width

    return _smallest_for_good(reached)


def pairs_for_non_inferiority(
    margin: float, discordant: float, difference: float = 0.0, *, level: float = 0.95, power: float = 0.8
) -> int:
    """Paired cases (cancers for sensitivity, exams without for specificity) to show no loss beyond `margin`.

    discordant: share of cases in which just one of both ways is positive; difference: the new way's share less the old
    way's, as it is expected. Nam 1997: the variance under the hypothesis is that of the likeliest shares there.
    Raises Unreachable.
    """
    if not 0 < discordant <= 1 or abs(difference) > discordant:
        raise Unreachable(
            f"the discordant share, {discordant:g}, must be above 0, at most 1 and not below the difference"
        )
    if difference <= -margin:
        raise Unreachable(f"an expected difference of {difference:g} is itself a loss beyond the margin, {margin:g}")
    gained, lost = (discordant + difference) / 2, (discordant - difference) / 2
    spread_null = math.sqrt(paired_variance(gained, lost, -margin))
    spread = math.sqrt(discordant - difference**2)
    z_level, z_power = (float(stats.norm.ppf(each)) for each in ((1 + level) / 2, power))
    return math.ceil(((z_level * spread_null + z_power * spread) / (margin + difference)) ** 2)


def shown_with(cancers: int, expected: float) -> tuple[float, float]:
    """The interval of Clopper and Pearson that so many cancers give a share of about `expected`."""
    return clopper_pearson(round(cancers * expected), cancers)


def _smallest_for_good(reached: Callable[[int], bool]) -> int:
    """The smallest number that reaches it and after which a tenth more does too: whole counts make power jump."""
    high = 1
    while not _for_good(reached, high):
        high *= 2
        if high > MOST:
            raise Unreachable(f"more than {MOST:,} would be needed")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _for_good(reached, middle) else (middle, high)
    return high


def _for_good(reached: Callable[[int], bool], number: int) -> bool:
    return all(reached(int(each)) for each in np.unique(np.linspace(number, number * 1.1, 12).astype(int)))
