"""Three bands: below `lower` negative and unread; up to `middle` the first reader alone; above, double reading."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.5, "middle": 0.75},)


def decide(replay: Replay, lower: float, middle: float) -> Decisions:
    """See above."""
    exams, out = replay.exams, replay.exams.below(lower)
    double = exams.at(middle)
    called = np.where(double, exams.either, exams.p1) & ~out
    return replay.decide(reads=np.select([out, double], [0, 2], 1), called=called, ruled_out=out)
