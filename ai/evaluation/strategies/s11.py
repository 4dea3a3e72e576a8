"""The AI as third reader: consensus where either reader is positive or the AI is at or above t; two reads."""

from __future__ import annotations

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.942},)


def decide(replay: Replay, t: float) -> Decisions:
    """See above."""
    return replay.decide(reads=2, called=replay.exams.either | replay.exams.at(t))
