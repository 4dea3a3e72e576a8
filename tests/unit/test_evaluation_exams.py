"""A cohort table as arrays: thresholds as quantiles of each stratum's window, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.evaluation.exams import MINIMUM, exams


def table(scores: Sequence[float | None], **columns: object) -> pl.DataFrame:
    """An exam a woman a day, without any finding unless the columns say otherwise."""
    size = len(scores) or MINIMUM
    given = {
        "exam_id": [f"e{i}" for i in range(size)],
        "woman_id": [f"w{i}" for i in range(size)],
        "study_date": [date(2024, 1, 1) + timedelta(days=i) for i in range(size)],
        "gate": ["READ"] * size,
        "r1": [1] * size,
        "r2": [1] * size,
        "consensus_held": [False] * size,
        "recalled": [False] * size,
        "outcome": ["NONE"] * size,
        "ai_score": scores,
        **columns,
    }
    return pl.DataFrame(given, schema_overrides={"ai_score": pl.Float64})


@given(st.permutations(range(MINIMUM)), st.floats(0, 1))
def test_without_ties_the_share_of_the_quantile_is_below_it(order: list[int], quantile: float) -> None:
    found = exams(table([float(each) for each in order])).exams
    assert found.below(quantile).sum() == pytest.approx(quantile * MINIMUM, abs=1)
    assert (found.below(quantile) != found.at(quantile)).all()
    lowest = np.array(order)[found.at(quantile)]
    assert lowest.size == 0 or lowest.min() > np.array(order)[found.below(quantile)].max(initial=-1)


@given(st.lists(st.integers(0, 5), min_size=MINIMUM, max_size=MINIMUM + 50), st.sampled_from([0.5, 0.7, 0.9]))
def test_with_ties_no_more_than_the_quantile_is_below(scores: list[int], quantile: float) -> None:
    found = exams(table([float(each) for each in scores])).exams
    assert found.below(quantile).mean() <= max(quantile, 0) + max(np.bincount(scores)) / len(scores)
    assert all(len(set(found.at(quantile)[np.array(scores) == each])) <= 1 for each in set(scores)), "ties are split"


def test_thresholds_are_of_each_stratum() -> None:
    scores = [*range(100), *range(1000, 1200)]
    system = ["A"] * 100 + ["B"] * 200
    found = exams(table([float(each) for each in scores], manufacturer=system))
    assert found.exams.at(0.9)[:100].sum() == 10
    assert found.exams.at(0.9)[100:].sum() == 20
    assert [(each.name, each.exams, each.reference) for each in found.strata] == [("A", 100, 100), ("B", 200, 200)]


def test_a_small_stratum_has_no_thresholds_and_follows_the_readers() -> None:
    system = ["A"] * MINIMUM + ["B"] * (MINIMUM - 1)
    found = exams(table([float(each) for each in range(2 * MINIMUM - 1)], manufacturer=system)).exams
    assert found.follows_ai[:MINIMUM].all()
    assert not found.follows_ai[MINIMUM:].any()


def test_the_window_is_the_first_exams_by_date() -> None:
    scores = [float(each) for each in [*range(100), *range(500, 700)]]
    shuffled = table(scores).sample(fraction=1, shuffle=True, seed=1)
    found = exams(shuffled, reference=100).exams
    assert found.at(0.9).sum() == 10 + 200


def test_what_the_gate_refused_has_no_position() -> None:
    scores: list[float | None] = [*map(float, range(MINIMUM)), None]
    found = exams(table(scores, gate=["READ"] * MINIMUM + ["BREAST_IMPLANT"])).exams
    assert not found.follows_ai[-1]
    assert not found.at(0)[-1]
    assert not found.below(1)[-1]


def test_rows_without_what_is_needed_are_left_out_and_counted() -> None:
    scores: list[float | None] = [*map(float, range(MINIMUM + 1)), None]
    outcomes = [None, *["NONE"] * (MINIMUM + 1)]
    found = exams(table(scores, outcome=outcomes))
    assert found.left_out == {"outcome": 1, "ai_score": 1}
    assert len(found.exams) == MINIMUM
    with pytest.raises(ValueError, match="no exam has"):
        exams(table([1.0], outcome=[None]))


def test_the_change_is_of_the_breast_that_rose_more_and_none_without_a_prior() -> None:
    size = MINIMUM + 2
    right, prior_right = [0.2] * size, [0.2] * size
    left, prior_left = [0.1 + i / 1000 for i in range(size)], [0.1] * size
    prior = [None, *[0.2] * (size - 1)]
    columns = {"ai_score_right": right, "prior_ai_score_right": [None, *prior_right[1:]], "ai_score_left": left}
    found = exams(table([0.5] * size, prior_ai_score=prior, prior_ai_score_left=[None, *prior_left[1:]], **columns))
    assert np.isnan(found.exams.change[0])
    assert (np.diff(found.exams.change[1:]) > 0).all(), "the left breast rose more, each exam more than the last"


@pytest.mark.parametrize(
    ("cancer", "readers", "ai", "right"),
    [
        ("R", (1, 1, 1, 1), (0.9, 0.1), True),
        ("L", (1, 1, 1, 1), (0.9, 0.1), False),
        ("B", (1, 1, 1, 1), (0.1, 0.9), True),
        ("L", (1, 3, 1, 1), (0.9, 0.1), True),
        ("R", (1, 3, 1, 1), (0.9, 0.1), False),
        ("R", (1, 3, 2, 1), (0.1, 0.9), True),
        (None, (1, 1, 1, 1), (0.9, 0.1), True),
    ],
)
def test_the_flagged_side_is_the_readers_where_they_flagged_else_the_ais(
    cancer: str | None, readers: tuple[int, int, int, int], ai: tuple[float, float], right: bool
) -> None:
    """readers: first right and left, second right and left."""
    names = ("r1_right", "r1_left", "r2_right", "r2_left")
    columns = {name: [value] for name, value in zip(names, readers, strict=True)}
    row = table(
        [0.9],
        cancer_side=pl.Series([cancer], dtype=pl.String),
        ai_score_right=[ai[0]],
        ai_score_left=[ai[1]],
        r1=[max(readers[:2])],
        r2=[max(readers[2:])],
        **columns,
    )
    assert exams(row).exams.right_side.tolist() == [right]


@given(st.integers(0, 2**32 - 1))
def test_any_scale_of_the_ai_on_which_more_is_more_suspicious_will_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = (
        "ai_score",
        "prior_ai_score",
        "ai_score_right",
        "ai_score_left",
        "prior_ai_score_right",
        "prior_ai_score_left",
    )
    scores = {name: rng.random(MINIMUM) for name in names}
    made = [table([], **scores), table([], **{name: np.exp(9 * values) for name, values in scores.items()})]
    one, other = (exams(each).exams for each in made)
    for name in ("position", "change", "right_side"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
