"""What one worker of several keeps up to date by asking others: a thread that takes its turn every so often.

What this node does by itself by the clock, and tells of in `status`, is a duty (`node.duties`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from node import logs
from node.roles import Leader

log = logs.get(__name__)

_TICK_S = 0.2
_PATIENCE_S = 2.0


class Keeper:
    """The thread. It takes its turn where its worker leads; what goes wrong ends the turn and is told."""

    def __init__(self, name: str, turn: Callable[[], float], pause_s: float) -> None:
        """turn: returns after how many seconds the next one is due. pause_s: the same after one that failed."""
        self._name, self._turn, self._pause_s = name, turn, pause_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether it was told to end: a long turn looks."""
        return self._ended.is_set()

    def start(self, leader: Leader) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._live, args=(leader,), name=self._name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No further turn; returns at once."""
        self._ended.set()

    def stop(self) -> None:
        """End; what is being asked is not waited for long."""
        self.end()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _live(self, leader: Leader) -> None:
        due = 0.0
        while not self._ended.wait(_TICK_S):
            if leader.leads and time.monotonic() >= due:
                due = self._turned() + time.monotonic()

    def _turned(self) -> float:
        try:
            return self._turn()
        except Exception:
            log.exception("a turn failed", keeper=self._name, again_s=self._pause_s)
            return self._pause_s
