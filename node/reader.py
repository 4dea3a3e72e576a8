"""The reader: inference in a child process that may die and is started again.

What can crash (decoders, the model, the GPU) runs only there; see `reader_process`. The node itself never imports
torch, which takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ai.exam import Exam
from ai.findings import Algorithm, ReadOutcome
from node import logs
from node.errors import ConfigError, ReaderDied, ReaderStopped
from node.settings import ReadingSettings

log = logs.get(__name__)

_START_TIMEOUT_S = 120.0
_LONGEST_BACKOFF_S = 30.0
_DEATHS_OF_THE_UNFIT = 3  # in a row


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What the child is asked."""

    exam: Exam
    files: Mapping[str, Path]
    revision: int


@dataclass(frozen=True, slots=True)
class Serving:
    """What the child says when it is ready: its model, and how many earlier exams its strategy looks at."""

    algorithm: Algorithm
    priors: int


class Reader:
    """One child process with one engine. Thread-safe: one exam at a time."""

    def __init__(self, settings: ReadingSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._deaths = 0
        self._stopping = False
        self._serving: Serving | None = None

    @property
    def settings(self) -> ReadingSettings:
        """How it reads."""
        return self._settings

    @property
    def serves(self) -> bool:
        """Whether its models passed their self-check, and it has not died again and again since.

        One that died once is started for the next exam.
        """
        return self._serving is not None and self._deaths < _DEATHS_OF_THE_UNFIT

    @property
    def algorithm(self) -> Algorithm:
        """The detection model's identification, known once the reader has started."""
        return self._served.algorithm

    @property
    def priors(self) -> int:
        """How many of a woman's earlier exams a request should bring, known once the reader has started."""
        return self._served.priors

    @property
    def _served(self) -> Serving:
        if self._serving is None:
            raise RuntimeError("the reader is not started")
        return self._serving

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the child; returns when its models are loaded and their self-check has passed.

        Raises ConfigError with what is wrong when it cannot serve.
        """
        with self._lock:
            self._start()

    def read(self, exam: Exam, files: Mapping[str, Path], revision: int) -> ReadOutcome:
        """Read one exam.

        Raises ReaderDied when the child ended or took longer than reading.timeout_s, ReaderStopped after `stop`.
        """
        with self._lock:
            if self._stopping:
                raise ReaderStopped("the node is stopping")
            if self._process is None or self._process.poll() is not None:
                self._restart()
            pipe = self._open_pipe()
            try:
                pipe.send(ReadRequest(exam, files, revision))
                if not pipe.poll(self._settings.timeout_s):
                    self._kill()
                    raise ReaderDied(f"no answer within reading.timeout_s, {self._settings.timeout_s:g} s")
                answer = pipe.recv()
            except (EOFError, OSError) as error:
                code = self._kill()
                if self._stopping:
                    raise ReaderStopped("the node is stopping") from error
                raise ReaderDied(f"the reading process ended with exit code {code}") from error
        if isinstance(answer, ReadOutcome):
            self._deaths = 0
            return answer
        raise ReaderDied(str(answer))

    def stop(self) -> None:
        """End the child, also in the middle of an exam: the exam's job is run again at the next start."""
        self._stopping = True
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        near, far = socket.socketpair()
        with far:
            command = [sys.executable, "-m", "node.reader_process", str(far.fileno())]
            process = subprocess.Popen(command, pass_fds=[far.fileno()], stdin=subprocess.DEVNULL)
        ours = Connection(near.detach())
        self._process, self._pipe = process, ours
        ours.send(self._settings)
        try:
            answer = ours.recv() if ours.poll(_START_TIMEOUT_S) else "no answer from the reading process"
        except EOFError:
            answer = f"the reading process ended at start with exit code {process.wait()}"
        if not isinstance(answer, Serving):
            self._kill()
            raise ConfigError(f"reading.bundles: the models cannot serve: {answer}")
        self._serving, model = answer, answer.algorithm
        log.info("reader ready", reader_pid=process.pid, algorithm=model.name, version=model.version)

    def _restart(self) -> None:
        self._kill()
        self._deaths += 1
        backoff_s = min(_LONGEST_BACKOFF_S, 0.2 * 2 ** min(self._deaths, 10))
        log.warning("reader died; starting it again", deaths=self._deaths, backoff_s=backoff_s)
        time.sleep(backoff_s)
        try:
            self._start()
        except ConfigError as error:
            raise ReaderDied(str(error)) from error

    def _kill(self) -> int | None:
        process, self._process = self._process, None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if process is None:
            return None
        process.kill()
        return process.wait()

    def _open_pipe(self) -> Connection:
        if self._pipe is None:
            raise ReaderDied("the reading process is not running")
        return self._pipe
