"""The calibrations that a site has applied: a folder of numbered files and a history that is only ever added to.

    history.jsonl     one line for each time a person applied or reverted: who, when, why, and which file counts since
    0001.json         an `ai.calibration.Calibration`, as it was applied; never written again

The last line of the history for a model's weights says which calibration counts for that model. Another model has
another history, so an exchange of the model never meets windows of the old one's scores. Each line carries the hash of
the line before, and of its file: what was changed by another hand is refused at the start.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

import ai
from ai.calibration import Calibration
from ai.proposals import Proposal, adopted
from node.errors import ConfigError
from node.settings import ReadingSettings

_HISTORY = "history.jsonl"
_SHIPPED = Path(ai.__file__).parent / "bundles"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """The configured detection model, and the calibration of its bundle."""

    name: str
    version: str
    weights_sha256: str
    calibration: Calibration


class Entry(BaseModel):
    """One line of the history. version: of the calibration that counts from then on; file: "" for the bundle's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    at: datetime
    action: Literal["apply", "revert"]
    by: str
    reason: str
    weights_sha256: str
    version: str
    file: str
    file_sha256: str
    proposal_sha256: str = ""
    data_sha256: str = ""
    previous_sha256: str


class Calibrations:
    """The folder. It is made when the first calibration is applied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def history(self) -> tuple[Entry, ...]:
        """Every line, oldest first. Raises ConfigError when a line is not as it was written."""
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
        return tuple(found)

    def current(self, model: ServedModel) -> Calibration:
        """The calibration that counts for a model: the one last applied, else its bundle's. Raises ConfigError."""
        own = [entry for entry in self.history() if entry.weights_sha256 == model.weights_sha256]
        return self._load(own[-1], model) if own else model.calibration

    def apply(self, proposal: Path, model: ServedModel, *, by: str, reason: str) -> Entry:
        """Make a proposal count. Raises ConfigError when it is none, or of another model or calibration."""
        content = _read(proposal)
        found, current = parsed(content, proposal), self.current(model)
        if found.weights_sha256 != model.weights_sha256:
            raise ConfigError(
                f"{proposal}: it was made for weights {found.weights_sha256[:16]} ({found.model_name} "
                f"{found.model_version}); the configured model's are {model.weights_sha256[:16]}: propose anew"
            )
        if found.based_on != current.version:
            raise ConfigError(f"{proposal}: it stands on calibration {found.based_on}; {current.version} counts now")
        number = len(self.history()) + 1
        calibration = adopted(current, found, f"{model.calibration.version}+site.{number}")
        entry = self._entry(number, "apply", by, reason, model)
        file = f"{number:04d}.json"
        written = self._write(file, calibration)
        changed = {"version": calibration.version, "file": file, "file_sha256": written}
        hashes = {"proposal_sha256": hashlib.sha256(content).hexdigest(), "data_sha256": found.data_sha256}
        return self._append(entry.model_copy(update={**changed, **hashes}))

    def revert(self, model: ServedModel, version: str, *, by: str, reason: str) -> Entry:
        """Make an earlier calibration count again. Raises ConfigError when the model never had that version."""
        history = self.history()
        entry = self._entry(len(history) + 1, "revert", by, reason, model)
        if version == model.calibration.version:
            return self._append(entry.model_copy(update={"version": version}))
        own = [each for each in history if each.weights_sha256 == model.weights_sha256 and each.file]
        earlier = next((each for each in own if each.version == version), None)
        if earlier is None:
            names = ", ".join(dict.fromkeys([model.calibration.version, *(each.version for each in own)]))
            raise ConfigError(f"there is no calibration '{version}' of this model; there is: {names}")
        self._load(earlier, model)
        same = {"version": version, "file": earlier.file, "file_sha256": earlier.file_sha256}
        return self._append(entry.model_copy(update=same))

    def _load(self, entry: Entry, model: ServedModel) -> Calibration:
        if not entry.file:
            return model.calibration
        path = self._folder / entry.file
        content = _read(path)
        if hashlib.sha256(content).hexdigest() != entry.file_sha256:
            raise ConfigError(f"{path}: it is not the file that was applied (its sha256 is not the history's)")
        return Calibration.model_validate_json(content)

    def _entry(
        self, number: int, action: Literal["apply", "revert"], by: str, reason: str, model: ServedModel
    ) -> Entry:
        for key, value in (("--by", by), ("--reason", reason)):
            if not value.strip():
                raise ConfigError(f"{key}: value '{value}' is not allowed; allowed: words")
        lines = self._lines()
        return Entry(
            number=number,
            at=datetime.now(UTC),
            action=action,
            by=by.strip(),
            reason=reason.strip(),
            weights_sha256=model.weights_sha256,
            version="",
            file="",
            file_sha256="",
            previous_sha256=_sha256(lines[-1]) if lines else "",
        )

    def _lines(self) -> Sequence[str]:
        """Whole lines; one without its end was never finished, and counts for nothing."""
        path = self._folder / _HISTORY
        content = _read(path) if path.exists() else b""
        return content[: content.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()

    def _write(self, file: str, calibration: Calibration) -> str:
        """A new file, durable on return; its sha256. What an apply that never came to its line left is replaced."""
        self._folder.mkdir(parents=True, exist_ok=True)
        content = (calibration.model_dump_json(indent=1) + "\n").encode()
        part = self._folder / f"{file}.part"
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._folder / file)
        return hashlib.sha256(content).hexdigest()

    def _append(self, entry: Entry) -> Entry:
        """Add the line, durable on return. Raises ConfigError when somebody else added one meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _HISTORY
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            lines = self._lines()
            if entry.previous_sha256 != (_sha256(lines[-1]) if lines else ""):
                raise ConfigError(f"{path}: another calibration was applied meanwhile; look at the history")
            stream.truncate(sum(len(line.encode()) + 1 for line in lines))
            stream.write(f"{entry.model_dump_json()}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())
        return entry


def parsed(content: bytes, path: Path) -> Proposal:
    """The proposal in a file. Raises ConfigError."""
    try:
        return Proposal.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()[:3])
        raise ConfigError(f"{path}: no calibration proposal: {faults}") from error


def served_model(settings: ReadingSettings) -> ServedModel:
    """The detection model that the configuration names; nothing of it is run. Raises ConfigError."""
    for name in settings.bundles:
        path = _SHIPPED / name if (_SHIPPED / name).is_dir() else Path(name)
        try:
            card = json.loads(_member(path, "card.json"))
            if card["task"] == "detection":
                return ServedModel(
                    name=card["name"],
                    version=card["version"],
                    weights_sha256=card["weights_sha256"],
                    calibration=Calibration.model_validate_json(_member(path, "calibration.json")),
                )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ConfigError(f"reading.bundles: {path} holds no bundle: {error}") from error
    raise ConfigError("reading.bundles: none of the bundles is a detection model")


def _member(bundle: Path, name: str) -> bytes:
    if bundle.is_file():
        with zipfile.ZipFile(bundle) as archive:
            return archive.read(name)
    return (bundle / name).read_bytes()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _sha256(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
