"""What is done by the clock, duty by duty: how often, and how each round ended, for `mammo-node status`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from node import logs
from node.roles import Leader
from storage.database import DatabaseUnavailable
from storage.duties import Duties

log = logs.get(__name__)

_TICK_S = 0.5


class Duty(StrEnum):
    """One of them; each has a line in `mammo-node status`."""

    TAKEOVER = "takeover"
    RECONCILER = "reconciler"
    COUNTS = "counts"
    BOOKS = "books"
    RETENTION = "retention"
    FINISHED_JOBS = "finished jobs"
    HALF_WRITTEN = "half-written files"
    SWEEP = "sweep"

    @property
    def every_s(self) -> float:
        """How long after one round the next begins."""
        return _EVERY_S[self]

    @property
    def finds(self) -> str:
        """What the number of a round counts."""
        return _FINDS[self]


_EVERY_S = {
    Duty.TAKEOVER: 30.0,
    Duty.RECONCILER: 30.0,
    Duty.COUNTS: 30.0,
    Duty.BOOKS: 3600.0,
    Duty.RETENTION: 3600.0,
    Duty.FINISHED_JOBS: 3600.0,
    Duty.HALF_WRITTEN: 3600.0,
    Duty.SWEEP: 86400.0,
}
_FINDS = {
    Duty.TAKEOVER: "jobs of silent workers, given to others",
    Duty.RECONCILER: "jobs that were missing, asked for again",
    Duty.COUNTS: "changes of counts, added up",
    Duty.BOOKS: "exams of a day that was closed unanswered, and instances missing",
    Duty.RETENTION: "studies past storage.retention_days, removed",
    Duty.FINISHED_JOBS: "finished jobs, forgotten",
    Duty.HALF_WRITTEN: "files that dead workers left half-written, removed",
    Duty.SWEEP: "files without a row, or rows without their file",
}


class Round:
    """A duty, done when it is time. What goes wrong ends the round and is told; the next comes all the same.

    As long as nobody has done it for `every_s` it is time: a node that is started anew every day sweeps too.
    """

    def __init__(self, duty: Duty, do: Callable[[datetime], int], duties: Duties, leader: Leader | None = None) -> None:
        """do: returns how many things it came upon. leader: it is done only where this one leads."""
        self.duty = duty
        self._do, self._duties, self._leader = do, duties, leader
        self._last: float | None = None

    def turn(self, now: datetime) -> None:
        """Do it, if it is time."""
        if self._leader is not None and not self._leader.leads:
            self._last = None  # whoever leads meanwhile does it: it is looked up when
            return
        try:
            if self._is_time(now):
                self._duties.done(self.duty, datetime.now(UTC), self._do(now))
        except DatabaseUnavailable as error:
            log.warning("a duty waits for the database", duty=self.duty, problem=str(error))
        except Exception as error:
            log.exception("a duty failed", duty=self.duty)
            self._tell(type(error).__name__)

    def _is_time(self, now: datetime) -> bool:
        steady = time.monotonic()
        if self._last is None:
            done = self._duties.all().get(self.duty)
            at = done.done_at if done is not None else None
            self._last = steady - (self.duty.every_s if at is None else max(0.0, (now - at).total_seconds()))
        if steady - self._last < self.duty.every_s:
            return False
        self._last = steady
        return True

    def _tell(self, problem: str) -> None:
        try:
            self._duties.failed(self.duty, problem)
        except DatabaseUnavailable as error:
            log.warning("nor can it be told of in the database", duty=self.duty, problem=str(error))


class Rounds:
    """A thread that does duties in turn."""

    def __init__(self, name: str, rounds: Iterable[Round]) -> None:
        self._rounds = tuple(rounds)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being done now."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _live(self) -> None:
        while not self._ended.wait(_TICK_S):
            for each in self._rounds:
                if not self._ended.is_set():
                    each.turn(datetime.now(UTC))
