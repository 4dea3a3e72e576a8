"""Control limits of cumulative sums, from theory: no sample of scores is needed for them.

The run length is that of a Markov chain on a grid of the sum's values (Brook & Evans, Biometrika 1972, 539–549).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GRID = 240
_ROUNDS = 12


def run_length(increments: Floats, probabilities: Floats, limit: float) -> float:
    """Mean number of exams until a sum that starts at 0, and never falls below, reaches `limit`.

    increments: what an exam adds, by kind of exam; probabilities: of the kinds, sum 1.
    """
    step = limit / _GRID
    reached = np.arange(_GRID)[:, None] + increments[None, :] / step
    # an increment between two points of the grid goes to either, so that its mean is kept
    below = np.floor(reached)
    transitions = np.zeros((_GRID, _GRID))
    for target, weight in ((below, 1 - (reached - below)), (below + 1, reached - below)):
        inside = target < _GRID
        rows = np.broadcast_to(np.arange(_GRID)[:, None], target.shape)[inside]
        columns = np.maximum(target[inside], 0).astype(np.intp)
        np.add.at(transitions, (rows, columns), (weight * probabilities)[inside])
    return float(np.linalg.solve(np.eye(_GRID) - transitions, np.ones(_GRID))[0])


def control_limit(increments: Floats, probabilities: Floats, exams: float) -> float:
    """The limit that a sum passes by chance once in `exams` exams on average, or more rarely."""
    kinds: dict[float, float] = {}
    for increment, probability in zip(np.round(increments, 9), probabilities, strict=True):
        kinds[float(increment)] = kinds.get(float(increment), 0.0) + float(probability)
    return _control_limit(tuple(kinds), tuple(kinds.values()), exams)


@lru_cache(maxsize=512)
def _control_limit(increments: tuple[float, ...], probabilities: tuple[float, ...], exams: float) -> float:
    added, weights = np.array(increments), np.array(probabilities)
    limit = math.log(exams)
    for _ in range(_ROUNDS):  # the logarithm of the run length grows as the limit does, but for a constant
        found = run_length(added, weights, limit)
        if 1.0 <= found / exams <= 1.02:
            break
        limit += math.log(1.01 * exams / found)
    return limit
