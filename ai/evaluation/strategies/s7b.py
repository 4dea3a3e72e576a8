"""Tags as used in practice: all is double read; a double negative from `safety` up is shown again, and some accept.

Below `normal` an exam is tagged normal, and read all the same, so the tag itself changes no decision here. `accepted`
is the share of shown exams that a reader then takes to consensus, a parameter, for no table tells it.
"""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"safety": 0.98, "accepted": 0.25},)


def decide(replay: Replay, safety: float, accepted: float) -> Decisions:
    """See above."""
    exams = replay.exams
    shown = exams.at(safety) & ~exams.either
    return replay.decide(reads=2, called=np.where(shown, accepted, exams.either))
