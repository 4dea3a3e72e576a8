"""Band-pass: below `lower` no recall and from `top` up recall, both unread; double reading between."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.5, "top": 0.99},)


def decide(replay: Replay, lower: float, top: float) -> Decisions:
    """See above."""
    out, direct = replay.exams.below(lower), replay.exams.at(top)
    called = replay.exams.either & ~out & ~direct
    return replay.decide(reads=np.where(out | direct, 0, 2), called=called, recalled=direct, ruled_out=out)
