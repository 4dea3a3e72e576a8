"""Programs that run for a while and never longer than whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from node.errors import NodeError

_POLLING_S = 0.05
_LAST_LINES = 15


class ProgramFailed(NodeError):
    """A program did not start, or ended by itself; the message has the last lines it wrote."""


class Program:
    """A running program, with all it writes in a file."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._name = Path(command[0]).name
        self._log = log
        with log.open("wb") as output:
            # a session of its own: Ctrl-C is for the one who started it, who then ends it in good order
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, text: str, timeout_s: float) -> str:
        """The first line that contains `text`. Raises ProgramFailed."""
        end = time.monotonic() + timeout_s
        while True:
            ended = self._process.poll() is not None
            for line in self._lines():
                if text in line:
                    return line
            if ended:
                raise ProgramFailed(f"{self._name} ended with {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > end:
                raise ProgramFailed(f"{self._name} did not say '{text}' in {timeout_s:g} s:\n{self._tail()}")
            time.sleep(_POLLING_S)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self, patience_s: float = 12.0) -> int:
        """SIGTERM, after `patience_s` SIGKILL, also to what it left behind. Returns its exit status."""
        if self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _tail(self) -> str:
        return "\n".join(self._lines()[-_LAST_LINES:])


@contextmanager
def running(command: Sequence[str | Path], log: Path) -> Iterator[Program]:
    """A program for the length of the block."""
    program = Program(command, log)
    try:
        yield program
    finally:
        program.stop()
