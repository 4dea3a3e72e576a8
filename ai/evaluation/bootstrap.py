"""Resampling of women, the unit that is drawn independently: every exam of a drawn woman comes with her.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 8; the clustered form is that of Field and
Welsh, Journal of the Royal Statistical Society B 69 (2007).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK = 64


def resampled(women: NDArray[np.int64], draws: int, seed: int, *, chunk: int = _CHUNK) -> Iterator[NDArray[np.uint16]]:
    """How often each woman is drawn, in `draws` samples of as many women as there are, with replacement.

    women: for each exam the number of its woman, 0 … W - 1. Yields arrays (up to chunk, W), together `draws` rows,
    each summing to W; the rows depend on the seed and on W, not on the chunk, which only bounds the memory to
    chunk × W × 2 bytes. The weight of an exam is that of its woman: rows[:, women]. Raises ValueError.
    """
    if women.size == 0 or women.min() < 0:
        raise ValueError("women: a number from 0 up for each of one or more exams is needed")
    if draws < 0 or chunk < 1:
        raise ValueError(f"draws: {draws} must be 0 or more; chunk: {chunk} must be 1 or more")
    generator = np.random.default_rng(seed)
    count = int(women.max()) + 1
    for start in range(0, draws, chunk):
        rows = np.empty((min(chunk, draws - start), count), np.uint16)
        for row in rows:
            drawn = generator.integers(0, count, count, dtype=np.int32)
            row[:] = np.bincount(drawn, minlength=count)
        yield rows
