"""Where a model's pixels lie in the stored image: crop, flip and scale as one value, with its inverse.

Coordinates are continuous (column, row), origin at the outer corner of the first pixel, in both frames; a pixel's
middle is at +0.5. The model's grid has the chest wall on the left and nothing but the crop in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]

_ROWS_AT_A_TIME = 128  # of the stored image, as floats: memory that is fresh for every image costs more than the sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Stored pixels [left, right) × [top, bottom), flipped or not, onto a grid of rows × columns.

    row_step, column_step: stored pixels per model pixel. row_offset: rows of the grid above the crop. The last row and
    column of the grid may lie partly outside the crop; what does is filled with background.
    """

    left: int
    top: int
    right: int
    bottom: int
    flipped: bool
    row_step: float
    column_step: float
    rows: int
    columns: int
    row_offset: float = 0.0

    @classmethod
    def of(
        cls,
        crop: tuple[int, int, int, int],
        *,
        flipped: bool,
        spacing_mm: tuple[float, float],
        pitch_mm: float,
        multiple: int = 1,
    ) -> Self:
        """The grid of `pitch_mm` over `crop` (left, top, right, bottom), its sides rounded up to `multiple`.

        spacing_mm: (row, column) of the stored image.
        """
        left, top, right, bottom = crop
        row_step, column_step = pitch_mm / spacing_mm[0], pitch_mm / spacing_mm[1]
        rows, columns = (math.ceil((bottom - top) / row_step), math.ceil((right - left) / column_step))
        return cls(
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            flipped=flipped,
            row_step=row_step,
            column_step=column_step,
            rows=-(-max(rows, 1) // multiple) * multiple,
            columns=-(-max(columns, 1) // multiple) * multiple,
        )

    def to_model(self, points: Points) -> Points:
        """Stored-image points, shape (n, 2) as (column, row), in the model's grid."""
        columns, rows = np.asarray(points, dtype=np.float64).T
        across = self.right - columns if self.flipped else columns - self.left
        return np.stack((across / self.column_step, (rows - self.top) / self.row_step + self.row_offset), axis=1)

    def to_stored(self, points: Points) -> Points:
        """Model-grid points, shape (n, 2) as (column, row), in the stored image. Inverse of `to_model`."""
        columns, rows = np.asarray(points, dtype=np.float64).T
        across = columns * self.column_step
        back = self.right - across if self.flipped else across + self.left
        return np.stack((back, (rows - self.row_offset) * self.row_step + self.top), axis=1)

    def box_to_stored(self, box: Box) -> Box:
        """A model-grid box (left, top, right, bottom) as a stored-image box inside the crop, a pixel wide at least."""
        corners = self.to_stored(np.array([box[:2], box[2:]]))
        (left, right), (top, bottom) = np.sort(corners[:, 0]), np.sort(corners[:, 1])
        left, top = min(max(left, self.left), self.right - 1), min(max(top, self.top), self.bottom - 1)
        right, bottom = min(max(right, left + 1), self.right), min(max(bottom, top + 1), self.bottom)
        return float(left), float(top), float(right), float(bottom)

    def holds(self, box: Box) -> bool:
        """Whether any part of a model-grid box (left, top, right, bottom) lies in the crop."""
        left, top, right, bottom = box
        last_column = (self.right - self.left) / self.column_step
        last_row = self.row_offset + (self.bottom - self.top) / self.row_step
        return right > 0 and left < last_column and bottom > self.row_offset and top < last_row

    def cells(self, size: int) -> Geometry:
        """The grid whose cells are `size` × `size` of this one's pixels; the rows and columns left over are dropped."""
        return replace(
            self,
            row_step=self.row_step * size,
            column_step=self.column_step * size,
            rows=self.rows // size,
            columns=self.columns // size,
            row_offset=self.row_offset / size,
        )

    def resample(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """The stored image on the grid, each model pixel the area-weighted mean of what it covers; 0 outside.

        values: (Rows, Columns) of the stored image.
        """
        crop = values[self.top : self.bottom, self.left : self.right]
        down = mean_rows(crop, self.rows, self.row_step, self.row_offset)
        if self.flipped:
            down = down[:, ::-1]
        across = area_weights(down.shape[1], self.columns, self.column_step) @ down.T
        return np.ascontiguousarray(across.T)


def mean_rows(values: NDArray[np.generic], count: int, step: float, offset: float = 0.0) -> NDArray[np.float32]:
    """`area_weights(rows, …) @ values`, shape (count, columns), without a float copy of the whole image."""
    length = values.shape[0]
    weights = area_weights(length, count, step, offset)
    means = np.empty((count, values.shape[1]), np.float32)
    some = max(1, int(_ROWS_AT_A_TIME / step))
    for first in range(0, count, some):
        last = min(first + some, count)
        top, bottom = ((edge - offset) * step for edge in (first, last))
        rows = slice(min(max(math.floor(top), 0), length), min(max(math.ceil(bottom) + 1, 0), length))
        means[first:last] = weights[first:last, rows] @ values[rows].astype(np.float32)
    return means


def area_weights(length: int, count: int, step: float, offset: float = 0.0) -> sparse.csr_array:
    """Sparse (count, length): the mean of input pixels over each output cell, from (i − offset)·step for `step`.

    Cells, and parts of them, that no pixel covers count as 0.
    """
    edges = np.clip((np.arange(count + 1) - offset) * step, 0, length)
    first, last = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    widths = np.maximum(last - first, 0)
    rows = np.repeat(np.arange(count), widths)
    columns = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths) + first[rows]
    overlap = np.minimum(columns + 1, edges[rows + 1]) - np.maximum(columns, edges[rows])
    weights = (overlap / step).astype(np.float32)
    return sparse.csr_array((weights, (rows, columns)), shape=(count, length))
