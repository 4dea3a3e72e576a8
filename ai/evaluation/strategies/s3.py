"""Rule-out and single reading: below `lower` negative and read by nobody; above, the first reader alone."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.5}, {"lower": 0.7})


def decide(replay: Replay, lower: float) -> Decisions:
    """See above."""
    out = replay.exams.below(lower)
    return replay.decide(reads=np.where(out, 0, 1), called=replay.exams.p1 & ~out, ruled_out=out)
