"""S6 with its upper bands exchanged: double reading up to `middle`, single above. A control: it must come out worse."""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.5, "middle": 0.75},)


def decide(replay: Replay, lower: float, middle: float) -> Decisions:
    """See above."""
    exams, out = replay.exams, replay.exams.below(lower)
    single = exams.at(middle)
    called = np.where(single, exams.p1, exams.either) & ~out
    return replay.decide(reads=np.select([out, single], [0, 1], 2), called=called, ruled_out=out)
