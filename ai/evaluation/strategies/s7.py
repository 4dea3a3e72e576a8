"""Decision referral: below `normal` negative and unread; else double reading, and consensus too from `safety` up."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"normal": 0.7, "safety": 0.98},)


def decide(replay: Replay, normal: float, safety: float) -> Decisions:
    """See above."""
    exams, out = replay.exams, replay.exams.below(normal)
    called = (exams.either | exams.at(safety)) & ~out
    return replay.decide(reads=np.where(out, 0, 2), called=called, ruled_out=out)
