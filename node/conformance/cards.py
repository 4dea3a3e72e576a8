"""What the cards of the configured models say; no model is loaded for it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import ai
from ai.eligibility import EligibilityRules
from node.errors import ConfigError

_SHIPPED = Path(ai.__file__).parent / "bundles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A configured model: what its card says, and which images it may be given."""

    name: str
    version: str
    manufacturer: str
    task: str
    intended_use: str
    labelling: str
    calibrated: bool
    views_needed: tuple[str, ...]
    finding_threshold: float
    eligibility: EligibilityRules


def model(bundle: str) -> Model:
    """The model of a bundle: a shipped one by its name, others by path. Raises ConfigError."""
    try:
        card = json.loads(_part(bundle, "card.json"))
        rules = EligibilityRules.model_validate_json(_part(bundle, "eligibility.json"))
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"{bundle}: card.json or eligibility.json is not of this version's form") from error
    words = {key: str(card.get(key, "")) for key in ("name", "version", "manufacturer", "task", "intended_use")}
    return Model(
        **words,
        labelling=str(card.get("labelling", "")),
        calibrated=bool(card.get("calibrated")),
        views_needed=tuple(card.get("views_needed", ())),
        finding_threshold=float(card.get("finding_threshold", 0)),
        eligibility=rules,
    )


def _part(bundle: str, name: str) -> bytes:
    folder = Path(bundle) if "/" in bundle or "." in bundle else _SHIPPED / bundle
    try:
        if folder.is_file():
            with zipfile.ZipFile(folder) as archive:
                return archive.read(name)
        return (folder / name).read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{bundle}: {name} is missing or unreadable") from error
