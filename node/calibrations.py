"""The calibrations that a site has applied, by the model they are for; see `node.decisions` for how they are kept."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import ai
from ai.calibration import Calibration
from ai.proposals import Proposal, adopted
from node.decisions import Action, Decisions, Entry, named, parsed, read
from node.errors import ConfigError
from node.settings import ReadingSettings

_SHIPPED = Path(ai.__file__).parent / "bundles"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """The configured detection model, and the calibration of its bundle."""

    name: str
    version: str
    weights_sha256: str
    calibration: Calibration


class Calibrations:
    """The last entry about a model's weights says which calibration counts for it."""

    def __init__(self, folder: Path) -> None:
        self._decisions = Decisions(folder)

    def history(self) -> tuple[Entry, ...]:
        """Every entry about calibrations, oldest first. Raises ConfigError when a line is not as it was written."""
        return self._decisions.history("calibration")

    def current(self, model: ServedModel) -> Calibration:
        """The calibration that counts for a model: the one last applied, else its bundle's. Raises ConfigError."""
        own = self._own(model)
        return self._load(own[-1], model) if own else model.calibration

    def version(self, model: ServedModel, version: str) -> Calibration:
        """One that counts or once counted. Raises ConfigError when the model never had that version."""
        entry = named("calibration", version, model.calibration.version, self._own(model))
        return self._load(entry, model) if entry is not None else model.calibration

    def apply(self, proposal: Path, model: ServedModel, *, by: str, reason: str, action: Action = "apply") -> Entry:
        """Make a proposal count. Raises ConfigError when it is none, or of another model or calibration."""
        content = read(proposal)
        calibration, found = self.adopted(proposal, content, model)
        entry = self._decisions.draft("calibration", action, model.weights_sha256, by=by, reason=reason)
        made = calibration.model_copy(update={"version": f"{model.calibration.version}+site.{entry.number}"})
        return self._decisions.keep(
            entry,
            made,
            version=made.version,
            proposal_sha256=hashlib.sha256(content).hexdigest(),
            data_sha256=found.data_sha256,
        )

    def adopted(self, path: Path, content: bytes, model: ServedModel) -> tuple[Calibration, Proposal]:
        """The calibration that a proposal would make, under the version "proposed"; see `apply`."""
        found, current = parsed(Proposal, content, path, "calibration proposal"), self.current(model)
        if found.weights_sha256 != model.weights_sha256:
            raise ConfigError(
                f"{path}: it was made for weights {found.weights_sha256[:16]} ({found.model_name} "
                f"{found.model_version}); the configured model's are {model.weights_sha256[:16]}: propose anew"
            )
        if found.based_on != current.version:
            raise ConfigError(f"{path}: it stands on calibration {found.based_on}; {current.version} counts now")
        return adopted(current, found, "proposed"), found

    def revert(self, model: ServedModel, version: str, *, by: str, reason: str, action: Action = "revert") -> Entry:
        """Make an earlier calibration count again. Raises ConfigError when the model never had that version."""
        entry = self._decisions.draft("calibration", action, model.weights_sha256, by=by, reason=reason)
        earlier = named("calibration", version, model.calibration.version, self._own(model))
        return self._decisions.again(entry, earlier, version)

    def before(self, model: ServedModel) -> str:
        """The version that counted before the last decision. Raises ConfigError when there was none."""
        own = self._own(model)
        if not own:
            raise ConfigError("no calibration was ever applied: there is nothing to roll back")
        return own[-2].version if len(own) > 1 else model.calibration.version

    def _own(self, model: ServedModel) -> tuple[Entry, ...]:
        return self._decisions.history("calibration", model.weights_sha256)

    def _load(self, entry: Entry, model: ServedModel) -> Calibration:
        return Calibration.model_validate_json(self._decisions.content(entry)) if entry.file else model.calibration


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
