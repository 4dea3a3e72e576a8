"""A woman → the picture of one view at any pixel pitch, with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.exam import StandardView
from ai.findings import BreastComposition, FindingType
from ai.phantom.anatomy import Lesion, LesionKind, Woman
from ai.phantom.geometry import Placement, is_right, placed
from ai.phantom.lesions import Speck, add_soft_parts, specks
from ai.phantom.noise import Field, Points, resampled, stream
from ai.phantom.tissue import Sheet, tissue
from ai.phantom.vendors import FJORDLYS, VendorLook

_FINE_MM, _COARSE_MM = 0.2, 0.4  # pitches tissue is drawn at
_SHOULDER = 0.6  # signal above which brightness rises ever less


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionBox:
    """Where a lesion is on one view: left < right, top < bottom, in pixels of the rendered (stored) image."""

    left: float
    top: float
    right: float
    bottom: float
    kind: LesionKind
    finding_type: FindingType
    malignant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewTruth:
    """What is true of one rendered view."""

    standard_view: StandardView
    density: BreastComposition
    boxes: tuple[LesionBox, ...]
    implant: bool

    @property
    def malignant(self) -> bool:
        """Whether the breast holds a malignant lesion that this view shows."""
        return any(box.malignant for box in self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedView:
    """pixels: rows × columns, float32 0–1, bright is dense, background exactly 0, breast above 0."""

    pixels: Field
    pitch_mm: float
    truth: ViewTruth


def render(
    woman: Woman,
    standard_view: StandardView,
    *,
    look: VendorLook = FJORDLYS,
    pitch_mm: float | None = None,
    rounds_ago: int = 0,
    repeat: int = 0,
) -> RenderedView:
    """One view as that make of system shows it, as shares of its largest stored value.

    pitch_mm: None for the system's own; 0.2 or 0.4 shows the same picture smaller and is much faster.
    rounds_ago: an earlier screening round of the same woman. repeat: another exposure of the same view.
    """
    native = look.imager_pixel_spacing_mm
    pitch = native if pitch_mm is None else pitch_mm
    both = (woman.right, woman.left)
    field = look.matrix_for(
        max(breast.lateral_mm + breast.medial_mm for breast in both) + 12, max(breast.depth_mm for breast in both) + 12
    )
    placement = placed(
        woman, standard_view, height_mm=field[0] * native, width_mm=field[1] * native, moment=(rounds_ago, repeat)
    )
    image = _ImageGrid(
        placement=placement,
        pitch=pitch,
        matrix=(round(field[0] * native / pitch), round(field[1] * native / pitch)),
        flipped=is_right(standard_view),
    )
    lesions = _lesions(woman, standard_view, rounds_ago)
    signal = _signal(woman, standard_view, image, lesions)
    _add_specks(signal, lesions, image)
    rng = stream(woman.seed, "quanta", standard_view, rounds_ago, repeat)
    pixels = np.zeros(image.matrix, np.float32)
    rows, columns = image.rows, image.columns
    pixels[rows[0] : rows[-1] + 1, : columns.size] = _developed(signal, image, look, rng)
    if image.flipped:
        pixels = pixels[:, ::-1]
    boxes = tuple(box for lesion in lesions if (box := _box(lesion, image)))
    truth = ViewTruth(standard_view=standard_view, density=woman.density, boxes=boxes, implant=woman.implant)
    return RenderedView(pixels=np.ascontiguousarray(pixels), pitch_mm=pitch, truth=truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImageGrid:
    """The image's pixels over the placement's plane, before the picture of a right breast is turned over."""

    placement: Placement
    pitch: float
    matrix: tuple[int, int]
    flipped: bool

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """Rows of the image that the canvas covers."""
        rows = np.arange(self.matrix[0])
        v = self.v_of(rows)
        placement = self.placement
        return rows[(v < placement.top_mm) & (v > placement.top_mm - placement.height_mm)]

    @property
    def columns(self) -> npt.NDArray[np.intp]:
        """Columns of the image that the canvas covers, from the chest wall on."""
        return np.arange(min(self.matrix[1], round(self.placement.width_mm / self.pitch)))

    def v_of(self, rows: npt.NDArray[np.intp]) -> Points:
        """v of those rows' middles, mm."""
        return self.placement.image_top_mm - (rows + 0.5) * self.pitch

    def position_of(self, x: float, v: float) -> tuple[float, float]:
        """(row, column) of a point of the plane, in pixels from the upper left corner of the unturned image."""
        return (self.placement.image_top_mm - v) / self.pitch, x / self.pitch


def _lesions(woman: Woman, standard_view: StandardView, rounds_ago: int) -> tuple[Lesion, ...]:
    own = (lesion for lesion in woman.lesions if lesion.image_laterality is standard_view.image_laterality)
    return tuple(earlier for lesion in own if (earlier := lesion.earlier(rounds_ago)))


def _signal(woman: Woman, standard_view: StandardView, image: _ImageGrid, lesions: tuple[Lesion, ...]) -> Field:
    """The tissue at the image's pitch, on the rows and columns that the canvas covers."""
    placement, pitch = image.placement, image.pitch
    grid = _COARSE_MM if pitch >= _COARSE_MM else _FINE_MM
    x, v = placement.axes(grid)
    distance = placement.distance_at(x, v)
    sheet = Sheet(placement=placement, pitch_mm=grid, x=x, v=v, skin_distance=distance, seed=woman.seed)
    signal = tissue(sheet, woman, standard_view)
    for lesion in lesions:
        add_soft_parts(sheet, signal, lesion)
    rows_at = (placement.top_mm - image.v_of(image.rows)) / grid - 0.5
    columns_at = (image.columns + 0.5) * (pitch / grid) - 0.5
    if pitch == grid:
        return np.ascontiguousarray(signal[np.ix_(np.rint(rows_at).astype(np.intp), image.columns)])
    return resampled(signal, rows_at, columns_at)


def _add_specks(signal: Field, lesions: tuple[Lesion, ...], image: _ImageGrid) -> None:
    placement = image.placement
    first_row = int(image.rows[0])
    for lesion in lesions:
        middle = placement.lesion_at(lesion)
        for speck in specks(lesion, placement.view_position, middle, placement.oblique_angle_deg):
            row, column = image.position_of(speck.x, speck.v)
            _add_speck(signal, speck, (row - 0.5 - first_row, column - 0.5), image.pitch)


def _add_speck(signal: Field, speck: Speck, at: tuple[float, float], pitch: float) -> None:
    """A blurred dot that keeps its sum of brightness at any pitch."""
    own = speck.radius_mm**2 / 2
    variance = own + (0.4 * pitch) ** 2 + 0.05**2
    reach = int(3.5 * np.sqrt(variance) / pitch) + 1
    rows, columns = (
        np.arange(max(int(middle) - reach, 0), min(int(middle) + reach + 2, size))
        for middle, size in zip(at, signal.shape, strict=True)
    )
    if rows.size == 0 or columns.size == 0:
        return
    squared = ((rows[:, None] - at[0]) ** 2 + (columns[None, :] - at[1]) ** 2) * pitch**2
    dot = speck.brightness * own / variance * np.exp(-squared / (2 * variance))
    signal[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += dot.astype(np.float32)


def _developed(signal: Field, image: _ImageGrid, look: VendorLook, rng: np.random.Generator) -> Field:
    """Detector blur, noise, tone curve, and the edge of the breast; outside it exactly 0."""
    pitch = image.pitch
    blur = np.sqrt(max(look.smoothing_mm**2 - (0.3 * pitch) ** 2, 0)) / pitch
    if blur > 0.3:
        signal = ndimage.gaussian_filter(signal, blur, truncate=3.0)
    # A shoulder, as film and processing have it, keeps what lies in dense tissue from drowning in white.
    over = np.maximum(signal - np.float32(_SHOULDER), np.float32(0))
    room = np.float32(1 - _SHOULDER)
    signal = np.minimum(signal, np.float32(_SHOULDER)) + room * (1 - np.exp(-over / room))
    signal = signal + rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(look.noise * 0.1 / pitch)
    low, high = look.stored_range
    np.clip(signal, 0.012, 1.0, out=signal)
    shown = np.float32(low) + np.float32(high - low) * signal ** np.float32(look.gamma)
    x, v = ((image.columns + 0.5) * pitch)[None, :], image.v_of(image.rows)[:, None]
    edge = image.placement.distance_at(x.astype(np.float32), v.astype(np.float32))
    fading = np.clip(edge / np.float32(0.5), 0, 1)
    return np.where(edge > 0, np.maximum(shown * fading, np.float32(1 / look.largest_value)), np.float32(0))


def _box(lesion: Lesion, image: _ImageGrid) -> LesionBox | None:
    """The lesion's box clipped to the image; None where too little of it lies inside."""
    row, column = image.position_of(*image.placement.lesion_at(lesion))
    if image.flipped:
        column = image.matrix[1] - column
    half = lesion.diameter_mm / 2 * (1.3 if lesion.kind is LesionKind.SPICULATED_MASS else 1.1) / image.pitch
    left, right = max(column - half, 0.0), min(column + half, float(image.matrix[1]))
    top, bottom = max(row - half, 0.0), min(row + half, float(image.matrix[0]))
    if min(right - left, bottom - top) < half / 2:
        return None
    return LesionBox(
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        kind=lesion.kind,
        finding_type=lesion.finding_type,
        malignant=lesion.malignant,
    )


Pixels = npt.NDArray[np.uint16]


def stored(view: RenderedView, look: VendorLook) -> Pixels:
    """The picture as stored pixel values: MONOCHROME1 turned over, so that its background is the largest value."""
    values = np.rint(view.pixels * look.largest_value).astype(np.uint16)
    return look.largest_value - values if look.photometric_interpretation == "MONOCHROME1" else values
