"""Areas under the curve: what they are, what DeLong's variance is, and what women with several exams cost."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.evaluation.auc import area_under_curve, bootstrapped, delong, delong_difference
from ai.evaluation.bootstrap import resampled
from ai.evaluation.intervals import clopper_pearson

EXAMS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40)


def exams(rng: np.random.Generator, size: int, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    positive = rng.random(size) < share
    return rng.normal(size=size) + positive, positive


def by_definition(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Area and DeLong's variance from every pair, as the paper writes them."""
    above = scores[positive][:, None] - scores[~positive][None, :]
    pairs = (above > 0) + 0.5 * (above == 0)
    of_positive, of_negative = pairs.mean(1), pairs.mean(0)
    variance = of_positive.var(ddof=1) / len(of_positive) + of_negative.var(ddof=1) / len(of_negative)
    return float(pairs.mean()), float(variance)


@pytest.mark.parametrize(
    ("scores", "area"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)]
)
def test_area_under_curve(scores: list[float], area: float) -> None:
    assert area_under_curve(np.array(scores), np.array([False, False, True, True])) == area


@given(EXAMS)
def test_area_and_variance_are_those_of_every_pair(found: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([each for each, _ in found], float), np.array([each for _, each in found])
    area = delong(scores, positive)
    if not positive.any() or positive.all():
        assert math.isnan(area.estimate.value)
    elif min(positive.sum(), (~positive).sum()) < 2:
        assert math.isnan(area.standard_error)
    else:
        expected, variance = by_definition(scores, positive)
        assert area.estimate.value == pytest.approx(expected)
        assert area.standard_error**2 == pytest.approx(variance, abs=1e-12)


def test_the_interval_holds_the_area_and_narrows_with_more_women() -> None:
    rng = np.random.default_rng(1)
    few, many = (delong(*exams(rng, size)).estimate for size in (60, 2400))
    for each in (few, many):
        assert each.low < 0.76 < each.high, "the area of two normal distributions one apart is 0.76"
    assert many.high - many.low < (few.high - few.low) / 4


def test_wholly_apart_the_interval_is_about_that_of_a_share_that_never_failed() -> None:
    found = delong(np.arange(1030.0), np.arange(1030) >= 1000)
    assert (found.estimate.value, found.estimate.high) == (1, 1)
    assert found.estimate.low == pytest.approx(clopper_pearson(30, 30)[0], abs=0.02)
    assert math.isnan(delong(np.arange(10.0), np.arange(10) > 8).estimate.low), "of one cancer nothing can be told"


def test_with_many_cancers_the_interval_is_delongs() -> None:
    scores, positive = exams(np.random.default_rng(8), 40_000)
    found = delong(scores, positive)
    half = 1.96 * found.standard_error
    expected = (found.estimate.value - half, found.estimate.value + half)
    assert (found.estimate.low, found.estimate.high) == pytest.approx(expected, abs=2e-4)


def test_scores_turned_round_and_kinds_exchanged_give_the_same_interval() -> None:
    scores, positive = exams(np.random.default_rng(9), 200, 0.2)
    one, other = delong(scores, positive).estimate, delong(-scores, ~positive).estimate
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_the_same_exam_twice_tells_no_more_than_once() -> None:
    rng = np.random.default_rng(3)
    scores, positive = exams(rng, 400)
    once = delong(scores, positive, np.arange(400))
    twice = delong(np.tile(scores, 2), np.tile(positive, 2), np.tile(np.arange(400), 2))
    assert twice.standard_error == pytest.approx(once.standard_error)
    assert delong(np.tile(scores, 2), np.tile(positive, 2)).standard_error < 0.8 * once.standard_error


def test_delong_by_woman_and_the_bootstrap_of_women_agree() -> None:
    rng = np.random.default_rng(4)
    of = np.repeat(np.arange(400), 3)
    positive = (rng.random(400) < 0.3)[of]
    scores = rng.normal(size=400)[of] + 0.5 * rng.normal(size=1200) + 1.5 * positive
    smooth, drawn = delong(scores, positive, of), bootstrapped(scores, positive, resampled(of, 1000, 1), of)
    assert drawn.value == smooth.estimate.value
    assert (drawn.low, drawn.high) == pytest.approx((smooth.estimate.low, smooth.estimate.high), abs=0.006)
    alone = delong(scores, positive).estimate
    assert alone.high - alone.low < 0.8 * (drawn.high - drawn.low), "as if each exam were another woman"


def test_a_bootstrap_draw_is_the_area_of_the_exams_it_drew() -> None:
    rng = np.random.default_rng(5)
    scores, positive = np.round(rng.normal(size=60), 1), np.arange(60) < 20
    drawn = rng.integers(0, 4, 60)
    found = bootstrapped(scores, positive, [drawn[None].astype(np.uint16)], np.arange(60))
    expected = area_under_curve(np.repeat(scores, drawn), np.repeat(positive, drawn))
    assert (found.low, found.high) == pytest.approx((expected, expected))


def test_scores_do_not_differ_from_themselves() -> None:
    scores, positive = exams(np.random.default_rng(6), 200)
    found = delong_difference(scores, scores, positive)
    assert found.estimate.value == 0
    assert math.isnan(found.p)
    assert delong_difference(scores, -scores, positive).p < 1e-6


def test_a_national_cohort_takes_as_long_as_sorting_it() -> None:
    scores, positive = exams(np.random.default_rng(7), 200_000, 0.007)
    started = time.process_time()
    delong(scores, positive, np.arange(200_000) // 2)
    assert time.process_time() - started < 2, "every pair would be 280 million"
