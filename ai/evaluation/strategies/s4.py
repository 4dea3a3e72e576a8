"""Single reading of what looks normal: below `lower` the first reader alone; above, double reading."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.7}, {"lower": 0.9})


def decide(replay: Replay, lower: float) -> Decisions:
    """See above."""
    exams, single = replay.exams, replay.exams.below(lower)
    return replay.decide(reads=np.where(single, 1, 2), called=np.where(single, exams.p1, exams.either))
