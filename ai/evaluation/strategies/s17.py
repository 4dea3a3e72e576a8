"""Only the order of the day's worklist: the highest score is read first; every decision is as in double reading."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ai.evaluation.decisions import Decisions, Replay

SETTINGS: tuple[Mapping[str, float], ...] = ({},)


def decide(replay: Replay) -> Decisions:
    """See above. A place is the share of the day's exams of the stratum that are read before."""
    exams = replay.exams
    # last key first: by stratum and day, within it the highest score first; exams without a score come last
    order = np.lexsort((-np.nan_to_num(exams.position, nan=-1.0), exams.days, exams.strata))
    day = exams.strata[order] * (exams.days.max() + 1) + exams.days[order]
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    sizes = np.diff(starts, append=len(day))
    within = np.arange(len(day)) - np.repeat(starts, sizes)
    place = np.empty(len(day))
    place[order] = (within + 0.5) / np.repeat(sizes, sizes)
    return replay.decide(reads=2, called=exams.either, place=place)
