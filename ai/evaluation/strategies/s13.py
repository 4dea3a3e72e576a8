"""A second reader only to settle: where the first reader and A(t) agree that is the answer; else double reading."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.9},)


def decide(replay: Replay, t: float) -> Decisions:
    """See above. Agreed positives go to consensus, as any positive does."""
    exams = replay.exams
    agreed = exams.p1 == exams.at(t)
    return replay.decide(reads=np.where(agreed, 1, 2), called=np.where(agreed, exams.p1, exams.either))
