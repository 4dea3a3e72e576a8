"""A woman → the picture of one view at any pixel pitch, with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ai.exam import StandardView
from ai.findings import BreastComposition, FindingType
from ai.phantom.anatomy import Lesion, LesionKind, Woman
from ai.phantom.geometry import Placement, is_right, on_grid, placed, with_nipple
from ai.phantom.lesions import Speck, add_soft_parts, specks
from ai.phantom.noise import Field, resampled, stream
from ai.phantom.tissue import Sheet, tissue
from ai.phantom.vendors import FJORDLYS, VendorLook

_FINE_MM, _COARSE_MM = 0.2, 0.4  # pitches tissue is drawn at


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
    breast = woman.breast(standard_view.image_laterality)
    field = look.matrix_for(breast.lateral_mm + breast.medial_mm + 12, breast.depth_mm + 12)
    matrix = (round(field[0] * native / pitch), round(field[1] * native / pitch))
    placement = placed(
        woman, standard_view, height_mm=field[0] * native, width_mm=field[1] * native, moment=(rounds_ago, repeat)
    )
    lesions = _lesions(woman, standard_view, rounds_ago)
    signal = _signal(woman, standard_view, placement, lesions, pitch=pitch, matrix=matrix)
    _add_specks(signal, _specks(lesions, placement), placement, pitch)
    rng = stream(woman.seed, "quanta", standard_view, rounds_ago, repeat)
    pixels = np.zeros(matrix, np.float32)
    pixels[:, : signal.shape[1]] = _developed(signal, placement, look, pitch, rng)
    if is_right(standard_view):
        pixels = pixels[:, ::-1]
    boxes = tuple(box for lesion in lesions if (box := _box(lesion, placement, standard_view, pitch, matrix)))
    truth = ViewTruth(standard_view=standard_view, density=woman.density, boxes=boxes, implant=woman.implant)
    return RenderedView(pixels=np.ascontiguousarray(pixels), pitch_mm=pitch, truth=truth)


def _lesions(woman: Woman, standard_view: StandardView, rounds_ago: int) -> tuple[Lesion, ...]:
    own = (lesion for lesion in woman.lesions if lesion.image_laterality is standard_view.image_laterality)
    return tuple(earlier for lesion in own if (earlier := lesion.earlier(rounds_ago)))


def _signal(
    woman: Woman,
    standard_view: StandardView,
    placement: Placement,
    lesions: tuple[Lesion, ...],
    *,
    pitch: float,
    matrix: tuple[int, int],
) -> Field:
    """The tissue at the final pitch, chest wall at the left; columns reach as far as the breast does."""
    grid = _COARSE_MM if pitch >= _COARSE_MM else _FINE_MM
    shape = (round(placement.height_mm / grid), round(placement.width_mm / grid))
    x, v = placement.axes(grid, shape)
    distance = with_nipple(on_grid(placement.skin_distance, grid, shape), placement, x, v)
    sheet = Sheet(placement=placement, pitch_mm=grid, x=x, v=v, skin_distance=distance, seed=woman.seed)
    signal = tissue(sheet, woman, standard_view)
    for lesion in lesions:
        add_soft_parts(sheet, signal, lesion)
    columns = min(matrix[1], round(placement.width_mm / pitch))
    if pitch == grid:
        return np.ascontiguousarray(signal[: matrix[0], :columns])
    rows_at = (np.arange(matrix[0]) + 0.5) * (pitch / grid) - 0.5
    return resampled(signal, rows_at, (np.arange(columns) + 0.5) * (pitch / grid) - 0.5)


def _specks(lesions: tuple[Lesion, ...], placement: Placement) -> list[Speck]:
    return [
        speck
        for lesion in lesions
        for speck in specks(lesion, placement.view_position, placement.lesion_at(lesion), placement.oblique_angle_deg)
    ]


def _add_specks(signal: Field, found: list[Speck], placement: Placement, pitch: float) -> None:
    """Each speck as a blurred dot that keeps its sum of brightness at any pitch."""
    for speck in found:
        own = speck.radius_mm**2 / 2
        variance = own + (0.4 * pitch) ** 2 + 0.05**2
        row, column = (placement.top_mm - speck.v) / pitch - 0.5, speck.x / pitch - 0.5
        reach = int(3.5 * np.sqrt(variance) / pitch) + 1
        rows = np.arange(max(int(row) - reach, 0), min(int(row) + reach + 2, signal.shape[0]))
        columns = np.arange(max(int(column) - reach, 0), min(int(column) + reach + 2, signal.shape[1]))
        if rows.size == 0 or columns.size == 0:
            continue
        squared = ((rows[:, None] - row) ** 2 + (columns[None, :] - column) ** 2) * pitch**2
        dot = speck.brightness * own / variance * np.exp(-squared / (2 * variance))
        signal[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += dot.astype(np.float32)


def _developed(signal: Field, placement: Placement, look: VendorLook, pitch: float, rng: np.random.Generator) -> Field:
    """Detector blur, noise, tone curve, and the edge of the breast; outside it exactly 0."""
    blur = np.sqrt(max(look.smoothing_mm**2 - (0.3 * pitch) ** 2, 0)) / pitch
    if blur > 0.3:
        signal = ndimage.gaussian_filter(signal, blur, truncate=3.0)
    signal = signal + rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(look.noise * 0.1 / pitch)
    low, high = look.stored_range
    np.clip(signal, 0.012, 1.0, out=signal)
    shown = low + (high - low) * signal ** np.float32(look.gamma)
    x, v = placement.axes(pitch, (signal.shape[0], signal.shape[1]))
    edge = with_nipple(on_grid(placement.skin_distance, pitch, (signal.shape[0], signal.shape[1])), placement, x, v)
    fading = np.clip(edge / np.float32(0.5), 0, 1)
    return np.where(edge > 0, np.maximum(shown * fading, 1 / look.largest_value), 0).astype(np.float32)


def _box(
    lesion: Lesion, placement: Placement, standard_view: StandardView, pitch: float, matrix: tuple[int, int]
) -> LesionBox | None:
    """The lesion's box clipped to the image; None where too little of it lies inside."""
    x, v = placement.lesion_at(lesion)
    half = lesion.diameter_mm / 2 * (1.3 if lesion.kind is LesionKind.SPICULATED_MASS else 1.1)
    left, right = (x - half) / pitch, (x + half) / pitch
    if is_right(standard_view):
        left, right = matrix[1] - right, matrix[1] - left
    top, bottom = (placement.top_mm - v - half) / pitch, (placement.top_mm - v + half) / pitch
    left, right = max(left, 0.0), min(right, float(matrix[1]))
    top, bottom = max(top, 0.0), min(bottom, float(matrix[0]))
    if min(right - left, bottom - top) * pitch < half / 2:
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
