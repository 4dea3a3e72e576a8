"""Rule-out, and an effect on the readers of the rest: below `lower` negative, unread; else double reading, aided.

Readers who see the AI's marks find `gain` of the cancers that they had missed, and recall `false_positives` of the
other women whom they had not; parameters, for a table of unaided readers cannot tell them. lo: no effect.
"""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import LO, Decisions, Replay
from ai.evaluation.strategies import s2

SETTINGS = ({"lower": 0.7, "gain": 0.1, "false_positives": 0.002},)


def decide(replay: Replay, lower: float, gain: float, false_positives: float) -> Decisions:
    """See above."""
    exams, without = replay.exams, s2.decide(replay, lower)
    missed = (1 - without.recall) * ~without.ruled_out
    aided = missed * np.where(exams.cancer, gain, false_positives)
    aided[LO] = 0
    return replay.decide(
        reads=without.reads,
        called=without.called,
        recalled=without.recall + aided,
        ruled_out=without.ruled_out,
    )
