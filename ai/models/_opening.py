"""The largest part of a mask that survives erosion and dilation by a diamond: exactly what that many steps of a cross
give, but on packed bits and by doubling, so that a hundred steps cost a few milliseconds instead of a hundred.

A diamond of radius r is the sum of two diagonal segments of r points and a cross; a segment of n points is reached in
log2(n) steps. Outside the image nothing is set, so what touches its border is eroded from there too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Bits = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Rows [top, bottom) and columns [left, right)."""

    left: int
    top: int
    right: int
    bottom: int


def packed(mask: Mask) -> Bits:
    """Eight columns in a byte, the first in the highest bit; the columns beyond the last are not set."""
    return np.packbits(mask, axis=1)


def opened_bounds(bits: Bits, columns: int, radius: int) -> Bounds | None:
    """Bounds of the largest 4-connected part of the opened mask, or None when nothing survives. radius: at least 1."""
    eroded = _eroded(bits, radius)
    if not eroded.any():
        return None
    mask = np.unpackbits(eroded, axis=1, count=columns).view(bool)
    if _in_one_run_per_row(eroded) or ndimage.label(mask)[1] == 1:
        return _bounds(mask, radius)
    labels, _ = ndimage.label(dilated(mask, radius))  # parts that dilation joins again are one
    return _bounds(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])), 0)


def dilated(mask: Mask, radius: int) -> Mask:
    """Every pixel within `radius` steps, by row and column, of one that is set."""
    distance = ndimage.distance_transform_cdt(~mask, metric="taxicab")
    return np.asarray(distance <= radius, dtype=bool)


def _bounds(mask: Mask, grown: int) -> Bounds:
    i, j = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Bounds(int(j[0]) - grown, int(i[0]) - grown, int(j[-1]) + 1 + grown, int(i[-1]) + 1 + grown)


def _eroded(bits: Bits, radius: int) -> Bits:
    """The pixels whose whole diamond of `radius` is set."""
    for slope in (1, -1):
        bits = _eroded_along(bits, radius, slope)
    bits = _shifted(bits, radius - 1, 0)  # the segments begin at a pixel; the diamond has it in its middle
    vertical = _shifted(bits, 1, 0) & _shifted(bits, -1, 0)
    return bits & vertical & _shifted(bits, 0, 1) & _shifted(bits, 0, -1)


def _eroded_along(bits: Bits, count: int, slope: int) -> Bits:
    """The pixels from which `count` pixels, each a row further down and a column to the right or left, are set."""
    reached = 1
    while reached < count:
        step = min(reached, count - reached)
        bits = bits & _shifted(bits, -step, -step * slope)
        reached += step
    return bits


def _shifted(bits: Bits, rows: int, columns: int) -> Bits:
    """Moved down and to the right (negative: up, left); what comes in is not set."""
    moved = np.zeros_like(bits)
    height = len(bits)
    if abs(rows) >= height:
        return moved
    whole, part = divmod(columns, 8)
    target = moved[max(rows, 0) : height + min(rows, 0)]
    source = bits[max(-rows, 0) : height - max(rows, 0)]
    _move_bytes(source >> np.uint8(part), target, whole)
    if part:
        _move_bytes(source << np.uint8(8 - part), target, whole + 1)
    return moved


def _move_bytes(source: Bits, target: Bits, count: int) -> None:
    width = source.shape[1]
    if abs(count) < width:
        target[:, max(count, 0) : width + min(count, 0)] |= source[:, max(-count, 0) : width - max(count, 0)]


def _in_one_run_per_row(bits: Bits) -> bool:
    """Whether the set pixels are one run in each row, without a gap between rows: then they hang together."""
    rows = np.flatnonzero(bits.any(axis=1))
    part = bits[rows[0] : rows[-1] + 1]
    starts = np.bitwise_count(part & ~_shifted(part, 0, 1)).sum(axis=1)
    return bool((starts == 1).all() and (part[1:] & part[:-1]).any(axis=1).all())
