"""A view as GMIC was trained to see it: stored pixels as they are, chest wall left, in a window of 2944 × 1920.

The crop is the largest part of the pixels above 0 that survives a hundred erosions and dilations, and 50 pixels more.
Where it is smaller than the window, CC views lie in the middle of the window's height and MLO views at its top, the
chest wall always at its left side; the rest is 0. Where it is larger, the window ends at the foremost point of the
breast and lies where it holds most of the intensity, in MLO views not below the breast's lowest point. The window is
then centred on its mean and divided by its standard deviation, what was filled in included.

Air must be 0 for that. Where it is not, what lies outside the breast that `ai.pixels` found is set to 0 first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.exam import ViewPosition
from ai.geometry import Geometry
from ai.models._gmic_net import COLUMNS, ROWS
from ai.models._opening import Bounds, opened_bounds, packed
from ai.pixels import BreastImage

_EROSIONS = 100
_BUFFER = 50
_LEAST_DEVIATION = 1e-5
_STRIP_ROWS = 64
_Values = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class GmicInput:
    """values: (2944, 1920) float32. geometry: of that grid, one stored pixel a cell."""

    values: NDArray[np.float32]
    geometry: Geometry


def gmic_input(view: BreastImage) -> GmicInput:
    """The network's input. A breast too small to survive the erosions is cropped as `ai.pixels` found it."""
    values, bits = _with_dark_air(view)
    breast = opened_bounds(bits, values.shape[1], _EROSIONS) or Bounds(*view.breast.box)
    flipped = not view.breast.chest_wall_left
    if flipped:
        values, breast = values[:, ::-1], _mirrored(breast, values.shape[1])
    window = _window(values, breast, in_the_middle=view.view.view_position is ViewPosition.CC)
    shown = values[window.top : window.bottom, window.left : window.right]
    margin = (ROWS - len(shown)) // 2 if view.view.view_position is ViewPosition.CC else 0
    stored = _mirrored(window, values.shape[1]) if flipped else window
    geometry = Geometry(
        left=stored.left,
        top=stored.top,
        right=stored.right,
        bottom=stored.bottom,
        flipped=flipped,
        row_step=1.0,
        column_step=1.0,
        rows=ROWS,
        columns=COLUMNS,
        row_offset=float(margin),
    )
    return GmicInput(_normalised(shown, margin), geometry)


def _with_dark_air(view: BreastImage) -> tuple[_Values, NDArray[np.uint8]]:
    """The stored values, and where they are above 0; the air made 0 where most of it is not."""
    values = view.image.values
    bits = packed(values > 0)
    dark = values.size - int(np.bitwise_count(bits).sum())
    if dark < 0.5 * (1.0 - float(view.breast.mask.mean())) * values.size:
        values = np.where(view.mask(), values, np.uint16(0))
        bits = packed(values > 0)
    return values, bits


def _mirrored(bounds: Bounds, columns: int) -> Bounds:
    return Bounds(columns - bounds.right, bounds.top, columns - bounds.left, bounds.bottom)


def _window(values: _Values, breast: Bounds, *, in_the_middle: bool) -> Bounds:
    """The part of the image, chest wall left, that is shown: the crop, or as much of it as the window holds."""
    rows, columns = values.shape
    left, right = max(breast.left - _BUFFER, 0), min(breast.right + _BUFFER, columns)
    top, bottom = max(breast.top - _BUFFER, 0), min(breast.bottom + _BUFFER, rows)
    if right - left > COLUMNS:
        left = max(breast.right - COLUMNS, left)
        right = left + COLUMNS
    if bottom - top > ROWS:
        lowest = bottom if in_the_middle else max(breast.bottom, top + ROWS)
        top += _brightest(values[top:lowest, left:right].sum(axis=1, dtype=np.int64))
        bottom = top + ROWS
    return Bounds(left, top, right, bottom)


def _brightest(row_sums: NDArray[np.int64]) -> int:
    """Where the window must begin to hold the most; in the middle of such places."""
    reached = np.concatenate(([0], np.cumsum(row_sums)))
    held = reached[ROWS:] - reached[:-ROWS]
    best = np.flatnonzero(held == held.max())
    return int(best[len(best) // 2])


def _normalised(shown: _Values, margin: int) -> NDArray[np.float32]:
    """The window filled with 0, then centred and scaled by its own mean and standard deviation."""
    mean, deviation = _moments(shown)
    window = np.full((ROWS, COLUMNS), np.float32(-mean / deviation), dtype=np.float32)
    inside = window[margin : margin + shown.shape[0], : shown.shape[1]]
    np.subtract(shown, np.float32(mean), out=inside)
    inside /= np.float32(deviation)
    return window


def _moments(shown: _Values) -> tuple[float, float]:
    """Mean and standard deviation of the filled window; strip by strip, for the cache's sake."""
    total = squares = 0.0
    for first in range(0, len(shown), _STRIP_ROWS):
        exact = shown[first : first + _STRIP_ROWS].astype(np.float64).ravel()
        total += float(exact.sum())
        squares += float(np.square(exact, out=exact).sum())  # not a product: its threads would wait for each other
    mean = total / (ROWS * COLUMNS)
    return mean, max(math.sqrt(max(squares / (ROWS * COLUMNS) - mean * mean, 0.0)), _LEAST_DEVIATION)
