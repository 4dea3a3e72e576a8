"""Decoding in child processes: an image that crashes its decoder costs an answer, not the node.

Each child is started when it is first needed and again when it has died; see `decoder_process`.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path

from node import logs
from node.errors import NotUsable, Unavailable
from node.web.wanted import Failed, FrameWanted, Made, PictureWanted

log = logs.get(__name__)

_START_TIMEOUT_S = 60.0
_CHUNK_BYTES = 1024 * 1024


class Decoded:
    """What a decoder made, in memory that it shares; gone with the last reference to this."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def __del__(self) -> None:
        os.close(self._descriptor)

    def __iter__(self) -> Iterator[bytes]:
        """Its bytes, a piece at a time."""
        for start in range(0, self.size, _CHUNK_BYTES):
            yield os.pread(self._descriptor, min(_CHUNK_BYTES, self.size - start), start)


@dataclass(frozen=True, slots=True, eq=False)
class _Child:
    """A decoding process and the way to it."""

    process: subprocess.Popen[bytes]
    pipe: Connection

    @classmethod
    def started(cls) -> _Child:
        near, far = socket.socketpair()
        with far:
            command = [sys.executable, "-m", "node.web.decoder_process", str(far.fileno())]
            process = subprocess.Popen(command, pass_fds=[far.fileno()], stdin=subprocess.DEVNULL)
        child = cls(process, Connection(near.detach()))
        try:
            ready = child.pipe.poll(_START_TIMEOUT_S) and child.pipe.recv()
        except (EOFError, OSError):
            ready = False
        if not ready:
            raise Unavailable(f"a decoder did not start; it ended with {child.end()}")
        log.info("decoder started", decoder_pid=process.pid)
        return child

    def end(self) -> int:
        """Kill it and return its exit status."""
        self.process.kill()
        self.pipe.close()
        return self.process.wait()


class Decoders:
    """A few decoding processes. Thread-safe."""

    def __init__(self, count: int, timeout_s: float) -> None:
        self._count, self._timeout_s = count, timeout_s
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._stopped = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that run."""
        with self._lock:
            return [child.process.pid for child in self._children]

    @property
    def busy(self) -> int:
        """How many of them work on an image."""
        return self._count - self._idle.qsize()

    def frame(self, path: Path, number: int, transfer_syntax_uid: str = "") -> Decoded:
        """A frame's values as in Explicit VR Little Endian, or in a transfer syntax of `ai.encoding`.

        Raises NotUsable, Unavailable.
        """
        return self._ask(FrameWanted(path, number, transfer_syntax_uid))

    def picture(self, wanted: PictureWanted) -> Decoded:
        """A frame as a picture. Raises NotUsable, Unavailable."""
        return self._ask(wanted)

    def stop(self) -> None:
        """End the children, also in the middle of an image."""
        self._stopped = True
        with self._lock:
            children, self._children = self._children, set()
        for child in children:
            child.process.kill()
            child.process.wait()

    def _ask(self, wanted: FrameWanted | PictureWanted) -> Decoded:
        child = self._next()
        try:
            child.pipe.send(wanted)
            if not child.pipe.poll(self._timeout_s):
                raise TimeoutError
            answer: Made | Failed = child.pipe.recv()
            if isinstance(answer, Made):
                made = Decoded(reduction.recv_handle(child.pipe), answer.size)
        except (EOFError, OSError) as error:
            self._gone(child, error)
            raise self._why(error) from error
        self._idle.put(child)
        if isinstance(answer, Failed):
            raise NotUsable(f"the image cannot be decoded: {answer.why}")
        return made

    def _next(self) -> _Child:
        try:
            child = self._idle.get(timeout=self._timeout_s)
        except queue.Empty as error:
            raise Unavailable("every decoder is busy; try again, or allow more with web.decoders") from error
        if child is not None and child.process.poll() is not None:
            self._forget(child)
            child = None
        if self._stopped:
            self._idle.put(None)
            raise Unavailable("the node is stopping")
        return child or self._started()

    def _started(self) -> _Child:
        try:
            child = _Child.started()
        except BaseException:
            self._idle.put(None)
            raise
        with self._lock:
            self._children.add(child)
        return child

    def _gone(self, child: _Child, error: Exception) -> None:
        status = self._forget(child)
        self._idle.put(None)
        log.warning("decoder ended", exit_status=status, late=isinstance(error, TimeoutError))

    def _forget(self, child: _Child) -> int:
        with self._lock:
            self._children.discard(child)
        return child.end()

    def _why(self, error: Exception) -> NotUsable | Unavailable:
        if self._stopped:
            return Unavailable("the node is stopping")
        if isinstance(error, TimeoutError):
            return NotUsable(f"the image was not decoded within web.decoding_timeout_s, {self._timeout_s:g} s")
        return NotUsable("the decoder ended while it worked on the image")
