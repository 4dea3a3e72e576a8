"""Seeded random fields on grids of halving spacing, so that a coarse rendering resembles a fine one.

A field is built from its coarsest lattice: double by cubic B-spline subdivision, add fresh noise, repeat.
Rendering at 0.4 mm stops one step before 0.2 mm and shows the same field, at a quarter of the cost.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

#: float32 in practice; numpy's stubs widen float32 × Python float, so the precision is not part of the type.
Field = npt.NDArray[np.floating[Any]]
Points = npt.NDArray[np.floating[Any]]

#: Lattice spacing of the coarsest octave, mm; level k has COARSEST_MM / 2**k.
COARSEST_MM = 25.6
#: No noise is added below this spacing; finer grids are smooth between.
FINEST_MM = 0.4


def stream(seed: int, *labels: object) -> np.random.Generator:
    """The random stream of one thing: the same seed and labels give the same numbers, others are independent."""
    words = [zlib.crc32(str(label).encode()) for label in labels]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, *words])))


def doubled(field: Field) -> Field:
    """The field on a lattice of half the spacing (n → 2n − 1 per axis), smoothed by cubic B-spline subdivision."""
    for axis in (0, 1):
        field = _doubled_rows(field if axis == 0 else field.T)
        field = field if axis == 0 else field.T
    return field


def _doubled_rows(field: Field) -> Field:
    rows = field.shape[0]
    out = np.empty((2 * rows - 1, *field.shape[1:]), np.float32)
    out[1::2] = (field[:-1] + field[1:]) * np.float32(0.5)
    out[0], out[-1] = field[0], field[-1]
    out[2:-1:2] = field[1:-1] * np.float32(0.75) + (field[:-2] + field[2:]) * np.float32(0.125)
    return out


def octaves(
    seed: int, *labels: object, shape: tuple[int, int], spacing_mm: float, pitch_mm: float, exponent: float = 3.0
) -> Field:
    """Noise with power spectrum 1/f**exponent for lattice spacings of spacing_mm down to FINEST_MM, variance about 1.

    shape: of the result, on a grid of pitch_mm. All lengths are COARSEST_MM over powers of two. Each octave has its own
    stream, drawn over its whole lattice, so a grid of another pitch samples the same field.
    """
    steps = round(float(np.log2(spacing_mm / pitch_mm)))
    scale = 2**steps
    size = (-(-shape[0] // scale) + 2, -(-shape[1] // scale) + 2)
    total, power = np.zeros(size, np.float32), 0.0
    for step in range(steps + 1):
        if step:
            total = doubled(total)
        if spacing_mm / 2**step < FINEST_MM:
            continue
        amplitude = 0.5 ** (step * (exponent - 2) / 2)
        power += amplitude**2
        fresh = stream(seed, *labels, step).standard_normal(total.shape, dtype=np.float32)
        total = total + fresh * np.float32(amplitude)
    # Subdivision smooths each octave to about half its standard deviation; bring the sum back to about 1.
    return total[: shape[0], : shape[1]] * np.float32(1.75 / np.sqrt(power))


def resampled(field: Field, rows: Field, columns: Field) -> Field:
    """The field at the given fractional row and column positions (an outer grid), by cubic convolution.

    Positions outside are clamped to the border.
    """
    return _gathered(_gathered(field, rows).T, columns).T


def _gathered(field: Field, positions: Field) -> Field:
    positions = np.clip(positions, 0, field.shape[0] - 1)
    base = np.floor(positions).astype(np.intp)
    t = (positions - base).astype(np.float32)[:, None]
    weights = (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    last = field.shape[0] - 1
    out = field[np.clip(base - 1, 0, last)] * weights[0]
    for offset, weight in enumerate(weights[1:]):
        out += field[np.clip(base + offset, 0, last)] * weight
    return np.ascontiguousarray(out)
