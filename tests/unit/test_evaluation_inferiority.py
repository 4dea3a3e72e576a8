"""Two ways of reading compared: published examples, and the definitions maximised by another's optimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize

from ai.evaluation.inferiority import (
    Pairs,
    mcnemar,
    non_inferior_paired,
    non_inferior_unpaired,
    paired,
    paired_variance,
    restricted,
)

#: Airway hyper-responsiveness before and after stem-cell transplantation, Bentur et al. 2009, as analysed by
#: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013) and Statistics in Medicine 33 (2014).
AIRWAYS = Pairs(both=1, gained=1, lost=7, neither=12)
COUNT = st.integers(0, 30)


def test_tangos_interval_of_the_published_example() -> None:
    found = non_inferior_paired(AIRWAYS, 0.1).difference
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_mcnemar_of_the_published_example() -> None:
    found = mcnemar(AIRWAYS)
    assert (found.exact, found.mid_p) == pytest.approx((0.0703, 0.0391), abs=5e-5)
    assert mcnemar(Pairs(9, 0, 0, 9)) == mcnemar(Pairs(9, 4, 4, 9)), "as many gained as lost: p is 1"


def likeliest_lost(gained: int, lost: int, of: int, difference: float) -> float:
    """Maximises the trinomial likelihood where gained - lost is `difference`, by search."""

    def unlikelihood(q: float) -> float:
        chances = (q + difference, q, 1 - 2 * q - difference)
        seen = (gained, lost, of - gained - lost)
        return -sum(n * math.log(max(p, 1e-300)) for n, p in zip(seen, chances, strict=True) if n)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    return float(optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-11}).x)


@given(COUNT, COUNT, COUNT, st.floats(-0.6, 0.6))
def test_the_paired_variance_is_that_of_the_likeliest_shares(
    gained: int, lost: int, rest: int, difference: float
) -> None:
    assume(gained + lost > 0)
    of = gained + lost + rest
    expected = 2 * likeliest_lost(gained, lost, of, difference) + difference - difference**2
    assert paired_variance(gained / of, lost / of, difference) == pytest.approx(expected, abs=1e-4)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1), st.floats(-0.7, 0.7))
def test_the_unpaired_shares_are_the_likeliest(n: int, m: int, a: float, b: float, difference: float) -> None:
    new, old = (round(a * n), n), (round(b * m), m)

    def unlikelihood(p: float) -> float:
        seen = ((new[0], p), (n - new[0], 1 - p), (old[0], p - difference), (m - old[0], 1 - p + difference))
        return -sum(count * math.log(max(chance, 1e-300)) for count, chance in seen if count)

    bounds = (max(0.0, difference), min(1.0, 1 + difference))
    found = optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-11})
    mine, other = restricted(new, old, difference)
    assert other == pytest.approx(mine - difference, abs=1e-9)
    assert unlikelihood(mine) <= found.fun + 1e-6


@given(COUNT, COUNT, COUNT, COUNT, st.floats(0.01, 0.5))
def test_no_worse_is_shown_just_where_the_interval_says_so(a: int, b: int, c: int, d: int, margin: float) -> None:
    pairs = Pairs(a, b, c, d)
    assume(pairs.all > 0)
    found = non_inferior_paired(pairs, margin)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assume(abs(found.difference.low + margin) > 1e-6)
    assert found.shown == (found.difference.low > -margin)


def test_paired_and_unpaired_say_the_same_of_what_is_not_correlated() -> None:
    """750 exams each, 80 % and 76 % positive, independently."""
    pairs = Pairs(both=456, gained=114, lost=144, neither=36)
    ours = non_inferior_paired(pairs, 0.1)
    other = non_inferior_unpaired((570, 750), (600, 750), 0.1)
    assert ours.difference.value == pytest.approx(other.difference.value)
    assert (ours.difference.low, ours.difference.high) == pytest.approx(
        (other.difference.low, other.difference.high), abs=2e-3
    )


def test_exams_worth_less_widen_the_interval() -> None:
    pairs = Pairs(600, 40, 45, 65)
    narrow, wide = (non_inferior_paired(pairs, 0.05, effect=effect).difference for effect in (1.0, 4.0))
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2, rel=0.05)


def test_what_two_ways_said_is_counted() -> None:
    new, old = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 0], bool)
    assert paired(new, old) == Pairs(both=1, gained=2, lost=1, neither=1)


def test_of_nothing_nothing_is_shown() -> None:
    assert not non_inferior_paired(Pairs(0, 0, 0, 0), 0.1).shown
    assert not non_inferior_unpaired((0, 0), (3, 5), 0.1).shown
