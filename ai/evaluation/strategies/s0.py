"""Independent double reading, as it is: consensus where either reader is positive; two reads."""

from __future__ import annotations

from collections.abc import Mapping

from ai.evaluation.decisions import Decisions, Replay

SETTINGS: tuple[Mapping[str, float], ...] = ({},)


def decide(replay: Replay) -> Decisions:
    """See above."""
    return replay.decide(reads=2, called=replay.exams.either)
