"""Reading one exam after the other without the device waiting: while a batch is computed, the next exams are decoded
and preprocessed, and those before it are finished. Answers come in the order of the questions; memory is bounded.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from ai.exam import STANDARD_VIEWS
from ai.findings import ReadOutcome
from ai.inference import Engine
from ai.prepared import Answers, PreparedExam
from ai.request import ReadRequest

#: Told of each question by its ticket; called on one thread, must not raise.
Answered = Callable[[int, ReadOutcome | Exception], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """batch: exams computed together, at most. wait_s: for a batch to fill. ahead: exams held beside that batch."""

    batch: int = 1
    wait_s: float = 0.005
    ahead: int = 1

    @property
    def room(self) -> int:
        """How many exams are held at the same time, at most."""
        return self.batch + self.ahead


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    ticket: int
    prepared: Future[PreparedExam] = field(default_factory=Future)


class ReadAhead:
    """Threads round one engine, from `with` to its end, which waits for the exams that are held."""

    def __init__(self, engine: Engine, pace: Pace, threads: int, answered: Answered) -> None:
        """threads: as many exams are prepared at once as keeps them busy, a thread for each view."""
        self._engine, self._pace, self._answered = engine, pace, answered
        at_once = min(pace.room, max(1, threads // len(STANDARD_VIEWS)))
        self._preparing = ThreadPoolExecutor(at_once, thread_name_prefix="prepare")
        self._finishing = ThreadPoolExecutor(1, thread_name_prefix="finish")
        for pool, count in ((self._preparing, at_once), (self._finishing, 1)):
            _start_threads(pool, count)
        self._computing = threading.Thread(target=self._compute, name="compute")
        self._room = threading.BoundedSemaphore(pace.room)
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._closed = False
        self._quiet = warnings.catch_warnings()  # one round all threads: they would undo each other's

    def __enter__(self) -> ReadAhead:
        self._quiet.__enter__()
        warnings.simplefilter("ignore")  # pydicom's quote values
        self._computing.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._computing.join()
        self._preparing.shutdown()
        self._finishing.shutdown()
        self._quiet.__exit__(None, None, None)

    def read(self, ticket: int, request: ReadRequest) -> None:
        """Have an exam read, and `answered` called with its ticket. Waits while there is no room."""
        self._room.acquire()
        waiting = _Waiting(ticket, self._preparing.submit(self._engine.prepare, request))
        with self._changed:
            self._waiting.append(waiting)
        waiting.prepared.add_done_callback(self._notify)

    def _notify(self, _: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def _compute(self) -> None:
        while batch := self._next_batch():
            exams = [(each.ticket, each.prepared.result()) for each in batch if self._usable(each)]
            answers = self._engine.compute([exam for _, exam in exams])
            for (ticket, exam), found in zip(exams, answers, strict=True):
                self._finishing.submit(self._finish, ticket, exam, found)

    def _next_batch(self) -> list[_Waiting]:
        """The first exams that are prepared; waits for one, and a little for more. Empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._count_ready() or self._at_the_end())
            whole = self._pace.batch
            self._changed.wait_for(lambda: self._count_ready() == whole or self._at_the_end(), self._pace.wait_s)
            return [self._waiting.popleft() for _ in range(self._count_ready())]

    def _at_the_end(self) -> bool:
        return self._closed and not self._waiting

    def _count_ready(self) -> int:
        """How many exams at the head of the queue are prepared, at most a batch of them."""
        count = 0
        for each in islice(self._waiting, self._pace.batch):
            if not each.prepared.done():
                break
            count += 1
        return count

    def _usable(self, waiting: _Waiting) -> bool:
        """Whether there is anything to compute; what went wrong before is answered."""
        error = waiting.prepared.exception()
        if isinstance(error, Exception):
            self._finishing.submit(self._tell, waiting.ticket, error)
        return error is None

    def _finish(self, ticket: int, exam: PreparedExam, answers: Answers) -> None:
        try:
            outcome: ReadOutcome | Exception = self._engine.finish(exam, answers)
        except Exception as error:  # noqa: BLE001 whatever an exam does, the next ones are read
            outcome = error
        self._tell(ticket, outcome)

    def _tell(self, ticket: int, outcome: ReadOutcome | Exception) -> None:
        try:
            self._answered(ticket, outcome)
        finally:
            self._room.release()


def _start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Now, and not in the middle of an exam, when there may be no memory for them."""
    met = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(met.wait)
    met.wait()
