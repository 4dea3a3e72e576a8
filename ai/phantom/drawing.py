"""Thin curves on a grid: ducts, vessels, spicules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import ndimage

from ai.phantom.noise import Field, Points

_GAUSS = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A polyline in pixels (points: n × 2, row and column), its width (pixels) and brightness along the way."""

    points: Points
    width: float
    brightness: float | Points


def drawn(curves: Iterable[Curve], shape: tuple[int, int]) -> Field:
    """The curves on a grid of that shape, each with a Gaussian profile; what leaves the grid is cut off.

    Curves of one width (to a quarter of a pixel) are blurred together, so few widths are fast.
    """
    total = np.zeros(shape, np.float32)

    def sigma(curve: Curve) -> float:
        return max(round(curve.width / 2.355 * 4) / 4, 0.5)

    for width, group in groupby(sorted(curves, key=sigma), key=sigma):
        dots = np.zeros(shape, np.float64)
        for curve in group:
            _splat(dots, curve, weight=_GAUSS * width)
        rows, columns = np.flatnonzero(dots.any(axis=1)), np.flatnonzero(dots.any(axis=0))
        if rows.size == 0:
            continue
        margin = int(4 * width) + 1
        part = (
            slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
            slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
        )
        total[part] += ndimage.gaussian_filter(dots[part].astype(np.float32), width, mode="constant", truncate=3.0)
    return total


def _splat(dots: Points, curve: Curve, *, weight: float) -> None:
    """Adds points every half pixel along the curve, shared between the four nearest pixels."""
    steps = np.hypot(*np.diff(curve.points, axis=0).T)
    way = np.concatenate(([0.0], np.cumsum(steps)))
    at = np.arange(0, way[-1], 0.5)
    if at.size == 0:
        return
    brightness = np.broadcast_to(curve.brightness, way.shape)
    amount = np.interp(at, way, brightness) * weight * 0.5
    row, column = np.interp(at, way, curve.points[:, 0]), np.interp(at, way, curve.points[:, 1])
    row0, column0 = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
    for down in (0, 1):
        for right in (0, 1):
            share = amount * np.abs(1 - down - (row - row0)) * np.abs(1 - right - (column - column0))
            r, c = row0 + down, column0 + right
            there = (r >= 0) & (r < dots.shape[0]) & (c >= 0) & (c < dots.shape[1])
            np.add.at(dots, (r[there], c[there]), share[there])


def wandering(rng: np.random.Generator, start: Points, end: Points, *, sway: float, knots: int = 12) -> Points:
    """A smooth random way from start to end (n × d points): sway is its largest usual excursion."""
    t = np.linspace(0, 1, knots)[:, None]
    bumps = np.cumsum(rng.standard_normal((knots, start.size)), axis=0)
    bumps -= bumps[:1] * (1 - t) + bumps[-1:] * t
    path = start * (1 - t) + end * t + bumps * (sway / np.sqrt(knots))
    return ndimage.zoom(path, (6, 1), order=3, mode="nearest", grid_mode=False)
