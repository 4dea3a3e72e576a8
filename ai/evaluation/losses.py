"""The cancers that a strategy costs, each by its exam: whoever decides on one ought to look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ai.evaluation import strategies
from ai.evaluation.decisions import LO, Assumptions, Replay, meeting
from ai.evaluation.exams import Cohort
from ai.evaluation.strategies import Variant


@dataclass(frozen=True, slots=True)
class Lost:
    """A cancer that double reading detects and the strategy does not, or that it rules out. No ai_score: not read."""

    strategy: str
    exam_id: str
    outcome: str
    ruled_out: bool
    r1: int
    r2: int
    ai_score: float | None


def lost(cohort: Cohort, variants: Sequence[Variant], assumptions: Assumptions) -> list[Lost]:
    """By strategy, in the order of the table. A meeting never held detects nothing (lo)."""
    replay = Replay(cohort.exams, meeting(cohort.exams, assumptions))
    return [each for variant in variants for each in _lost(cohort, replay, variant)]


def _lost(cohort: Cohort, replay: Replay, variant: Variant) -> Iterator[Lost]:
    double, found = (strategies.decided(each, replay) for each in (Variant(strategies.BASELINE), variant))
    missed = (double.recall[LO] > found.recall[LO]) | found.ruled_out
    rows = np.flatnonzero(missed & cohort.exams.cancer)
    columns = cohort.table[rows].select("exam_id", "outcome", "r1", "r2", "ai_score")
    for row, told in zip(rows, columns.iter_rows(named=True), strict=True):
        yield Lost(strategy=str(variant), ruled_out=bool(found.ruled_out[row]), **told)
