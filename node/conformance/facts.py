"""What the statement is made of, asked of the code once: the chapters are functions of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from pydicom.uid import UID

from ai.eligibility import EligibilityRules
from node import bundles
from node.config import Config
from node.conformance import examples, web
from node.conformance._sample import samples
from node.conformance.examples import Example
from node.conformance.web import WebService
from node.dimse import scp, scu
from node.errors import ConfigError
from node.identity import device

VERIFICATION = "1.2.840.10008.1.1"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """accepted: abstract syntax → transfer syntaxes of the receiver, the preferred one first."""

    config: Config
    models: tuple[Model, ...]
    examples: tuple[Example, ...]
    accepted: Mapping[str, tuple[str, ...]]
    web: tuple[WebService, ...]

    @property
    def sent(self) -> tuple[Example, ...]:
        """The objects that a destination gets."""
        return tuple(example for example in self.examples if example.destinations)

    @property
    def stored(self) -> tuple[str, ...]:
        """SOP classes that the receiver accepts for storage."""
        return tuple(uid for uid in self.accepted if uid != VERIFICATION)

    def proposed(self, destination: str) -> dict[str, tuple[str, ...]]:
        """SOP class → transfer syntaxes that the sender proposes to a destination, for what it gets."""
        found: dict[str, dict[str, None]] = {}
        for example in examples.of_destination(self.examples, destination):
            for dataset in example.datasets:
                syntaxes = scu.proposed(str(dataset.file_meta.TransferSyntaxUID))
                found.setdefault(str(dataset.SOPClassUID), {}).update(dict.fromkeys(syntaxes))
        return {uid: tuple(syntaxes) for uid, syntaxes in found.items()}

    @property
    def dimse_destinations(self) -> tuple[str, ...]:
        """Names of the destinations that are sent to with C-STORE."""
        return tuple(name for name, each in self.config.destinations.items() if each.type == "dicom_store")


def gather(config: Config) -> Facts:
    """All facts of a configuration. Raises ConfigError when a model's bundle cannot be read."""
    return Facts(
        config=config,
        models=tuple(_model(bundle) for bundle in config.reading.bundles),
        examples=examples.build(config, samples(device(config))),
        accepted=scp.presentation_contexts(config),
        web=web.services(),
    )


def _model(bundle: str) -> Model:
    try:
        card = json.loads(bundles.part(bundle, "card.json"))
        rules = EligibilityRules.model_validate_json(bundles.part(bundle, "eligibility.json"))
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


def uid_name(uid: str) -> str:
    """The UID's name in PS3.6, or itself."""
    return UID(uid).name


def named(uids: Iterable[str]) -> str:
    """Names in a row."""
    return ", ".join(uid_name(uid) for uid in uids)


def number(value: float) -> str:
    """Without needless zeros."""
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"
