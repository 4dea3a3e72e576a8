"""Fat, fibroglandular tissue, strands, vessels, muscle and skin of one view, as display signal 0–1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ai.exam import ImageLaterality, StandardView, ViewPosition
from ai.phantom.anatomy import Woman
from ai.phantom.drawing import Curve, drawn, wandering
from ai.phantom.geometry import Placement
from ai.phantom.noise import Field, Points, octaves, resampled, stream

_VOLUME = (30, 36, 36)  # depth × lateral × superior; lateral and superior reach ±1.2
_TUBE_KNOTS = 12
_STRAND_FIELD_MM = 0.4  # grid of the fields whose zero crossings are strands
#: name, spacing mm, width (of the field's zero), stretch along the way to the nipple, lean off it (radians), weight
_STRANDS = (
    ("fine+", 3.2, 0.14, 3.2, 0.35, 0.22),
    ("fine-", 3.2, 0.14, 3.2, -0.45, 0.22),
    ("net", 3.2, 0.16, 1.2, 0.0, 0.20),
    ("middle+", 6.4, 0.09, 2.4, 0.6, 0.24),
    ("middle-", 6.4, 0.09, 2.8, -0.3, 0.24),
    ("wide", 12.8, 0.05, 2.2, 0.15, 0.28),
)


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

    def noise(self, name: str, spacing_mm: float, exponent: float = 3.0, pitch_mm: float | None = None) -> Field:
        """A random field of this breast and view, on the sheet's grid or over the same area on another."""
        pitch = pitch_mm or self.pitch_mm
        return octaves(
            self.seed,
            self.placement.view_position,
            self.placement.breast.texture_seed,
            name,
            shape=(round(self.placement.height_mm / pitch), round(self.placement.width_mm / pitch)),
            spacing_mm=spacing_mm,
            pitch_mm=pitch,
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
    cone = 0.9 - radius / (0.2 + 0.75 * back) - 1.3 * np.clip((0.34 - depth) / 0.34, 0, 1) ** 2
    lumps = _lumps(stream(woman.seed, "gland"), 0.75) + _lumps(stream(woman.seed, "gland", image_laterality), 0.6)
    score = cone + 0.42 * lumps - 0.9 * np.exp(-np.clip(inside, 0, None) / 0.06)
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
    signal = parenchyma(sheet, gland) + vessels_and_ducts(
        sheet, stream(woman.seed, "tubes", standard_view.image_laterality)
    )
    if standard_view.view_position is ViewPosition.MLO:
        share, bright = pectoral(sheet)
        signal = signal * (1 - share) + share * (bright + np.float32(0.6) * (signal - np.float32(0.2)))
    if woman.implant:
        share = implant(sheet)
        signal = signal * (1 - share) + share * (np.float32(0.86) + np.float32(0.02) * sheet.noise("implant", 25.6))
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
    field = sheet.noise(name, spacing_mm, 4.5, _STRAND_FIELD_MM)
    nipple = sheet.placement.breast.depth_mm * 1.15
    # Polar coordinates about a point behind the nipple keep the lines converging there.
    radius = np.hypot(sheet.x - nipple, sheet.v)
    angle = np.arctan2(sheet.v, nipple - sheet.x)
    rows = (angle + lean * np.log((radius + 8) / 60)) * 60.0 / _STRAND_FIELD_MM + field.shape[0] / 2
    columns = np.broadcast_to(radius / stretch / _STRAND_FIELD_MM, rows.shape)
    sampled = ndimage.map_coordinates(field, [rows, columns], order=1, mode="mirror", output=np.float32)
    result: Field = np.exp(-((sampled / np.float32(width)) ** 2)).astype(np.float32)
    return result


def parenchyma(sheet: Sheet, gland: Field) -> Field:
    """Fat with its strands and glandular tissue between fat lobules; gland: projected share 0–1."""
    breast, d = sheet.placement.breast, sheet.skin_distance
    deep = _step(d, breast.subcutaneous_mm * 0.2, breast.subcutaneous_mm * 1.6)
    cloud, wool = sheet.noise("cloud", 25.6, 3.0), sheet.noise("wool", 6.4, 2.6)
    mesh = sum_of_strands(sheet)
    lobules = _lobules(sheet)
    # Lobules of fat eat into the gland from its border; septa between them hold on longest.
    score = 1.55 * gland + 0.10 * cloud + 0.06 * wool - 0.40 * lobules + 0.22 * (mesh - 0.35)
    dense = _step(score, -0.1, 1.5) * deep * _step(gland, 0.0, 0.3)
    body = 0.30 + 0.16 * gland + 0.05 * cloud + 0.03 * wool + 0.20 * (mesh - 0.3) - 0.10 * lobules
    depth = np.clip(1 - sheet.x / breast.depth_mm, 0, 1)
    fat = 0.12 + 0.05 * deep + 0.06 * depth + 0.03 * cloud + 0.022 * wool
    netted = mesh * (0.06 + 0.20 * deep * breast.strands) * (1 - 0.6 * dense)
    result: Field = fat + netted + dense * np.clip(body, 0.05, 0.7)
    return result


def _lobules(sheet: Sheet) -> Field:
    """Rounded lobules of fat, 0–1, in two sizes, with septa of 0 between them."""
    large = np.abs(sheet.noise("lobules", 12.8, 4.6))
    small = np.abs(sheet.noise("small lobules", 6.4, 4.6))
    result: Field = np.clip(0.65 * _step(large, 0.1, 1.5) + 0.45 * _step(small, 0.1, 1.5), 0, 1)
    return result


def sum_of_strands(sheet: Sheet) -> Field:
    """Strands of several sizes and directions, about 0–1: septa that cross everywhere, ligaments here and there."""
    gate = np.clip(0.85 + 0.35 * sheet.noise("gate", 25.6, 3.2), 0.35, 1.6)
    total = np.zeros(sheet.shape, np.float32)
    for name, spacing_mm, width, stretch, lean, weight in _STRANDS:
        total += np.float32(weight) * strands(
            sheet, name, spacing_mm=spacing_mm, width=width, stretch=stretch, lean=lean
        )
    result: Field = total * gate
    return result


def vessels_and_ducts(sheet: Sheet, rng: np.random.Generator) -> Field:
    """Vessels winding through the fat and ducts fanning back from the nipple; both are the same in either view."""
    curves = []
    for _ in range(int(rng.integers(4, 9))):
        start = np.array([rng.uniform(0.0, 0.2), rng.uniform(-0.5, 0.85), rng.uniform(-0.5, 0.85)])
        end = np.array([rng.uniform(0.5, 0.9), *rng.uniform(-0.45, 0.45, 2)])
        curves.append(
            _tube(sheet, wandering(rng, start, end, sway=0.14), rng.uniform(1.0, 2.6), rng.uniform(0.03, 0.08))
        )
    for _ in range(int(rng.integers(7, 13))):
        nipple = np.array([0.985, *rng.normal(0, 0.015, 2)])
        end = np.array([rng.uniform(0.6, 0.82), *rng.normal(0, 0.2, 2)])
        fading = np.linspace(1, 0.2, _TUBE_KNOTS * 6)
        curves.append(_tube(sheet, wandering(rng, nipple, end, sway=0.05), rng.uniform(0.8, 1.5), 0.09 * fading))
    return drawn(curves, sheet.shape)


def _tube(sheet: Sheet, path: Points, width_mm: float, brightness: float | Points) -> Curve:
    x, v = sheet.placement.projected(path[:, 0], path[:, 1], path[:, 2])
    rows, columns = (sheet.placement.top_mm - v) / sheet.pitch_mm - 0.5, x / sheet.pitch_mm - 0.5
    return Curve(points=np.stack((rows, columns), axis=1), width=width_mm / sheet.pitch_mm, brightness=brightness)


def implant(sheet: Sheet) -> Field:
    """Share 0–1 of a smooth dome on the chest wall that takes most of the breast."""
    placement = sheet.placement
    breast = placement.breast
    cc = placement.view_position is ViewPosition.CC
    middle = 0.0 if cc else 0.12 * breast.upper_mm
    half = 0.72 * min(breast.lateral_mm, breast.medial_mm) if cc else 0.8 * breast.lower_mm
    level = np.abs((sheet.v - middle) / half) ** 2.1 + (sheet.x / (0.66 * breast.depth_mm)) ** 2.1
    dome = np.minimum((1 - level) * half / 2.3, sheet.skin_distance - 5.0)
    return _step(dome, 0.0, 0.9)


def skin(sheet: Sheet) -> tuple[Field, Field]:
    """(the skin line's brightness, the factor by which tissue darkens towards the edge)."""
    d = sheet.skin_distance
    areola = np.exp(-((sheet.v / 14.0) ** 2) - (((sheet.x - sheet.placement.breast.depth_mm) / 16.0) ** 2))
    thickness = 1.1 + 0.9 * areola
    line = np.exp(-(((d - thickness * 0.75) / (thickness * 0.5)) ** 2)) * (0.15 + 0.16 * areola)
    rolloff = 1 - np.exp(-np.clip(d, 0, None) / 2.2)
    nipple = np.exp(-((sheet.v / 5.5) ** 2) - (((sheet.x - sheet.placement.breast.depth_mm) / 5.0) ** 2)) * 0.16
    line = line * (1 - 0.5 * areola) + nipple
    return line.astype(np.float32), (0.35 + 0.65 * rolloff).astype(np.float32)


def pectoral(sheet: Sheet) -> tuple[Field, Field]:
    """(share of muscle 0–1, its brightness) on an MLO view: a bright wedge down from the upper chest-wall corner."""
    placement = sheet.placement
    top, end = placement.top_mm, placement.breast.pectoral_reach_mm
    t = np.clip((sheet.v - end) / (top - end), 0, None)
    wobble = sheet.noise("muscle edge", 25.6, 5.0) * 1.2
    bulge = placement.breast.pectoral_bulge * np.sin(np.pi * np.minimum(t, 1))
    edge = placement.breast.pectoral_mm * (t**1.02 + bulge) + wobble
    depth = edge - sheet.x
    # The edge is crisp above and melts into the breast below, where the muscle thins out.
    share = _step(depth, -2.0, 3.0) * _step(t, 0.0, 0.5)
    fibres = np.sin((depth + 3.0 * sheet.noise("fibres", 12.8, 4.0)) * 0.9) * 0.012
    bright = 0.36 + 0.22 * np.clip(depth / 40.0, 0, 1) + 0.05 * t + fibres + 0.03 * sheet.noise("muscle", 12.8)
    return share.astype(np.float32), bright.astype(np.float32)


def _step(value: Field, low: float, high: float) -> Field:
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    result: Field = t * t * (3 - 2 * t)
    return result
