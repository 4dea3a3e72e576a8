"""What the models share of an image: the breast found in it, its side, its outline, and a preview to look at.

The breast is found on values as displayed but before any tone curve or window: windows lift the background.
Nothing is written to disk. `PREPROCESSING_VERSION` changes whenever the numbers that reach a model may change.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ai.decoding import PixelError, StoredImage
from ai.exam import ImageLaterality, View
from ai.geometry import Geometry, area_weights, mean_rows
from ai.reasons import ReasonCode

PREPROCESSING_VERSION = "1"

PREVIEW_SIDE = 1024
_COARSE_CELLS = 384  # cells along the image's longer side: 0.6–0.8 mm each
_BREAST_LEVEL = 0.05  # of the way from background to the brightest tissue
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.98
_OUTLINE_STEPS = 28
_SQUARE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """Where the breast is: `mask` on a coarse grid whose cells are `step` stored pixels wide and high.

    box: (left, top, right, bottom) in stored pixels. chest_wall_left: the side of the image it stands on.
    """

    mask: NDArray[np.bool_]
    step: float
    box: tuple[int, int, int, int]
    chest_wall_left: bool


@dataclass(frozen=True, slots=True, eq=False)
class BreastImage:
    """A view that can be read: its header, its pixels, its breast. Spacing in mm, (row, column)."""

    view: View
    image: StoredImage
    breast: Breast

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """At the detector. Raises PixelError where the header has none."""
        if self.view.imager_pixel_spacing_mm is None:
            raise PixelError(ReasonCode.PIXEL_SPACING, "missing")
        return self.view.imager_pixel_spacing_mm

    def geometry(self, pitch_mm: float, multiple: int = 1) -> Geometry:
        """The breast's box on a grid of `pitch_mm`, chest wall on the left."""
        return Geometry.of(
            self.breast.box,
            flipped=not self.breast.chest_wall_left,
            spacing_mm=self.spacing_mm,
            pitch_mm=pitch_mm,
            multiple=multiple,
        )

    def on_grid(self, geometry: Geometry) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values and breast mask on the grid, both (rows, columns); values outside the breast are exactly 0."""
        values = geometry.resample(self.image.values)
        mask = self._mask_on(geometry)
        values[~mask] = 0.0
        return values, mask

    def mask(self) -> NDArray[np.bool_]:
        """The breast's mask on the stored image itself, (Rows, Columns)."""
        rows, columns = self.image.values.shape
        whole = Geometry.of((0, 0, columns, rows), flipped=False, spacing_mm=(1.0, 1.0), pitch_mm=1.0)
        return self._mask_on(whole)

    def _mask_on(self, geometry: Geometry) -> NDArray[np.bool_]:
        columns, rows = np.arange(geometry.columns) + 0.5, np.arange(geometry.rows) + 0.5
        stored_columns = geometry.to_stored(np.stack((columns, np.zeros_like(columns)), axis=1))[:, 0]
        stored_rows = geometry.to_stored(np.stack((np.zeros_like(rows), rows), axis=1))[:, 1]
        inside_columns = (stored_columns >= geometry.left) & (stored_columns < geometry.right)
        inside_rows = (stored_rows >= geometry.top) & (stored_rows < geometry.bottom)
        height, width = self.breast.mask.shape
        i = np.clip(stored_rows / self.breast.step, 0, height - 1).astype(int)
        j = np.clip(stored_columns / self.breast.step, 0, width - 1).astype(int)
        on_grid: NDArray[np.bool_] = self.breast.mask[np.ix_(i, j)] & np.outer(inside_rows, inside_columns)
        return on_grid


def find_breast(image: StoredImage) -> Breast:
    """The largest connected bright region that stands on the left or right side of the image.

    Raises PixelError NO_BREAST_FOUND: nothing bright, everything bright, or nothing that reaches a side.
    """
    coarse, step = _coarse(image.values)
    background, brightest = np.percentile(coarse, (0.5, 99.5))
    if brightest - background < 0.02 * image.max_value:
        raise PixelError(ReasonCode.NO_BREAST_FOUND, "the image is blank")
    bright = coarse > background + _BREAST_LEVEL * (brightest - background)
    # Opening parts the breast from markers that touch it by a thread; its one cell of loss is given back below.
    labels, count = ndimage.label(ndimage.binary_opening(bright, _SQUARE, border_value=0))
    if not count:
        raise PixelError(ReasonCode.NO_BREAST_FOUND)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    grown = ndimage.binary_dilation(largest, _SQUARE, iterations=2) & (bright | largest)
    mask = np.asarray(ndimage.binary_fill_holes(grown), dtype=bool)
    share = float(mask.mean())
    if not _LEAST_SHARE < share < _MOST_SHARE:
        raise PixelError(ReasonCode.NO_BREAST_FOUND, f"{share:.0%} of the image is bright")
    box, chest_wall_left = _box(mask, step, image.values.shape), _chest_wall_left(mask)
    gap = box[0] if chest_wall_left else image.values.shape[1] - box[2]
    if gap > 0.1 * image.values.shape[1]:
        raise PixelError(ReasonCode.NO_BREAST_FOUND, "nothing stands on a side of the image")
    return Breast(mask, step, box, chest_wall_left)


def read_breast(view: View, image: StoredImage) -> BreastImage:
    """The view with its breast, whose side must be the one the header names.

    For Presentation images show the right breast with its chest wall on the right, the left one's on the left.
    Raises PixelError: NO_BREAST_FOUND; LATERALITY_CONTRADICTED; MATRIX_SIZE where the header in hand is of another
    size than the stored image.
    """
    if image.values.shape != (view.rows, view.columns):
        raise PixelError(ReasonCode.MATRIX_SIZE, "the stored image is of another size than its header says")
    breast = find_breast(image)
    if breast.chest_wall_left != (view.image_laterality is ImageLaterality.LEFT):
        side = "left" if breast.chest_wall_left else "right"
        raise PixelError(ReasonCode.LATERALITY_CONTRADICTED, f"chest wall on the {side}")
    return BreastImage(view, image, breast)


def outline(breast: Breast, shape: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    """A closed polygon round the breast: at most 58 (column, row) points in stored pixels, first point not repeated.

    shape: (Rows, Columns) of the stored image.
    """
    rows = np.flatnonzero(breast.mask.any(axis=1))
    picked = np.unique(rows[np.linspace(0, len(rows) - 1, _OUTLINE_STEPS).round().astype(int)])
    lines = breast.mask[picked]
    first, last = lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    down = [(first[i], picked[i] + 0.5) for i in range(len(picked))]
    up = [(last[i], picked[i] + 0.5) for i in reversed(range(len(picked)))]
    height, width = shape
    return tuple((min(c * breast.step, float(width)), min(r * breast.step, float(height))) for c, r in (*down, *up))


def preview(image: StoredImage, breast: Breast | None) -> bytes:
    """A PNG of the whole stored image as displayed: 8-bit grey, longer side at most 1024.

    The window is the breast's own values (2nd to 99.8th percentile, a little below for the skin line), or the
    image's where no breast was found. It is for looking at, not for reading.
    """
    height, width = image.values.shape
    step = max(1.0, max(height, width) / PREVIEW_SIDE)
    small = _area_mean(image.values, step)
    if breast is None:
        tissue = small.ravel()
    else:
        i = np.minimum((np.arange(small.shape[0]) + 0.5) * step / breast.step, breast.mask.shape[0] - 1).astype(int)
        j = np.minimum((np.arange(small.shape[1]) + 0.5) * step / breast.step, breast.mask.shape[1] - 1).astype(int)
        tissue = small[breast.mask[np.ix_(i, j)]]
    low, high = np.percentile(tissue, (2.0, 99.8))
    low = max(float(small.min()), float(low - 0.25 * (high - low)))
    grey = np.clip((small - low) / max(high - low, 1.0), 0.0, 1.0) * 255.0
    png = io.BytesIO()
    Image.fromarray((grey + 0.5).astype(np.uint8)).save(png, "PNG", compress_level=3)
    return png.getvalue()


def _coarse(values: NDArray[np.uint16]) -> tuple[NDArray[np.float32], float]:
    step = max(1.0, max(values.shape) / _COARSE_CELLS)
    return _area_mean(values, step), step


def _area_mean(values: NDArray[np.uint16], step: float) -> NDArray[np.float32]:
    height, width = values.shape
    rows, columns = max(1, int(height / step)), max(1, int(width / step))
    down = mean_rows(values, rows, step)
    return np.ascontiguousarray((area_weights(width, columns, step) @ down.T).T)


def _box(mask: NDArray[np.bool_], step: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The mask's bounding box in stored pixels, one cell wider on each side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        max(0, int((columns[0] - 1) * step)),
        max(0, int((rows[0] - 1) * step)),
        min(shape[1], int((columns[-1] + 2) * step)),
        min(shape[0], int((rows[-1] + 2) * step)),
    )


def _chest_wall_left(mask: NDArray[np.bool_]) -> bool:
    """The breast is tall at the chest wall and ends in a point at the nipple."""
    columns = np.flatnonzero(mask.any(axis=0))
    heights = mask.sum(axis=0)[columns[0] : columns[-1] + 1]
    margin = max(1, len(heights) // 10)
    return bool(heights[:margin].sum() > heights[-margin:].sum())
