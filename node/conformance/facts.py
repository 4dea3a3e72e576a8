"""What the statement is made of, asked of the code once: the chapters are functions of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom.uid import UID

from node.config import Config
from node.conformance import cards, examples, web
from node.conformance._sample import samples
from node.conformance.cards import Model
from node.conformance.examples import Example
from node.conformance.web import WebService
from node.dimse import scp, scu
from node.identity import device

VERIFICATION = "1.2.840.10008.1.1"


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
        return tuple(uid for uid in self.accepted if uid not in (VERIFICATION, *scp.SERVICES))

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
        models=tuple(cards.model(bundle) for bundle in config.reading.bundles),
        examples=examples.build(config, samples(device(config))),
        accepted=scp.presentation_contexts(config),
        web=web.services(),
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
