"""The AI as additional reader: one human arbitrator reads a double negative at or above t, and may call a meeting.

The arbitrator calls exams without cancer as often as the first reader was positive on such exams at or above t, which
the table tells; cancers always, so that π1 is the chance that arbitrator and meeting together see the cancer.
"""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"t": 0.97},)


def decide(replay: Replay, t: float) -> Decisions:
    """See above."""
    exams = replay.exams
    alike = exams.at(t) & ~exams.cancer
    usual = float(exams.p1[alike].mean()) if alike.any() else 0.0
    asked = exams.at(t) & ~exams.either
    called = np.where(asked, np.where(exams.cancer, 1.0, usual), exams.either)
    return replay.decide(reads=np.where(asked, 3, 2), called=called)
