"""Lesions in the plane of a view: what each adds to the tissue's signal, and its specks of calcium.

Soft parts are drawn on the tissue grid; specks are kept as a list and drawn at the final pitch,
because a calcification of a fifth of a millimetre is what fine pixels are for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ai.exam import ViewPosition
from ai.phantom.anatomy import Lesion, LesionKind
from ai.phantom.drawing import Curve, drawn, wandering
from ai.phantom.noise import Field, Points, stream
from ai.phantom.tissue import Sheet


@dataclass(frozen=True, slots=True)
class Speck:
    """One calcification: middle (x, v) and radius in mm, brightness at its middle."""

    x: float
    v: float
    radius_mm: float
    brightness: float


@dataclass(frozen=True, slots=True)
class Patch:
    """The square around a lesion: dx, dv from its middle in mm, and the random stream of its shape in this view."""

    lesion: Lesion
    rng: np.random.Generator
    dx: Field
    dv: Field
    pitch_mm: float

    @property
    def radius(self) -> Field:
        """Distance from the middle, mm."""
        return np.hypot(self.dx, self.dv)

    @property
    def half_mm(self) -> float:
        """Half the lesion's diameter."""
        return self.lesion.diameter_mm / 2

    def curve(self, dx: Points, dv: Points, width_mm: float, brightness: float | Points) -> Curve:
        """A curve given in mm from the middle."""
        row = (float(self.dv[0, 0]) - dv) / self.pitch_mm
        column = (dx - float(self.dx[0, 0])) / self.pitch_mm
        return Curve(points=np.stack((row, column), axis=1), width=width_mm / self.pitch_mm, brightness=brightness)


def add_soft_parts(sheet: Sheet, signal: Field, lesion: Lesion) -> None:
    """Adds a lesion's soft tissue, rims and tracks to the signal of the sheet, in place."""
    x, v = sheet.placement.lesion_at(lesion)
    reach = lesion.diameter_mm * 1.3 + 4.0
    rows, columns = np.flatnonzero(np.abs(sheet.v[:, 0] - v) < reach), np.flatnonzero(np.abs(sheet.x[0] - x) < reach)
    if rows.size == 0 or columns.size == 0:
        return
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    patch = Patch(
        lesion,
        stream(lesion.seed, "shape", sheet.placement.view_position),
        np.broadcast_to(sheet.x[:, part[1]] - np.float32(x), signal[part].shape),
        np.broadcast_to(sheet.v[part[0]] - np.float32(v), signal[part].shape),
        sheet.pitch_mm,
    )
    added = _SOFT_PARTS[lesion.kind](patch)
    inside = np.clip(sheet.skin_distance[part] / 2.5, 0, 1)
    signal[part] += (added * inside).astype(np.float32)


def _profile(patch: Patch, *, lobes: float, margin_mm: float) -> Field:
    """A lobulated ball seen in projection, 1 at the middle; margin_mm softens its border."""
    angle = np.arctan2(patch.dv, patch.dx)
    outline = np.ones_like(angle)
    for k in range(2, 12):
        outline += lobes * patch.rng.normal() / k * np.cos(k * angle + patch.rng.uniform(0, 2 * np.pi))
    away = patch.radius / (patch.half_mm * np.maximum(outline, 0.4))
    ball = np.sqrt(np.clip(1 - away**2, 0, 1))
    return ball * np.clip((1 - away) * patch.half_mm / margin_mm, 0, 1)


def _bunch(patch: Patch, *, margin_mm: float) -> Field:
    """Several balls grown into one another, 1 at the thickest."""
    total = np.zeros(patch.dx.shape, np.float32)
    for angle in np.linspace(0, 2 * np.pi, int(patch.rng.integers(4, 7)), endpoint=False):
        turned = angle + patch.rng.normal(0, 0.3)
        size = patch.half_mm * patch.rng.uniform(0.4, 0.62)
        off = patch.half_mm - size
        middle = (off * np.cos(turned) * patch.rng.uniform(0.6, 1), off * np.sin(turned) * patch.rng.uniform(0.6, 1))
        away = np.hypot(patch.dx - np.float32(middle[0]), patch.dv - np.float32(middle[1])) / size
        ball = np.sqrt(np.clip(1 - away**2, 0, 1)) * np.clip((1 - away) * size / margin_mm, 0, 1)
        total = np.maximum(total, ball) + np.float32(0.35) * np.minimum(total, ball)
    return np.minimum(total, np.float32(1.3))


def _texture(patch: Patch, size_mm: float) -> Field:
    noise = patch.rng.standard_normal(patch.dx.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, size_mm / patch.pitch_mm)
    return smooth / max(float(smooth.std()), 1e-6)


def _spicules(patch: Patch, *, count: int, start: float, reach: float, brightness: float) -> Field:
    """Fine straight lines radiating outwards; start and reach in radii."""
    curves = []
    for angle in np.sort(patch.rng.uniform(0, 2 * np.pi, count)):
        length = patch.half_mm * reach * patch.rng.uniform(0.45, 1.0)
        way = np.linspace(patch.half_mm * start, patch.half_mm * start + length, 24)
        bend = angle + patch.rng.normal(0, 0.10) * np.linspace(0, 1, 24)
        fading = brightness * patch.rng.uniform(0.5, 1.0) * np.linspace(1, 0.1, 24)
        width_mm = float(patch.rng.choice([0.5, 0.8, 1.2]))
        curves.append(patch.curve(way * np.cos(bend), way * np.sin(bend), width_mm, fading))
    rows, columns = patch.dx.shape
    return drawn(curves, (rows, columns))


def _spiculated_mass(patch: Patch) -> Field:
    core = _profile(patch, lobes=0.20, margin_mm=patch.half_mm * 0.5)
    rays = _spicules(patch, count=int(patch.rng.integers(26, 44)), start=0.45, reach=1.25, brightness=0.19)
    return patch.lesion.contrast * (0.36 * core * (1 + 0.10 * _texture(patch, 0.8)) + rays)


def _lobulated_mass(patch: Patch) -> Field:
    core = _bunch(patch, margin_mm=patch.half_mm * 0.5)
    rays = _spicules(patch, count=int(patch.rng.integers(14, 22)), start=0.55, reach=0.8, brightness=0.12)
    return patch.lesion.contrast * (0.46 * core * (1 + 0.10 * _texture(patch, 0.8)) + rays)


def _distortion(patch: Patch) -> Field:
    rays = _spicules(patch, count=int(patch.rng.integers(24, 36)), start=0.04, reach=1.0, brightness=0.13)
    centre = np.exp(-((patch.radius / (0.22 * patch.half_mm)) ** 2))
    result: Field = patch.lesion.contrast * (rays + 0.08 * centre)
    return result


def _asymmetry(patch: Patch) -> Field:
    cloud = np.exp(-((patch.radius / (0.75 * patch.half_mm)) ** 2)) * (1 + 0.25 * _texture(patch, 1.8))
    result: Field = patch.lesion.contrast * 0.2 * cloud
    return result


def _round_mass(patch: Patch) -> Field:
    ball = _profile(patch, lobes=0.045, margin_mm=0.9)
    halo = np.exp(-(((patch.radius - patch.half_mm * 1.06) / 0.7) ** 2))
    result: Field = patch.lesion.contrast * (0.3 * ball - 0.03 * halo)
    return result


def _oil_cyst(patch: Patch) -> Field:
    angle = np.arctan2(patch.dv, patch.dx)
    outline = patch.half_mm * (1 + 0.05 * np.cos(2 * angle + patch.rng.uniform(0, 6)) + 0.03 * np.cos(3 * angle))
    rim = np.exp(-(((patch.radius - outline) / 0.32) ** 2)) * np.clip(0.85 + 0.3 * _texture(patch, 0.9), 0.2, 1.5)
    inner = (patch.radius < outline) * 0.05
    result: Field = patch.lesion.contrast * (0.42 * rim - inner)
    return result


def _lymph_node(patch: Patch) -> Field:
    tilt = patch.rng.uniform(0, np.pi)
    along = patch.dx * np.cos(tilt) + patch.dv * np.sin(tilt)
    across = patch.dv * np.cos(tilt) - patch.dx * np.sin(tilt)
    body = np.clip((1 - np.hypot(along / patch.half_mm, across / (0.62 * patch.half_mm))) / 0.3, 0, 1)
    hilum = np.exp(
        -((along / (0.4 * patch.half_mm)) ** 2) - (((across - 0.3 * patch.half_mm) / (0.3 * patch.half_mm)) ** 2)
    )
    result: Field = patch.lesion.contrast * 0.3 * body * (1 - 0.85 * hilum)
    return result


def _calcified_vessel(patch: Patch) -> Field:
    """Two broken parallel tracks along a winding vessel."""
    half = patch.half_mm
    tilt = patch.rng.normal(0, 0.5)
    ends = np.array([[-np.cos(tilt), -np.sin(tilt)], [np.cos(tilt), np.sin(tilt)]]) * half
    path = wandering(patch.rng, ends[0], ends[1], sway=4.0)
    normal = np.gradient(path, axis=0)[:, ::-1] * (1, -1)
    normal /= np.hypot(*normal.T)[:, None]
    curves = [patch.curve(path[:, 0], path[:, 1], 1.6, 0.07)]
    for side in (-0.75, 0.75):
        broken = np.clip(ndimage.gaussian_filter1d(patch.rng.standard_normal(len(path)), 1.0) * 1.3 + 0.35, 0, 1)
        track = path + normal * side
        curves.append(patch.curve(track[:, 0], track[:, 1], 0.4, 0.4 * broken))
    rows, columns = patch.dx.shape
    return patch.lesion.contrast * drawn(curves, (rows, columns))


def _nearly_nothing(patch: Patch) -> Field:
    """Calcifications lie in a faint haze at most."""
    result: Field = 0.03 * patch.lesion.contrast * np.exp(-((patch.radius / (0.6 * patch.half_mm)) ** 2))
    return result


_SOFT_PARTS: dict[LesionKind, Callable[[Patch], Field]] = {
    LesionKind.SPICULATED_MASS: _spiculated_mass,
    LesionKind.LOBULATED_MASS: _lobulated_mass,
    LesionKind.PLEOMORPHIC_CALCIFICATIONS: _nearly_nothing,
    LesionKind.ARCHITECTURAL_DISTORTION: _distortion,
    LesionKind.FOCAL_ASYMMETRY: _asymmetry,
    LesionKind.ROUND_MASS: _round_mass,
    LesionKind.OIL_CYST: _oil_cyst,
    LesionKind.LYMPH_NODE: _lymph_node,
    LesionKind.VASCULAR_CALCIFICATION: _calcified_vessel,
    LesionKind.ROUND_CALCIFICATIONS: _nearly_nothing,
}


def specks(lesion: Lesion, view_position: ViewPosition, middle: tuple[float, float], angle_deg: float) -> list[Speck]:
    """The calcifications of a lesion as this view shows them; they keep their places in three dimensions."""
    rng = stream(lesion.seed, "specks")
    if lesion.kind is LesionKind.PLEOMORPHIC_CALCIFICATIONS:
        found = _pleomorphic(lesion, rng)
    elif lesion.kind is LesionKind.ROUND_CALCIFICATIONS:
        found = _scattered(lesion, rng)
    else:
        return []
    angle = np.deg2rad(angle_deg)
    up = (1.0, 0.0) if view_position is ViewPosition.CC else (np.cos(angle), np.sin(angle))
    return [
        Speck(middle[0] + dx, middle[1] + lateral * up[0] + superior * up[1], radius, brightness * lesion.contrast)
        for dx, lateral, superior, radius, brightness in found
    ]


def _pleomorphic(lesion: Lesion, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Grains of many sizes and shapes, some in short lines as they fill a duct."""
    found: list[tuple[float, ...]] = []
    spread = lesion.diameter_mm / 4
    for _ in range(int(np.clip(lesion.diameter_mm * rng.uniform(1.5, 3.0), 7, 50))):
        place = rng.normal(0, spread, 3).clip(-2 * spread, 2 * spread)
        radius, brightness = float(np.exp(rng.normal(np.log(0.15), 0.35))), float(rng.uniform(0.35, 0.85))
        heading = rng.normal(size=3) * radius * 1.1
        for link in range(int(rng.choice([1, 1, 1, 2, 3]))):
            found.append((*(place + heading * link), radius * float(rng.uniform(0.7, 1.0)), brightness))
    return found


def _scattered(lesion: Lesion, rng: np.random.Generator) -> list[tuple[float, ...]]:
    return [
        (*rng.uniform(-0.5, 0.5, 3) * lesion.diameter_mm, float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.4, 0.7)))
        for _ in range(int(rng.integers(4, 11)))
    ]
