"""The AI as second reader: consensus where the first reader is positive or the AI is at or above t; one read."""

from __future__ import annotations

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.942}, {"t": 0.899})


def decide(replay: Replay, t: float) -> Decisions:
    """See above."""
    return replay.decide(reads=1, called=replay.exams.p1 | replay.exams.at(t))
