"""What a person made count, and when: a folder of numbered files and a history that is only ever added to.

    history.jsonl     one line for each time a person decided: who, when, why, and which file counts since
    0001.json         what was applied: a calibration, operating points, or a model; never written again

One history holds every kind, so that it reads as what happened here. Each line carries the hash of the line before,
and of its file: what was changed by another hand is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from node.errors import ConfigError

_HISTORY = "history.jsonl"
Form = TypeVar("Form", bound=BaseModel)
Kind = Literal["calibration", "operating_points", "model"]
Action = Literal["apply", "revert", "promote", "rollback"]


class Entry(BaseModel):
    """One line of the history. version: of what counts from then on; file: "" for what counts without any history.

    weights_sha256: of the model it is about. A model has a history of its own, so an exchange of the model never meets
    calibrations or operating points of the old one's scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    at: datetime
    action: Action
    by: str
    reason: str
    kind: Kind = "calibration"
    weights_sha256: str
    version: str
    file: str
    file_sha256: str
    proposal_sha256: str = ""
    data_sha256: str = ""
    previous_sha256: str


class Decisions:
    """The folder. It is made when the first decision is taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def stamp(self) -> tuple[int, int]:
        """Another one once something was added: size and time of the history, (0, 0) without one."""
        try:
            found = (self._folder / _HISTORY).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def history(self, kind: Kind | None = None, weights_sha256: str | None = None) -> tuple[Entry, ...]:
        """Every line, oldest first; only of a kind, only about a model. Raises ConfigError when one was altered."""
        found: list[Entry] = []
        previous = ""
        for line in self._lines():
            try:
                entry = Entry.model_validate_json(line)
            except ValidationError as error:
                raise ConfigError(f"{self._folder / _HISTORY}: line {len(found) + 1} is no entry") from error
            if entry.previous_sha256 != previous or entry.number != len(found) + 1:
                raise ConfigError(f"{self._folder / _HISTORY}: a line before line {len(found) + 1} was altered")
            found.append(entry)
            previous = _sha256(line)
        return tuple(
            each for each in found if kind in (None, each.kind) and weights_sha256 in (None, each.weights_sha256)
        )

    def draft(self, kind: Kind, action: Action, weights_sha256: str, *, by: str, reason: str) -> Entry:
        """The next line, to be completed. Raises ConfigError without a person or a reason."""
        for key, value in (("--by", by), ("--reason", reason)):
            if not value.strip():
                raise ConfigError(f"{key}: value '{value}' is not allowed; allowed: words")
        lines = self._lines()
        return Entry(
            number=len(self.history()) + 1,
            at=datetime.now(UTC),
            action=action,
            by=by.strip(),
            reason=reason.strip(),
            kind=kind,
            weights_sha256=weights_sha256,
            version="",
            file="",
            file_sha256="",
            previous_sha256=_sha256(lines[-1]) if lines else "",
        )

    def keep(self, entry: Entry, content: BaseModel, **changed: str) -> Entry:
        """Write the entry's file, then its line; durable on return."""
        file = f"{entry.number:04d}.json"
        digest = self._write(file, content)
        return self.append(entry.model_copy(update={"file": file, "file_sha256": digest, **changed}))

    def again(self, draft: Entry, earlier: Entry | None, version: str) -> Entry:
        """Add that what an earlier entry applied counts again; None: what counts without any history."""
        if earlier is None:
            return self.append(draft.model_copy(update={"version": version}))
        self.content(earlier)
        same = {"version": version, "file": earlier.file, "file_sha256": earlier.file_sha256}
        return self.append(draft.model_copy(update=same))

    def content(self, entry: Entry) -> bytes:
        """The entry's file. Raises ConfigError when it is not the one that was applied."""
        path = self._folder / entry.file
        content = read(path)
        if hashlib.sha256(content).hexdigest() != entry.file_sha256:
            raise ConfigError(f"{path}: it is not the file that was applied (its sha256 is not the history's)")
        return content

    def append(self, entry: Entry) -> Entry:
        """Add the line, durable on return. Raises ConfigError when somebody else added one meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _HISTORY
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            lines = self._lines()
            if entry.previous_sha256 != (_sha256(lines[-1]) if lines else ""):
                raise ConfigError(f"{path}: something was decided meanwhile; look at the history")
            stream.truncate(sum(len(line.encode()) + 1 for line in lines))
            stream.write(f"{entry.model_dump_json()}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())
        return entry

    def _lines(self) -> Sequence[str]:
        """Whole lines; one without its end was never finished, and counts for nothing."""
        path = self._folder / _HISTORY
        content = read(path) if path.exists() else b""
        return content[: content.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()

    def _write(self, file: str, content: BaseModel) -> str:
        """A new file, durable on return; its sha256. What a decision that never came to its line left is replaced."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = (content.model_dump_json(indent=1) + "\n").encode()
        part = self._folder / f"{file}.part"
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._folder / file)
        return hashlib.sha256(data).hexdigest()


def parsed(form: type[Form], content: bytes, path: Path, what: str) -> Form:
    """What a file holds, of this form. what: the file in words. Raises ConfigError."""
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()[:3])
        raise ConfigError(f"{path}: no {what}: {faults}") from error


def read(path: Path) -> bytes:
    """A file's content. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def named(what: str, version: str, own: str, earlier: Sequence[Entry]) -> Entry | None:
    """The entry that applied a version; None for `own`, which needs none. Raises ConfigError for an unknown one."""
    if version == own:
        return None
    kept = [each for each in earlier if each.file]
    found = next((each for each in kept if each.version == version), None)
    if found is None:
        names = ", ".join(dict.fromkeys([own, *(each.version for each in kept)]))
        raise ConfigError(f"there is no {what} '{version}' of this model; there is: {names}")
    return found


def _sha256(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
