"""The AI alone: recall at or above t, without any reader; below, negative and unread."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.968},)


def decide(replay: Replay, t: float) -> Decisions:
    """See above."""
    recalled = replay.exams.at(t)
    return replay.decide(reads=0, called=np.zeros(len(recalled)), recalled=recalled, ruled_out=replay.exams.below(t))
