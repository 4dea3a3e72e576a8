"""One reading process, from its start to its end: asked of several exams at once, it answers each when it is read.

What can crash (decoders, the model, the GPU) runs only there; see `reader_process`. The node itself never imports
torch, which takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection

from ai.findings import Algorithm, ReadOutcome
from ai.request import ReadRequest
from node import logs
from node.errors import ConfigError
from node.settings import ReadingSettings

log = logs.get(__name__)

_START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """What a child is started with: the configuration, and its share of the machine.

    batch, prefetch: see `ReadingSettings`, here without null. threads: of the CPU. niceness: so that it gives way.
    """

    settings: ReadingSettings
    device: str
    batch: int
    prefetch: int
    threads: int
    niceness: int

    @property
    def room(self) -> int:
        """How many exams it holds at the same time."""
        return self.batch + self.prefetch


def places(settings: ReadingSettings, niceness: int = 0) -> list[Place]:
    """One for each device that is configured."""
    return [_place(settings, device, niceness) for device in settings.device]


def _place(settings: ReadingSettings, device: str, niceness: int) -> Place:
    batch, prefetch = (1, 1) if device == "cpu" else (4, 8)
    return Place(
        settings=settings,
        device=device,
        batch=batch if settings.batch is None else settings.batch,
        prefetch=prefetch if settings.prefetch is None else settings.prefetch,
        threads=settings.threads or max(1, (os.cpu_count() or 1) // len(settings.device)),
        niceness=niceness,
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """What the child says when it is ready: its model, and how many earlier exams its strategy looks at."""

    algorithm: Algorithm
    priors: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Instead of an outcome: why there is none. out_of_memory: it says nothing of the exam."""

    why: str
    out_of_memory: bool


class ChildEnded(Exception):
    """The child has ended, and took with it `held` exams."""

    def __init__(self, why: str, held: int) -> None:
        super().__init__(why)
        self.held = held


class Child:
    """A child process; ask it when it is `ready`. Thread-safe."""

    def __init__(self, place: Place) -> None:
        self._place = place
        near, far = socket.socketpair()
        with far:
            command = [sys.executable, "-m", "node.reader_process", str(far.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[far.fileno()], stdin=subprocess.DEVNULL)
        self._pipe = Connection(near.detach())
        self._lock = threading.Lock()
        self._numbers = count()
        self._asked: dict[int, Future[ReadOutcome | Trouble]] = {}
        self._why, self._ended = "", False
        self._heard_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def held(self) -> int:
        """How many exams it was asked and has not answered."""
        return len(self._asked)

    @property
    def ended(self) -> bool:
        """Whether it can be asked no more."""
        return self._ended

    def ready(self) -> Serving:
        """Returns when its models are loaded and self-checked. Raises ConfigError when it cannot serve."""
        try:
            self._pipe.send(self._place)
            answer = self._pipe.recv() if self._pipe.poll(_START_TIMEOUT_S) else "no answer from the reading process"
        except (EOFError, OSError):
            answer = f"the reading process ended at start with exit code {self._process.wait()}"
        if not isinstance(answer, Serving):
            self._process.kill()
            self._gone(self._process.wait())
            raise ConfigError(f"reading.bundles: the models cannot serve on {self._place.device}: {answer}")
        threading.Thread(target=self._listen, name="reader", daemon=True).start()
        log.info("reader ready", reader_pid=self.pid, device=self._place.device, algorithm=answer.algorithm.name)
        return answer

    def read(self, request: ReadRequest) -> ReadOutcome | Trouble:
        """Its answer. Raises ChildEnded; a child that has answered nothing for reading.timeout_s is ended."""
        asked: Future[ReadOutcome | Trouble] = Future()
        with self._lock:
            if self._ended:
                raise ChildEnded(self._why, 0)
            number = next(self._numbers)
            if not self._asked:
                self._heard_at = time.monotonic()
            self._asked[number] = asked
            with suppress(OSError):  # it is gone; the listener will say how it ended
                self._pipe.send((number, request))
        return self._awaited(asked)

    def end(self, why: str) -> None:
        """Kill it; returns when it is gone."""
        self._why = self._why or why
        self._process.kill()
        self._process.wait()

    def _awaited(self, asked: Future[ReadOutcome | Trouble]) -> ReadOutcome | Trouble:
        timeout_s = self._place.settings.timeout_s
        while True:
            try:
                return asked.result(max(0.01, self._heard_at + timeout_s - time.monotonic()))
            except NotYet:
                if not asked.done() and time.monotonic() >= self._heard_at + timeout_s:
                    self.end(f"no answer within reading.timeout_s, {timeout_s:g} s")

    def _listen(self) -> None:
        """Hand out the answers until there are no more."""
        try:
            while True:
                number, answer = self._pipe.recv()
                with self._lock:
                    self._heard_at = time.monotonic()
                    asked = self._asked.pop(number)
                asked.set_result(answer)
        except (EOFError, OSError):
            self._process.kill()
            self._gone(self._process.wait())

    def _gone(self, exit_code: int) -> None:
        with self._lock:
            self._ended = True
            self._why = self._why or f"the reading process ended with exit code {exit_code}"
            left, self._asked = self._asked, {}
            self._pipe.close()
        for asked in left.values():
            asked.set_exception(ChildEnded(self._why, len(left)))
