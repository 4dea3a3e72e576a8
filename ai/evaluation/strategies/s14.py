"""A filter before the meeting: what one reader gave a 2, the other a 1, and the AI a score below t, is dropped."""

from __future__ import annotations

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.5}, {"t": 0.7})


def decide(replay: Replay, t: float) -> Decisions:
    """See above."""
    exams = replay.exams
    single_two = exams.r1 + exams.r2 == 3
    return replay.decide(reads=2, called=exams.either & ~(single_two & exams.below(t)))
