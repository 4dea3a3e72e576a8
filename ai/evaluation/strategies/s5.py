"""S4, and from `top` up the woman is recalled unless the readers dismiss the AI's mark as an obvious false positive.

A meeting that was held tells whether they did. Where none was held, both had seen nothing: lo, dismissed; hi, cancers
are recalled; mid, cancers are, and of the others the share 1 - `obvious`, which no table tells.
"""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay
from ai.evaluation.strategies import s4

SETTINGS = ({"lower": 0.9, "top": 0.99, "obvious": 0.9},)


def decide(replay: Replay, lower: float, top: float, obvious: float) -> Decisions:
    """See above."""
    exams, single_or_double = replay.exams, s4.decide(replay, lower)
    called = np.where(exams.at(top), exams.either, single_or_double.called)
    unless = np.where(exams.cancer & exams.right_side, 1.0, 1 - obvious)
    unknown = exams.at(top) & ~exams.held
    recalled = unknown * np.stack([np.zeros(len(exams)), unless, exams.cancer.astype(float)])
    return replay.decide(reads=single_or_double.reads, called=called, recalled=recalled)
