"""The bootstrap that draws women: each with all her exams, the same whatever the chunk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.evaluation import bootstrap
from ai.evaluation.bootstrap import resampled


def drawn(women: list[int], draws: int, seed: int, chunk: int = 64) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.concatenate(list(resampled(np.array(women), draws, seed, chunk=chunk)))


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_each_draw_has_as_many_women_and_does_not_depend_on_the_chunk(
    count: int, draws: int, chunk: int, seed: int
) -> None:
    women = list(range(count))
    rows = drawn(women, draws, seed, chunk)
    assert rows.shape == (draws, count)
    assert (rows.sum(axis=1) == count).all()
    assert np.array_equal(rows, drawn(women, draws, seed))


def test_women_are_drawn_not_exams() -> None:
    """A woman with many exams is drawn as often as one with a single one."""
    assert np.array_equal(drawn([0, 0, 0, 0, 1, 2], 50, 3), drawn([0, 1, 2], 50, 3))


def test_of_women_with_one_exam_each_it_is_the_ordinary_bootstrap() -> None:
    """Mean and variance of a draw's mean are those of sampling with replacement: s² (n - 1) / n²."""
    values = np.random.default_rng(8).exponential(size=200)
    means = drawn(list(range(200)), 8000, 4).astype(float) @ values / 200
    assert means.mean() == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(200 * 8000))
    assert means.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.04)


def test_one_chunk_is_all_that_is_held() -> None:
    chunks = resampled(np.arange(1000), 130, 1)
    assert [len(each) for each in chunks] == [bootstrap._CHUNK, bootstrap._CHUNK, 2]


@pytest.mark.parametrize(("women", "draws", "chunk"), [([], 1, 1), ([-1, 0], 1, 1), ([0], -1, 1), ([0], 1, 0)])
def test_what_cannot_be_drawn_is_refused(women: list[int], draws: int, chunk: int) -> None:
    with pytest.raises(ValueError, match=r"women|draws"):
        list(resampled(np.array(women, np.int64), draws, 1, chunk=chunk))
