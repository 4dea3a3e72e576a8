"""Rule-out: below `lower` the exam is negative and read by nobody; above, double reading."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.5}, {"lower": 0.7}, {"lower": 0.9})


def decide(replay: Replay, lower: float) -> Decisions:
    """See above."""
    out = replay.exams.below(lower)
    return replay.decide(reads=np.where(out, 0, 2), called=replay.exams.either & ~out, ruled_out=out)
