"""Two ways of reading compared: McNemar's test, the difference of two shares, and non-inferiority with a margin.

Paired (both ways judged the same exams): Tango's score interval (1998), whose test at a margin is Nam's (1997).
Unpaired (other exams): the score interval of Miettinen and Nurminen without their small-sample factor, whose test at
a margin is Farrington and Manning's (1990). Both find the variance where the difference is what is to be refuted,
which keeps the error of the test near its level where Wald's does not. A way is shown to be no worse than another by
more than the margin when the lower end of the interval lies above minus the margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ai.evaluation.intervals import LEVEL, NOTHING, Estimate, design_effect, normal_quantile


@dataclass(frozen=True, slots=True)
class Pairs:
    """Exams that two ways judged. gained: positive by the new way alone; lost: by the old way alone."""

    both: int
    gained: int
    lost: int
    neither: int

    @property
    def all(self) -> int:
        return self.both + self.gained + self.lost + self.neither


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two-sided p that gains and losses are alike: exact, and mid-p, which is the less timid and holds its level."""

    exact: float
    mid_p: float


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The new way's share less the old way's, with its interval, against a margin (0–1).

    p: one-sided, of a difference as far from minus the margin as this one if the new way were worse by the margin.
    shown: p is at most (1 - level) / 2, which is the lower end of the interval above minus the margin.
    """

    difference: Estimate
    margin: float
    p: float
    shown: bool


def paired(new: NDArray[np.bool_], old: NDArray[np.bool_]) -> Pairs:
    """What two ways said of the same exams."""
    kinds = [new & old, new & ~old, ~new & old, ~new & ~old]
    return Pairs(*(int(np.count_nonzero(kind)) for kind in kinds))


def mcnemar(pairs: Pairs) -> McNemar:
    """Of gains and losses alone; 1 where there are none."""
    of = pairs.gained + pairs.lost
    if not of:
        return McNemar(1.0, 1.0)
    exact = float(stats.binomtest(pairs.gained, of).pvalue)
    half = float(stats.binom.pmf(pairs.gained, of, 0.5))
    return McNemar(exact, 1.0 if pairs.gained == pairs.lost else exact - half)


def pair_effect(new: NDArray[np.bool_], old: NDArray[np.bool_], women: NDArray[np.intp]) -> float:
    """The design effect of the difference, by woman (see `ai.evaluation.intervals.design_effect`)."""
    return design_effect(new.astype(np.float64) - old.astype(np.float64), women)


def non_inferior_paired(pairs: Pairs, margin: float, *, effect: float = 1.0, level: float = LEVEL) -> NonInferiority:
    """Tango's interval and Nam's test. effect: by which the exams are worth less than as many independent ones."""
    of, gained, lost = (each / effect for each in (pairs.all, pairs.gained, pairs.lost))
    if not of:
        return _judged(NOTHING, margin, math.nan, level)

    def z(difference: float) -> float:
        return _tango(gained, lost, of, difference)

    value = (gained - lost) / of
    return _judged(_score_interval(z, value, level), margin, float(stats.norm.sf(z(-margin))), level)


def non_inferior_unpaired(
    new: tuple[int, int], old: tuple[int, int], margin: float, level: float = LEVEL
) -> NonInferiority:
    """Farrington and Manning's test with its interval. new, old: (count, of), of different exams."""
    if not new[1] or not old[1]:
        return _judged(NOTHING, margin, math.nan, level)

    def z(difference: float) -> float:
        return _farrington_manning(new, old, difference)

    value = new[0] / new[1] - old[0] / old[1]
    return _judged(_score_interval(z, value, level), margin, float(stats.norm.sf(z(-margin))), level)


def _judged(difference: Estimate, margin: float, p: float, level: float) -> NonInferiority:
    return NonInferiority(difference, margin, p, bool(p <= (1 - level) / 2))


def _score_interval(z: Callable[[float], float], value: float, level: float) -> Estimate:
    """The differences that are not refuted: z falls from the lower end to the upper one."""
    wanted, edge = normal_quantile(level), 1 - 1e-12
    low = -1.0 if z(-edge) < wanted else float(optimize.brentq(lambda d: z(d) - wanted, -edge, value, xtol=1e-10))
    high = 1.0 if z(edge) > -wanted else float(optimize.brentq(lambda d: z(d) + wanted, value, edge, xtol=1e-10))
    return Estimate(value, low, high)


def _tango(gained: float, lost: float, of: float, difference: float) -> float:
    """Score statistic of the hypothesis that the shares differ by `difference`."""
    surplus = gained - lost - of * difference
    if surplus == 0:
        return 0.0
    variance = of * paired_variance(gained / of, lost / of, difference)
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def paired_variance(gained: float, lost: float, difference: float) -> float:
    """Variance of one pair's difference at the shares that are likeliest, having seen `gained` and `lost` (shares),
    among those that differ by `difference`."""
    b = -gained - lost + (2 - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    likeliest_lost = max(0.0, (math.sqrt(max(0.0, b * b - 8 * c)) - b) / 4, -difference)
    return 2 * likeliest_lost + difference * (1 - difference)


def _farrington_manning(new: tuple[int, int], old: tuple[int, int], difference: float) -> float:
    surplus = new[0] / new[1] - old[0] / old[1] - difference
    if surplus == 0:
        return 0.0
    p_new, p_old = restricted(new, old, difference)
    variance = p_new * (1 - p_new) / new[1] + p_old * (1 - p_old) / old[1]
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def restricted(new: tuple[float, float], old: tuple[float, float], difference: float) -> tuple[float, float]:
    """The likeliest shares (new, old) among those that differ by `difference`: the root of a cubic."""
    ratio, p_new, p_old = old[1] / new[1], new[0] / new[1], old[0] / old[1]
    a, d = 1 + ratio, difference
    b = -(1 + ratio + p_new + ratio * p_old + d * (ratio + 2))
    c = d * d + d * (2 * p_new + ratio + 1) + p_new + ratio * p_old
    e = -p_new * d * (1 + d)
    v = b**3 / (3 * a) ** 3 - b * c / (6 * a * a) + e / (2 * a)
    u = math.copysign(math.sqrt(max(0.0, (b / (3 * a)) ** 2 - c / (3 * a))), v)
    angle = (math.pi + math.acos(max(-1.0, min(1.0, v / u**3)))) / 3 if u else math.pi / 2
    found = min(1.0, max(0.0, 2 * u * math.cos(angle) - b / (3 * a)))
    found = min(1.0, max(d, found)) if d >= 0 else min(1.0 + d, found)
    return found, min(1.0, max(0.0, found - d))
