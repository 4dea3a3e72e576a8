"""Who may use a reader: several at the same time, or one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """At most `room` at the same time, or one that is alone; those who want to be alone come first."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False
        self._wanting_alone = 0
        self._waiting = 0

    @property
    def load(self) -> int:
        """How many are inside or wait."""
        return self._inside + self._waiting + self._wanting_alone

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Beside others."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._wanting_alone and self._inside < self._room)
            self._waiting -= 1
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Beside nobody."""
        with self._changed:
            self._wanting_alone += 1
            self._changed.wait_for(lambda: self._inside == 0)
            self._wanting_alone -= 1
            self._inside, self._alone = 1, True
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._alone = False
            self._changed.notify_all()
