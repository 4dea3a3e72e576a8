"""Shares and their intervals, and what women with several exams cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ai.evaluation.intervals import clopper_pearson, design_effect, share, share_of, upper_limit, wilson

COUNTS = [(0, 12), (1, 40), (33, 752), (12, 12), (7, 123_000)]
ALONE = np.arange(2000)


@pytest.mark.parametrize(("count", "of"), COUNTS)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_those_of_scipy(count: int, of: int, level: float) -> None:
    test = stats.binomtest(count, of)
    for method, mine in (("wilson", wilson), ("exact", clopper_pearson)):
        expected = test.proportion_ci(level, method=method)
        assert mine(count, of, level) == pytest.approx((expected.low, expected.high), abs=1e-12), method


def test_of_nothing_there_is_nothing_to_say() -> None:
    assert all(map(math.isnan, (*wilson(0, 0), *clopper_pearson(0, 0), share(0, 0).value)))
    assert upper_limit(0, 0) == 1


def test_no_miss_among_so_many_is_the_rule_of_three() -> None:
    assert upper_limit(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_limit(0, 300) == pytest.approx(3 / 300, rel=0.01)


def test_exams_of_one_woman_that_are_all_alike_count_as_one() -> None:
    rng = np.random.default_rng(1)
    own = rng.random(500) < 0.2
    four = np.repeat(own, 4)
    found = share_of(four, np.repeat(np.arange(500), 4))
    assert design_effect(four, np.repeat(np.arange(500), 4)) == pytest.approx(4, rel=0.01)
    assert (found.count, found.of) == (4 * own.sum(), 2000)
    assert (found.low, found.high) == pytest.approx(wilson(int(own.sum()), 500), abs=1e-3)


def test_exams_that_have_nothing_to_do_with_each_other_lose_nothing() -> None:
    values = np.random.default_rng(2).random(2000) < 0.3
    assert design_effect(values, ALONE) == 1
    assert design_effect(values, ALONE // 4) == pytest.approx(1, abs=0.15)
    assert design_effect(np.zeros(5, bool), np.arange(5)) == 1
    assert design_effect(np.zeros(0, bool), np.zeros(0, int)) == 1
