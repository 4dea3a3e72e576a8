"""What a strategy would have decided on each exam, and what the consensus meeting would then have said.

Where a meeting was held its outcome is used. Where none was held, nobody knows, and three values are given: lo, the
exam is dismissed; hi, it is recalled if there was cancer (SDC or IC); mid, the expected number: π1 of the cancers
flagged on the right side, π0 of all other exams. π0 is what the table itself tells: the share recalled of the exams
without cancer that exactly one reader had found positive. π1 nobody can tell from a table; see `Assumptions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.evaluation.exams import Exams, Flags, Numbers

LO, MID, HI = range(3)
WAYS = ("lo", "mid", "hi")
#: Values of π1 that a result is told for.
SWEEP = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no table can tell. recall_of_flagged: π1, 0–1, by default the middle of its range of 0.2–1.

    consensus_cost: what a meeting on an exam costs, in reads.
    """

    recall_of_flagged: float = 0.6
    consensus_cost: float = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """What a consensus meeting on each exam gives. by: (3, n) chances of recall, lo, mid and hi."""

    by: Numbers
    recall_of_others: float  # π0
    unknown: Flags  # no meeting was held


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Of n exams. reads: human reads. called: chance that a meeting is held on it. recall: (3, n) chances, lo, mid, hi.

    ruled_out: answered negative without any human read. place: where in the day's worklist it is read, 0–1.
    """

    reads: Numbers
    called: Numbers
    recall: Numbers
    ruled_out: Flags
    place: Numbers


def meeting(exams: Exams, assumptions: Assumptions) -> Meeting:
    """What is known and assumed of a consensus on each exam."""
    single = exams.held & (exams.p1 != exams.p2) & ~exams.cancer
    others = float(exams.recalled[single].mean()) if single.any() else 0.0
    flagged = exams.cancer & exams.right_side
    mid = np.where(flagged, assumptions.recall_of_flagged, others)
    known = exams.recalled.astype(float)
    ways = (np.zeros(len(exams)), mid, exams.cancer.astype(float))
    return Meeting(np.stack([np.where(exams.held, known, way) for way in ways]), others, ~exams.held)


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The exams, and what a meeting on each would give: all that a strategy decides from."""

    exams: Exams
    meeting: Meeting

    def decide(
        self,
        *,
        reads: Numbers | NDArray[np.int64] | int,
        called: Numbers | Flags,
        recalled: Numbers | Flags | None = None,
        ruled_out: Flags | None = None,
        place: Numbers | None = None,
    ) -> Decisions:
        """Decisions where recall follows from the meetings. `called` below 1 is a chance: lo takes it as 0, hi as 1.

        recalled: chances of recall without a meeting, (n,) or (3, n) for lo, mid and hi.
        """
        size = len(self.exams)
        chance = np.asarray(called, float)
        by = np.stack([np.floor(chance), chance, np.ceil(chance)]) * self.meeting.by
        return Decisions(
            reads=np.broadcast_to(np.asarray(reads, float), (size,)),
            called=chance,
            recall=by if recalled is None else np.maximum(by, recalled),
            ruled_out=np.zeros(size, bool) if ruled_out is None else ruled_out,
            # in no order the AI knows of, a cancer is read halfway through the day on average
            place=np.full(size, 0.5) if place is None else place,
        )


def either(choice: Flags, one: Decisions, other: Decisions) -> Decisions:
    """`one` where chosen, else `other`."""
    return Decisions(
        reads=np.where(choice, one.reads, other.reads),
        called=np.where(choice, one.called, other.called),
        recall=np.where(choice, one.recall, other.recall),
        ruled_out=np.where(choice, one.ruled_out, other.ruled_out),
        place=np.where(choice, one.place, other.place),
    )
