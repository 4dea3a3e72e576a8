"""The charts' state, exam by exam. All arrays have one row a stream: a live stratum is one stream, a benchmark many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ai.monitoring.cusum import Floats
from ai.monitoring.design import CELLS, MOVING, TENTHS, Design

Cells = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class State:
    """sums: of each side. recent: cells of the last `MOVING` exams, in a ring. counts: of `recent`, by cell."""

    exams: int
    sums: Floats
    recent: Cells
    counts: NDArray[np.int32]

    @classmethod
    def of(cls, charts: Design, streams: int = 1) -> State:
        """Before the first exam."""
        return cls(
            0,
            np.zeros((streams, len(charts.sides))),
            np.zeros((streams, MOVING), np.uint8),
            np.zeros((streams, CELLS), np.int32),
        )


def step(charts: Design, state: State, exams: Cells) -> State:
    """The state after one more exam in each stream. exams: their cells."""
    added = np.stack([side.increments[exams] for side in charts.sides], axis=1)
    place, streams = state.exams % MOVING, np.arange(len(exams))
    recent, counts = state.recent.copy(), state.counts.copy()
    if state.exams >= MOVING:
        counts[streams, recent[:, place]] -= 1
    recent[:, place] = exams
    counts[streams, exams] += 1
    return replace(state, exams=state.exams + 1, sums=np.maximum(state.sums + added, 0.0), recent=recent, counts=counts)


def values(charts: Design, state: State) -> Floats:
    """Each chart's value as a share of its limit (streams × charts): an alarm is 1 or more. `names` has their names."""
    limits = np.array([side.limit for side in charts.sides])
    ks, psi = moving(charts, state)
    return np.column_stack([state.sums / limits, ks / charts.ks_limit, psi / charts.psi_limit])


def names(charts: Design) -> tuple[str, ...]:
    """Of the columns of `values`."""
    return (*(f"{side.chart} {'up' if side.up else 'down'}" for side in charts.sides), "ks", "psi")


def moving(charts: Design, state: State) -> tuple[Floats, Floats]:
    """KS and PSI of the moving window; 0 until it is full."""
    if state.exams < MOVING:
        nothing = np.zeros(len(state.counts))
        return nothing, nothing
    return ks(state.counts, charts.expected), psi(state.counts, charts.expected)


def ks(counts: NDArray[np.integer], expected: Floats) -> Floats:
    """Largest distance of the distribution functions, 0–1."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.abs(np.cumsum(shares - expected, axis=-1)).max(axis=-1)  # type: ignore[no-any-return]


def psi(counts: NDArray[np.integer], expected: Floats) -> Floats:
    """Population stability index over tenths; half an exam is added to each tenth, so that none is empty."""
    tenths = counts.reshape(*counts.shape[:-1], TENTHS, -1).sum(axis=-1) + 0.5
    found = tenths / tenths.sum(axis=-1, keepdims=True)
    half = 0.5 / counts.sum(axis=-1, keepdims=True)
    wanted = expected.reshape(TENTHS, -1).sum(axis=-1) + half
    wanted = wanted / wanted.sum(axis=-1, keepdims=True)
    return ((found - wanted) * np.log(found / wanted)).sum(axis=-1)  # type: ignore[no-any-return]
