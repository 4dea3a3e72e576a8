"""The charts of one reference window.

Each cumulative sum adds up the logarithm of a likelihood ratio: how much likelier the exam is in a population shifted
to one side than in the reference population. The shift is an exponential tilt of the reference by a statistic of the
exam: its normal score (all scores move), or whether it lies in a share (the odds of that share change). Such a sum is
the quickest to notice a shift of its size (Moustakides, Annals of Statistics 1986, 1379–1387).

A window is itself a sample. Its share or mean is off by a sampling error, which a sum would add up to an alarm. So the
reference of each sum is shifted beforehand to where the population may lie, on that side, at `CONFIDENCE`: its run
length holds given the window at hand, not only on average over all the windows there might have been (as in Gandy &
Kvaløy, Scandinavian Journal of Statistics 2013, 647–668). With fewer exams in a window, only larger shifts are noticed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from ai.calibration import ReferenceWindow
from ai.monitoring.cusum import Floats, control_limit

#: Exams between two false alarms of a stratum, on average and at least, all its charts together.
RUN_LENGTH = 100_000
#: One-sided, that a window is not further off than the charts allow for.
CONFIDENCE = 0.95
#: Percentiles are told apart by whole percents.
CELLS = 100
#: Exams of the moving window.
MOVING = 400
TENTHS = 10

#: Run length of each chart. False alarms add up: two thirds of them are left to the four sums that see the dangerous
#: shifts first, a third to the eight other charts (two sides of three sums, KS, PSI).
FIRST, OTHER = 6.0 * RUN_LENGTH, 24.0 * RUN_LENGTH
#: PSI that a moving window passes with a chance of 1/(2·`OTHER`); simulated, see benchmarks/drift.py.
_PSI_LIMIT = 0.129
#: Logarithm of the odds ratio, or shift in standard deviations, that a sum is made to notice.
_LOCATION, _RULED_OUT, _TOP_TENTH, _TOP_3 = 0.3, math.log(12 / 7), math.log(2.25), math.log(2.5)
_REJECTED = math.log(3.0)
_FIRST = ("location", "ruled_out")


@dataclass(frozen=True, slots=True)
class Side:
    """One cumulative sum. increments: what an exam of each cell adds. up: whether it looks for more, or for less."""

    chart: str
    up: bool
    increments: Floats
    limit: float


@dataclass(frozen=True, slots=True)
class Design:
    """The charts of a window. expected: share of the reference in each of `CELLS` cells."""

    exams: int
    expected: Floats
    rule_out_cell: int
    sides: tuple[Side, ...]
    ks_limit: float
    psi_limit: float


def cells(percentiles: Floats | float) -> NDArray[np.uint8]:
    """0–99: the whole percent of each percentile, 0–100."""
    return np.asarray(np.minimum(np.floor(percentiles), CELLS - 1), np.uint8)


def design(window: ReferenceWindow, rule_out_percentile: float) -> Design:
    """The charts for exams that are placed in this window."""
    middle = np.interp(np.arange(0.5, CELLS), window.percentiles, window.scores)
    own = cells(np.array([window.percentile(float(score)) for score in middle]))
    expected = np.bincount(own, minlength=CELLS) / CELLS  # even, but for scores that many exams have in common
    rule_out = round(rule_out_percentile)
    statistics = _statistics(rule_out)
    sides = tuple(
        tilted(name, statistic, expected, direction * size, window.exams)
        for name, (statistic, size) in statistics.items()
        for direction in (1, -1)
    )
    sampling = math.sqrt(-math.log((1 - CONFIDENCE) / 2) / 2 / window.exams)
    chance = math.sqrt(chi2.ppf(CONFIDENCE, TENTHS - 1) / window.exams)
    return Design(
        exams=window.exams,
        expected=expected,
        rule_out_cell=rule_out,
        sides=sides,
        # 2·exp(−2·n·d²) bounds the chance of each window (Massart 1990), so 1/(2·chance) the run length
        ks_limit=math.sqrt(math.log(4 * OTHER) / 2 / MOVING) + sampling,
        psi_limit=(math.sqrt(_PSI_LIMIT) + chance) ** 2,
    )


def _statistics(rule_out: int) -> dict[str, tuple[Floats, float]]:
    """Chart → statistic of an exam by its cell, and the tilt to notice."""
    position = np.arange(CELLS)
    return {
        "location": (norm.ppf((position + 0.5) / CELLS), _LOCATION),
        "ruled_out": ((position < rule_out).astype(float), _RULED_OUT),
        "top_10": ((position >= 90).astype(float), _TOP_TENTH),
        "top_3": ((position >= 97).astype(float), _TOP_3),
    }


def tilted(chart: str, statistic: Floats, expected: Floats, tilt: float, exams: int) -> Side:
    """The sum that notices the reference tilted by `tilt`; it is known from `exams` exams only."""
    sd = math.sqrt(max(float(expected @ statistic**2 - (expected @ statistic) ** 2), 1e-12))
    slack = math.copysign(float(norm.ppf(CONFIDENCE)) / sd / math.sqrt(exams), tilt)
    noticed = math.copysign(max(abs(tilt), 2 * abs(slack)), tilt)
    before, after = (math.log(float(expected @ np.exp(each * statistic))) for each in (slack, noticed))
    increments = (noticed - slack) * statistic - (after - before)
    reference = expected * np.exp(slack * statistic - before)
    return Side(chart, tilt > 0, increments, control_limit(increments, reference, FIRST if chart in _FIRST else OTHER))


def rejecting(rejected: int, exams: int) -> tuple[Side, Side]:
    """The sums of the share of exams that are not read; cell 1 is one that was not. From `exams` exams before."""
    rate = (rejected + 0.5) / (exams + 1)
    expected, statistic = np.array([1 - rate, rate]), np.array([0.0, 1.0])
    up, down = (tilted("rejected", statistic, expected, sign * _REJECTED, exams) for sign in (1, -1))
    return up, down
