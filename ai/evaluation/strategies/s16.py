"""Rule-out of the unchanged: negative and unread below `lower` if the rise since the prior is below `change`.

Both are quantiles, `change` of the rises (in percentiles, of the breast that rose more) in the stratum's reference
window. Without a prior, double reading. Compare with S2 at an equal share ruled out, or it only looks safer
because it rules out less.
"""

from __future__ import annotations

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS = ({"lower": 0.7, "change": 0.9},)


def decide(replay: Replay, lower: float, change: float) -> Decisions:
    """See above."""
    exams = replay.exams
    out = exams.below(lower) & (exams.change < change)
    return replay.decide(reads=np.where(out, 0, 2), called=exams.either & ~out, ruled_out=out)
