"""The networks' input: the quick way is the defined way, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.exam import STANDARD_VIEWS
from ai.models._input import network_input, quads
from ai.self_check import sample_views


@given(st.integers(1, 4).map((32).__mul__), st.integers(1, 4).map((32).__mul__), st.integers(0, 1000))
def test_quads_are_what_reducing_over_both_axes_gives(rows: int, columns: int, seed: int) -> None:
    """On grids whose sides are multiples of 32, as all are; numpy adds in another order in the very smallest."""
    random = np.random.default_rng(seed)
    values = (random.random((2 * rows, 2 * columns)) * 65535).astype(np.float32)
    mask = random.random(values.shape) > 0.3
    cells = values.reshape(rows, 2, columns, 2)
    np.testing.assert_array_equal(quads(values, np.add) / np.float32(4), cells.mean(axis=(1, 3)))
    np.testing.assert_array_equal(quads(values, np.maximum), cells.max(axis=(1, 3)))
    np.testing.assert_array_equal(quads(mask, np.logical_and), mask.reshape(cells.shape).all(axis=(1, 3)))


@pytest.mark.parametrize("standard", STANDARD_VIEWS, ids=str)
def test_the_input_of_a_view(standard: object) -> None:
    given_view = sample_views()[standard]  # type: ignore[index]
    made = network_input(given_view)
    assert made.values.shape == (2, made.geometry.rows, made.geometry.columns)
    assert made.values.dtype == np.float32
    assert (made.values[:, ~made.mask] == 0).all()
    assert (made.values[1] >= made.values[0]).all(), "the brightest of four is no darker than their mean"
