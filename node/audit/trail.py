"""The trail: a folder of files that are only ever added to, one record a line, each chained to the one before.

    audit-0000000001.jsonl   records from number 1 on; a file that is full is left as it is, and another begun
    head                     number and sha256 of the last record: without it nobody would miss a trail's last lines
    lock                     held while something is added; any number of processes may write

A line is `{"number":…,"at":…,"message":…,"previous":…,"sha256":…}`. Its sha256 is of the line's own bytes before
`,"sha256"`, and those hold the sha256 of the record before: a change of any record, also of the last, breaks the chain.

What a crash tore off in the middle stays where it is. The next record begins a new line and carries the fragment's
sha256 as `after_torn`: the fragment is part of the chain, and `verify` names it. Records that are gone from the end are
not written again under their numbers: the chain goes on from what `head` says and is broken there for good.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = "audit-{:010d}.jsonl"
_FILES = "audit-*.jsonl"
_HEAD, _LOCK = "head", "lock"
_HEAD_FORM = re.compile(rb"(\d{20}) ([0-9a-f]{64})\n")
_ENDING = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_ENDING_BYTES = len(',"sha256":""}') + 64
_LOCKED_S, _LOOK_S = 5.0, 0.002
_READ_BACK = 65_536  # bytes, more than most records have


@dataclass(frozen=True, slots=True)
class Place:
    """A record by its number and sha256."""

    number: int
    sha256: str


#: Before the first record.
NOWHERE = Place(0, "")


@dataclass(frozen=True, slots=True)
class Record:
    """One record. message: an audit message, XML. previous: the sha256 of the record before.

    after_torn: sha256 of the fragment between it and the record before, "" where there is none.
    """

    number: int
    at: datetime
    message: str
    previous: str
    sha256: str
    after_torn: str = ""

    @property
    def place(self) -> Place:
        """By which the next one knows it."""
        return Place(self.number, self.sha256)


class Trail:
    """The folder. It is made, for its owner alone, when the first record is written."""

    def __init__(self, folder: Path, file_bytes: int) -> None:
        """file_bytes: a file with as many is full."""
        self.folder = folder
        self._file_bytes = file_bytes

    def append(self, message: str) -> Record:
        """Add a record; durable on return. Raises OSError, and then nothing was added."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            files = self.files()
            torn = _end(files[-1])[1] if files else b""
            record, line = _made(self._before(files), message, torn)
            full = not files or (files[-1].stat().st_size >= self._file_bytes and not torn)
            path = self.folder / _NAME.format(record.number) if full else files[-1]
            self._write(path, line, torn=bool(torn), new=full)
            self._keep_head(record.place)
        return record

    def files(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob(_FILES))

    def head(self) -> Place | None:
        """What was written last, as told beside the files; None where nothing, or nothing usable, tells it."""
        try:
            found = _HEAD_FORM.fullmatch((self.folder / _HEAD).read_bytes())
        except FileNotFoundError:
            return None
        return Place(int(found[1]), found[2].decode()) if found else None

    def snapshot(self) -> tuple[Place | None, list[tuple[Path, int]]]:
        """The head, and the files with how many bytes each has, while nobody writes."""
        with suppress(OSError), self._locked():  # a copy may lie where nothing can be written, nor is
            return self.head(), [(path, path.stat().st_size) for path in self.files()]
        return self.head(), [(path, path.stat().st_size) for path in self.files()]

    def _before(self, files: list[Path]) -> Place:
        """What the next record is chained to. Where files and head disagree the chain is to stay broken."""
        ends = (_end(path)[0] for path in reversed(files))
        last = next((record for record in ends if record is not None), None)
        known, head = last.place if last is not None else NOWHERE, self.head()
        return head if head is not None and head.number >= known.number else known

    def _write(self, path: Path, line: bytes, *, torn: bool, new: bool) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        before = os.fstat(descriptor).st_size
        try:
            content = memoryview(b"\n" + line if torn else line)
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)  # of a record that never was, nothing stays
            raise
        finally:
            os.close(descriptor)
        if new:
            _sync(self.folder)

    def _keep_head(self, place: Place) -> None:
        """In place and not synced: after a power cut, or on a full disk, it may be behind the files, never ahead."""
        with suppress(OSError):
            descriptor = os.open(self.folder / _HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, f"{place.number:020d} {place.sha256}\n".encode())
            finally:
                os.close(descriptor)

    @staticmethod
    def _lock(descriptor: int) -> None:
        """Raises TimeoutError: a process that was stopped in the middle of writing must not stop this one."""
        end = time.monotonic() + _LOCKED_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise TimeoutError("another process holds the lock of the audit trail") from error
                time.sleep(_LOOK_S)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)


def parsed(line: bytes) -> Record | None:
    """The record of a line without its end; None for what is none, or is not what was written."""
    ending = _ENDING.fullmatch(line[-_ENDING_BYTES:])
    body = line[:-_ENDING_BYTES]
    if ending is None or hashlib.sha256(body).hexdigest().encode() != ending[1]:
        return None
    try:
        found = json.loads(body + b"}")
        return Record(
            number=int(found["number"]),
            at=datetime.fromisoformat(found["at"]),
            message=str(found["message"]),
            previous=str(found["previous"]),
            sha256=ending[1].decode(),
            after_torn=str(found.get("after_torn", "")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _made(before: Place, message: str, torn: bytes) -> tuple[Record, bytes]:
    number, at = before.number + 1, datetime.now(UTC)
    told = {"number": number, "at": at.isoformat(timespec="microseconds"), "message": message}
    told["previous"] = before.sha256
    if torn:
        told["after_torn"] = hashlib.sha256(torn).hexdigest()
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    digest = hashlib.sha256(body).hexdigest()
    record = Record(number, at, message, before.sha256, digest, str(told.get("after_torn", "")))
    return record, body + f',"sha256":"{digest}"}}\n'.encode()


def _end(path: Path) -> tuple[Record | None, bytes]:
    """The last whole record of a file, and the fragment after it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        back = _READ_BACK
        while True:
            file.seek(max(0, size - back))
            lines = file.read().split(b"\n")
            whole = lines[:-1] if back >= size else lines[1:-1]
            found = next((record for line in reversed(whole) if (record := parsed(line)) is not None), None)
            if found is not None or back >= size:
                return found, lines[-1]
            back *= 2


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
