"""The readers: inference in child processes, one for each device, that may die and are started again.

No exam is lost with a child, and none pays for another. What a child held when it died is under suspicion: each of it
is read once more, alone. Only a child that dies of an exam while it reads nothing else has failed at that exam.

When a person has made another calibration, other operating points or another model count, the exams at hand are
finished, and the next is read by a child that starts with what counts now.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ai.exam import Exam
from ai.findings import Algorithm, ReadOutcome
from ai.request import ReadRequest
from node import logs
from node.errors import (
    ConfigError,
    ReaderDied,
    ReaderOutOfMemory,
    ReaderStopped,
    ReaderUnavailable,
    ReadingFailed,
)
from node.in_force import stamp
from node.reader_child import Child, ChildEnded, Place, Serving, places
from node.settings import ReadingSettings
from node.turns import Turns

log = logs.get(__name__)

_FIRST_BACKOFF_S = 0.4
_LONGEST_BACKOFF_S = 30.0


class Reader:
    """Reads exams on every device that is configured. Thread-safe; `room` exams at a time are of use."""

    def __init__(self, settings: ReadingSettings, *, niceness: int = 0) -> None:
        """niceness: of the children, so that they give way to others."""
        self._lanes = [_Lane(place) for place in places(settings, niceness)]
        self.room = sum(lane.place.room for lane in self._lanes)

    @property
    def algorithm(self) -> Algorithm:
        """The detection model's identification, known once the reader has started."""
        return self._serving.algorithm

    @property
    def priors(self) -> int:
        """How many of a woman's earlier exams a request should bring, known once the reader has started."""
        return self._serving.priors

    def wanted_priors(self) -> int:
        """`priors`, of a reader that is started by its first exam. Raises ReaderUnavailable when it cannot start."""
        if self._lanes[0].serving is None:
            self._lanes[0].renew()
        return self.priors

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that live."""
        return [pid for lane in self._lanes if (pid := lane.pid) is not None]

    @property
    def held(self) -> int:
        """How many exams the children hold, unanswered."""
        return sum(lane.held for lane in self._lanes)

    @property
    def _serving(self) -> Serving:
        serving = self._lanes[0].serving
        if serving is None:
            raise RuntimeError("the reader is not started")
        return serving

    def start(self) -> None:
        """Start the children; returns when their models are loaded and their self-checks have passed.

        Raises ConfigError with what is wrong when one cannot serve.
        """
        with ThreadPoolExecutor(len(self._lanes), thread_name_prefix="start") as pool:
            list(pool.map(_Lane.start, self._lanes))

    def read(self, exam: Exam, files: Mapping[str, Path], revision: int, *, alone: bool = False) -> ReadOutcome:
        """Read one exam. alone: beside no other, for one that is under suspicion.

        Raises ReadingFailed: ReaderDied when the child ended or took longer than reading.timeout_s and
        ReaderOutOfMemory when it had too little, both only of an exam that it read alone; ReaderUnavailable when no
        child can be started. Raises ReaderStopped after `stop`.
        """
        request = ReadRequest(exam, files, revision)
        if not alone:
            outcome = self._chosen().read(request)
            if outcome is not None:
                return outcome
        return self._chosen().read_alone(request)

    def stop(self) -> None:
        """End the children, also in the middle of an exam: the exam's job is run again at the next start."""
        for lane in self._lanes:
            lane.stop()

    def _chosen(self) -> _Lane:
        """The one with the least to do, of those that can be started."""
        return min(self._lanes, key=lambda lane: (not lane.usable, lane.turns.load / lane.place.room))


class _Lane:
    """One device: a child, and another one when it has died."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.turns = Turns(place.room)
        self.serving: Serving | None = None
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._deaths = 0
        self._unusable_until = 0.0
        self._stopping = threading.Event()
        self._stamp = (0, 0)

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.pid if child is not None and not child.ended else None

    @property
    def held(self) -> int:
        child = self._child
        return child.held if child is not None else 0

    @property
    def usable(self) -> bool:
        """False for a while after a child could not be started."""
        return time.monotonic() >= self._unusable_until

    def start(self) -> None:
        """Raises ConfigError."""
        with self._lock:
            self._start()

    def read(self, request: ReadRequest) -> ReadOutcome | None:
        """Beside others. None when it failed, and another exam may be why."""
        if self._is_outdated:
            with self.turns.alone():
                self.renew()
        with self.turns.shared():
            try:
                return self._read(request)
            except ChildEnded as ended:
                if ended.held == 1:
                    raise ReaderDied(str(ended)) from ended
                log.warning("reader died with several exams; each is read alone", held=ended.held)
                return None
            except ReaderOutOfMemory:
                return None

    def read_alone(self, request: ReadRequest) -> ReadOutcome:
        """See `Reader.read`."""
        with self.turns.alone():
            if self._is_outdated:
                self.renew()
            try:
                return self._read(request)
            except ChildEnded as ended:
                raise ReaderDied(str(ended)) from ended

    def renew(self) -> None:
        """Start, or start anew, with what counts now. Raises ReaderUnavailable."""
        with self._lock:
            if self.serving is not None and not self._is_outdated:
                return  # somebody else has just done it
            if self._child is not None:
                log.info("another calibration, operating points or model count; the reader starts anew")
                self._child.end("another model or calibration counts")
            self._started_again()

    @property
    def _is_outdated(self) -> bool:
        """Whether a person decided something since the child started."""
        child = self._child
        return child is not None and not child.ended and self._stamp != stamp(self.place.settings)

    def stop(self) -> None:
        """Without the lock, which a child that is starting may hold for long."""
        self._stopping.set()
        if self._child is not None:
            self._child.end("the node is stopping")

    def _read(self, request: ReadRequest) -> ReadOutcome:
        """Raises ChildEnded, ReadingFailed, ReaderStopped."""
        try:
            answer = self._living().read(request)
        except ChildEnded as ended:
            if self._stopping.is_set():
                raise ReaderStopped("the node is stopping") from ended
            if ended.held == 0:  # it had ended before, and nobody knew
                return self._read(request)
            raise
        if isinstance(answer, ReadOutcome):
            self._deaths = 0
            return answer
        raise (ReaderOutOfMemory if answer.out_of_memory else ReadingFailed)(answer.why)

    def _living(self) -> Child:
        with self._lock:
            if self._stopping.is_set():
                raise ReaderStopped("the node is stopping")
            if self._child is not None and not self._child.ended:
                return self._child
            return self._restarted()

    def _restarted(self) -> Child:
        self._deaths += 1
        backoff_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(self._deaths - 1, 10))
        log.warning("reader died; starting it again", deaths=self._deaths, backoff_s=backoff_s)
        if self._stopping.wait(backoff_s):
            raise ReaderStopped("the node is stopping")
        return self._started_again()

    def _started_again(self) -> Child:
        try:
            return self._start()
        except ConfigError as error:
            if self._stopping.is_set():
                raise ReaderStopped("the node is stopping") from error
            self._unusable_until = time.monotonic() + _LONGEST_BACKOFF_S
            raise ReaderUnavailable(str(error)) from error

    def _start(self) -> Child:
        self._stamp = stamp(self.place.settings)
        self._child = child = Child(self.place)
        if self._stopping.is_set():  # `stop` may have looked before there was one
            child.end("the node is stopping")
        self.serving = child.ready()
        return child
