"""Sends the trail on to syslog: a thread that reads the files behind those who write them.

The queue is the trail itself; how far it got is kept beside it, so that neither a server that is down nor a restart
loses anything. Of several processes with one trail, one sends.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from node import logs
from node.audit import syslog
from node.audit.syslog import Line
from node.audit.trail import Record, Trail, parsed
from node.errors import ConfigError
from node.settings_audit import AuditSettings

log = logs.get(__name__)

_POSITION, _LOCK = "syslog.json", "syslog.lock"
_TOGETHER = 200  # records
_LOOK_S = 0.5
_LAST_S = 2.0  # for what is left at a stop


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where records were sent: the number of the last, and where in which file the next one begins."""

    number: int = 0
    file: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What syslog has not taken yet. oldest_s: for how long the oldest record waits."""

    records: int
    oldest_s: float


class Forwarder:
    """Between `start` and `stop`. Without a server in the settings it does nothing."""

    def __init__(self, settings: AuditSettings, trail: Trail) -> None:
        self._settings, self._trail = settings.syslog, trail
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._line: Line | None = None
        self._fails = False

    def start(self) -> None:
        """Begin."""
        if self._settings.host is not None:
            self._thread = threading.Thread(target=self._live, name="audit syslog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; what is written by now is sent first, where the server takes it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_LAST_S)

    def _live(self) -> None:
        lock: int | None = None
        while not self._ended.wait(self._settings.retry_s if self._fails else _LOOK_S):
            lock = lock if lock is not None else self._locked()
            if lock is not None:
                self._send_on()
        if lock is not None:
            if not self._fails:
                self._send_on()
            os.close(lock)
        self._hang_up()

    def _locked(self) -> int | None:
        """A descriptor that holds the lock; None while another process has it, or there is no folder yet."""
        try:
            descriptor = os.open(self._trail.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _send_on(self) -> None:
        """Everything that waits, some of it at a time. What cannot be sent now waits on."""
        try:
            while batch := _batch(self._trail, position(self._trail)):
                self._line = self._line or syslog.connected(self._settings)
                for record, _ in batch:
                    self._line.send(syslog.message(record, socket.gethostname()))
                self._line.settle()
                _keep(self._trail, batch[-1][1])
                if self._fails:
                    log.info("syslog takes audit messages again", host=self._settings.host)
                self._fails = False
        except (OSError, ConfigError) as error:
            self._hang_up()
            if not self._fails:
                log.error("syslog takes no audit messages; they wait", host=self._settings.host, problem=str(error))
            self._fails = True

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def position(trail: Trail) -> Position:
    """How far syslog is; the beginning where nothing was sent, or nobody knows."""
    try:
        return Position(**json.loads((trail.folder / _POSITION).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Position()


def waiting(settings: AuditSettings, trail: Trail) -> Waiting:
    """What waits for syslog; nothing where there is none. Raises OSError."""
    head = trail.head()
    if settings.syslog.host is None or head is None:
        return Waiting(0, 0.0)
    sent = position(trail)
    first = next(_after(trail, sent), None)
    if first is None:
        return Waiting(0, 0.0)
    return Waiting(max(1, head.number - sent.number), (datetime.now(UTC) - first[0].at).total_seconds())


def _batch(trail: Trail, sent: Position) -> list[tuple[Record, Position]]:
    found = []
    for each in _after(trail, sent):
        found.append(each)
        if len(found) == _TOGETHER:
            break
    return found


def _after(trail: Trail, sent: Position) -> Iterator[tuple[Record, Position]]:
    """Records after a position, each with the position after it. Fragments and altered records are not sent."""
    for path in trail.files():
        if path.name >= sent.file:
            yield from _in_file(path, sent.offset if path.name == sent.file else 0)


def _in_file(path: Path, offset: int) -> Iterator[tuple[Record, Position]]:
    with path.open("rb") as file:
        file.seek(offset)
        while (line := file.readline()).endswith(b"\n"):
            record = parsed(line[:-1])
            if record is not None:
                yield record, Position(record.number, path.name, file.tell())


def _keep(trail: Trail, sent: Position) -> None:
    """Whole or not at all; an older one after a power cut only sends some records twice."""
    new = trail.folder / f"{_POSITION}.part"
    new.write_text(json.dumps(asdict(sent)), encoding="utf-8")
    new.replace(trail.folder / _POSITION)
