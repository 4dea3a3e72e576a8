"""Fat, fibroglandular tissue, strands, vessels, muscle and skin of one view, as display signal 0–1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.phantom.anatomy import Woman
from ai.phantom.geometry import Placement, Points
from ai.phantom.noise import Field, octaves, resampled, stream

_VOLUME = (30, 36, 36)  # depth × lateral × superior; lateral and superior reach ±1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The grid tissue is drawn on: x and v of pixel centres (mm), distance from the skin (mm), seed of this breast."""

    placement: Placement
    pitch_mm: float
    x: Field
    v: Field
    skin_distance: Field
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.skin_distance.shape
        return rows, columns

    def noise(self, name: str, spacing_mm: float, exponent: float = 3.0) -> Field:
        """A random field of this breast and view."""
        return octaves(
            self.seed,
            self.placement.view_position,
            self.placement.breast.texture_seed,
            name,
            shape=self.shape,
            spacing_mm=spacing_mm,
            pitch_mm=self.pitch_mm,
            exponent=exponent,
        )


def gland_volume(woman: Woman, image_laterality: ImageLaterality) -> Field:
    """Glandular fraction 0–1 in a coarse volume over (depth, lateral, superior): a cone behind the nipple."""
    breast = woman.breast(image_laterality)
    depth = (np.arange(_VOLUME[0])[:, None, None] + 0.5) / _VOLUME[0]
    lateral = (np.arange(_VOLUME[1])[None, :, None] + 0.5) / _VOLUME[1] * 2.4 - 1.2
    superior = (np.arange(_VOLUME[2])[None, None, :] + 0.5) / _VOLUME[2] * 2.4 - 1.2
    # The cone opens backwards from the nipple; its middle drifts towards the upper outer quadrant.
    back = 1 - depth
    radius = np.sqrt(
        (lateral - breast.gland_lateral * back * 2) ** 2 + ((superior - breast.gland_superior * back * 2) * 1.1) ** 2
    )
    inside = 1 - np.sqrt((depth * 0.98) ** 2.2 + lateral**2 + superior**2)
    cone = 0.9 - radius / (0.2 + 0.8 * back) - 2.2 * np.clip((0.38 - depth) / 0.38, 0, 1) ** 2
    lumps = _lumps(stream(woman.seed, "gland"), 0.75) + _lumps(stream(woman.seed, "gland", image_laterality), 0.6)
    score = cone + 0.36 * lumps - 0.9 * np.exp(-np.clip(inside, 0, None) / 0.06)
    threshold = np.quantile(score[inside > 0], 1 - breast.gland_fraction)
    gland = 1 / (1 + np.exp(-(score - threshold) / 0.16)) * (inside > 0)
    result: Points = gland.astype(np.float32)
    return result


def _lumps(rng: np.random.Generator, weight: float) -> Points:
    coarse = ndimage.gaussian_filter(rng.standard_normal(_VOLUME), 3.2)
    fine = ndimage.gaussian_filter(rng.standard_normal(_VOLUME), 1.5)
    result: Points = weight * (coarse / coarse.std() + 0.6 * fine / fine.std())
    return result


def tissue(sheet: Sheet, woman: Woman, standard_view: StandardView) -> Field:
    """The signal of one normal breast on one view: 0 and up, about 1 for the brightest tissue."""
    gland = projected_gland(sheet, gland_volume(woman, standard_view.image_laterality))
    signal = parenchyma(sheet, gland)
    if standard_view.view_position is ViewPosition.MLO:
        share, bright = pectoral(sheet)
        signal = signal * (1 - share) + share * (bright + np.float32(0.35) * (signal - np.float32(0.2)))
    line, dark = skin(sheet)
    return signal * dark + line


def projected_gland(sheet: Sheet, volume: Field) -> Field:
    """The volume summed along the beam, as the share of the compressed thickness that is gland (0–1)."""
    placement = sheet.placement
    if placement.view_position is ViewPosition.CC:
        plane, up, down = volume.mean(axis=2) * 1.6, placement.breast.lateral_mm, placement.breast.medial_mm
    else:
        # Turn the lateral–superior plane so that the beam runs along the last axis.
        turned = ndimage.rotate(volume, placement.oblique_angle_deg, axes=(2, 1), reshape=False, order=1)
        plane, up, down = turned.mean(axis=2) * 1.6, placement.breast.upper_mm * 0.8, placement.breast.lower_mm
    v = sheet.v[:, 0].astype(np.float64)
    relative = np.where(v > 0, v / up, v / down)
    rows = (relative + 1.2) / 2.4 * _VOLUME[1] - 0.5
    columns = sheet.x[0].astype(np.float64) / placement.breast.depth_mm * _VOLUME[0] - 0.5
    gland = resampled(np.ascontiguousarray(plane.T, dtype=np.float32), rows, columns)
    return np.clip(gland, 0, 1, out=gland)


def strands(sheet: Sheet, name: str, *, spacing_mm: float, width: float, stretch: float, lean: float) -> Field:
    """Thin bright lines, 0–1: the zero crossings of a smooth field stretched along the way to the nipple.

    stretch: length over breadth. lean: radians off that way. They are Cooper's ligaments, septa and small vessels.
    """
    field = sheet.noise(name, spacing_mm, 3.6)
    nipple = sheet.placement.breast.depth_mm * 1.15
    # Polar coordinates about a point behind the nipple keep the lines converging there.
    radius = np.hypot(sheet.x - nipple, sheet.v)
    angle = np.arctan2(sheet.v, nipple - sheet.x)
    rows = (angle + lean * np.log((radius + 8) / 60)) * 60.0 / sheet.pitch_mm + field.shape[0] / 2
    columns = np.broadcast_to(radius / stretch / sheet.pitch_mm, rows.shape)
    sampled = ndimage.map_coordinates(field, [rows, columns], order=1, mode="mirror", output=np.float32)
    result: Field = np.exp(-((sampled / np.float32(width)) ** 2)).astype(np.float32)
    return result


def parenchyma(sheet: Sheet, gland: Field) -> Field:
    """Fat with its strands and glandular tissue between fat lobules; gland: projected share 0–1."""
    breast, d = sheet.placement.breast, sheet.skin_distance
    deep = _step(d, breast.subcutaneous_mm * 0.3, breast.subcutaneous_mm * 1.5)
    cloud = sheet.noise("cloud", 12.8)
    mesh = sum_of_strands(sheet)
    septa = np.exp(-((sheet.noise("lobules", 12.8, 4.2) / np.float32(0.5)) ** 2))
    # Lobules of fat eat into the gland from its border; septa hold on longest.
    score = 1.5 * gland + 0.10 * cloud + 0.30 * (septa - 0.5) + 0.16 * (mesh - 0.4)
    dense = _step(score, 0.05, 1.0) * deep * _step(gland, 0.0, 0.12)
    body = 0.42 + 0.12 * gland + 0.045 * cloud + 0.16 * (mesh - 0.4) + 0.10 * (septa - 0.5)
    depth = np.clip(1 - sheet.x / breast.depth_mm, 0, 1)
    fat = 0.13 + 0.07 * deep + 0.03 * depth + 0.016 * cloud + mesh * (0.05 + 0.13 * deep * breast.strands)
    result: Field = fat + dense * np.clip(body, 0.05, 0.7)
    return result


def sum_of_strands(sheet: Sheet) -> Field:
    """Strands of several sizes and directions, about 0–1."""
    fine = strands(sheet, "fine+", spacing_mm=3.2, width=0.16, stretch=2.4, lean=0.35)
    fine += strands(sheet, "fine-", spacing_mm=3.2, width=0.16, stretch=2.4, lean=-0.4)
    wide = strands(sheet, "wide+", spacing_mm=12.8, width=0.07, stretch=2.2, lean=0.15)
    wide += strands(sheet, "wide-", spacing_mm=6.4, width=0.10, stretch=1.6, lean=-0.2)
    gate = 0.55 + 0.45 * np.tanh(1.4 * sheet.noise("gate", 12.8))
    result: Field = (0.28 * fine + 0.75 * wide * gate).astype(np.float32)
    return result


def skin(sheet: Sheet) -> tuple[Field, Field]:
    """(the skin line's brightness, the factor by which tissue darkens towards the edge)."""
    d = sheet.skin_distance
    areola = np.exp(-((sheet.v / 14.0) ** 2) - (((sheet.x - sheet.placement.breast.depth_mm) / 16.0) ** 2))
    thickness = 1.1 + 0.9 * areola
    line = np.exp(-(((d - thickness * 0.75) / (thickness * 0.5)) ** 2)) * (0.15 + 0.16 * areola)
    rolloff = 1 - np.exp(-np.clip(d, 0, None) / 2.2)
    return line.astype(np.float32), (0.35 + 0.65 * rolloff).astype(np.float32)


def pectoral(sheet: Sheet) -> tuple[Field, Field]:
    """(share of muscle 0–1, its brightness) on an MLO view: a bright wedge down from the upper chest-wall corner."""
    placement = sheet.placement
    top, end = placement.top_mm, placement.breast.pectoral_reach_mm
    t = np.clip((sheet.v - end) / (top - end), 0, None)
    wobble = sheet.noise("muscle edge", 25.6, 5.0) * 1.5
    edge = placement.breast.pectoral_mm * (t**0.92 + 0.10 * np.sin(np.pi * np.minimum(t, 1))) + wobble
    share = _step(edge - sheet.x, -1.2, 1.6) * (sheet.v > end)
    fibres = strands(sheet, "muscle", spacing_mm=3.2, width=0.5, stretch=6.0, lean=0.5)
    bright = 0.56 + 0.13 * np.clip((edge - sheet.x) / 50.0, 0, 1) + 0.05 * (fibres - 0.5)
    return share.astype(np.float32), bright.astype(np.float32)


def _step(value: Field, low: float, high: float) -> Field:
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    result: Field = t * t * (3 - 2 * t)
    return result
