"""What the readers and the AI said of the same exams: the table of r1 × r2 × AI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ai.evaluation.exams import Exams

#: Where the AI's ranges begin, as shares of the reference window.
_RANGES = (("below 50", 0.0), ("50–70", 0.5), ("70–90", 0.7), ("90–100", 0.9))
#: Names of the AI's ranges, the last for exams without an answer or thresholds.
AI_RANGES = (*(name for name, _ in _RANGES), "not read")


@dataclass(frozen=True, slots=True)
class Cell:
    """Exams that the two readers scored r1 and r2, and the AI in one range of its stratum's percentiles."""

    r1: int
    r2: int
    ai: str
    exams: int
    recalled: int
    sdc: int
    ic: int


def table(exams: Exams) -> list[Cell]:
    """Every combination that occurs, by readers' scores and then by the AI."""
    return list(_cells(exams))


def _cells(exams: Exams) -> Iterator[Cell]:
    place = np.searchsorted([start for _, start in _RANGES], np.nan_to_num(exams.position) + 1e-9, side="right") - 1
    place = np.where(exams.follows_ai, place, len(_RANGES))
    code = (exams.r1 * 10 + exams.r2) * 10 + place
    kinds, of = np.unique(code, return_inverse=True)
    counted = [np.bincount(of, each) for each in (np.ones(len(exams)), exams.recalled, exams.sdc, exams.ic)]
    for i, kind in enumerate(kinds):
        count, recalled, sdc, ic = (int(each[i]) for each in counted)
        yield Cell(int(kind) // 100, int(kind) // 10 % 10, AI_RANGES[int(kind) % 10], count, recalled, sdc, ic)
