"""Jobs, and the port to whatever keeps them: an engine is one file that offers `JobQueue`.

A job is run at least once, also after a `kill -9`. That it counts once is the business of the stages: they move
states by conditional updates, in the transaction that enqueues the next job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from storage.records import Priority


class Stage(StrEnum):
    """What a job does. Each has a queue of its own; deliveries and forwarding share one per destination."""

    FETCH = "fetch"
    READ = "read"
    REPORT = "report"
    DELIVER = "deliver"
    SHADOW = "shadow"
    FORWARD = "forward"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work: ids only, nothing of the patient. `number` counts the jobs of one study."""

    stage: Stage
    study_instance_uid: str
    revision: int
    number: int
    destination: str = ""

    @property
    def prefix(self) -> str:
        """What the ids of all jobs for this work begin with."""
        return ":".join((self.stage, self.study_instance_uid, str(self.revision), self.destination, ""))

    @property
    def job_id(self) -> str:
        """The same job always has the same id: enqueued twice, it exists once."""
        return f"{self.prefix}{self.number}"

    @staticmethod
    def prefix_of(job_id: str) -> str:
        """The prefix within a job's id."""
        return job_id.rpartition(":")[0] + ":"

    @property
    def queue(self) -> str:
        """The queue it waits in."""
        shared = Stage.DELIVER if self.stage is Stage.FORWARD else self.stage
        return f"{shared}-{self.destination}" if self.destination else str(shared)


_ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
_AS_IF_LATER_S = {Priority.URGENT: -3600, Priority.ROUTINE: 0, Priority.ARCHIVE: 86400}


def turn(priority: Priority, received_at: datetime) -> int:
    """Where an exam's jobs stand in their queues, from 1 up to 2³¹ − 1; the lowest is run first.

    It is the second at which the exam came, an hour earlier for an urgent one and a day later for one of the archive.
    So an urgent exam overtakes everything of the last hour, and nobody is overtaken for longer than that.
    """
    seconds = (received_at - _ORIGIN).total_seconds() + _AS_IF_LATER_S[priority]
    return min(max(round(seconds), 1), 2**31 - 1)


class NotFinished(BaseException):
    """Raised out of a job that is to be run again by the next worker. Not an Exception: that would end the job."""


class JobQueue(Protocol):
    """Keeps jobs and runs them."""

    def enqueue(self, session: Any, job: Job, *, turn: int, delay_s: float = 0.0) -> None:
        """Add a job in `session`'s transaction, to be run `delay_s` seconds from now or later, lowest `turn` first."""

    def waiting(self) -> frozenset[str]:
        """The prefixes of all jobs that wait or run."""

    def start(self, run: Callable[[Job], None], worker: str) -> None:
        """Take up what an earlier process left that worked under the same name, and run jobs from now on.

        No two processes that live may work under one name.
        """

    def take_over(self, worker: str) -> int:
        """Put the jobs that a dead worker was at back into their queues; returns how many."""

    def forget_finished(self, before: datetime) -> int:
        """Remove jobs that ended before then; returns how many."""

    def stop(self, patience_s: float) -> None:
        """Take no new jobs, and give running ones `patience_s` seconds; what is cut short is run again later."""
