"""Destination types: one module each, named as in config.yaml. A module offers

send: see `DestinationType`
MADE_FROM = "measurement_sr", where it sends a message made from that kind of result and no DICOM instance
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from ai import extensions
from node.errors import DeliveryError
from node.settings import Peer
from node.settings_destinations import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A result object's file, and what it is."""

    sop_instance_uid: str
    sop_class_uid: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to send: the destination's settings, its peer where it has one, and the AE title we call with."""

    name: str
    destination: Destination
    peer: Peer | None
    calling_ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one object: delivered when `error` is None. status: the peer's answer, where there was one."""

    sop_instance_uid: str
    status: int | None = None
    error: DeliveryError | None = None


class DestinationType(Protocol):
    """What a module of this package offers."""

    def send(self, objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
        """Send objects in order, telling of each as it is answered. Never raises for the peer's sake:

        what was not answered is told with a RetriableDelivery.
        """


def offered() -> tuple[str, ...]:
    """The destination types that config.yaml may name."""
    return extensions.offered(sys.modules[__name__])


def load(name: str) -> DestinationType:
    """The destination type `name`. Raises NoSuchExtension, naming what there is."""
    return cast("DestinationType", extensions.load(sys.modules[__name__], name))


def made_from(name: str) -> str | None:
    """The kind of result that messages of this type are made from; None where instances themselves are sent.

    Raises NoSuchExtension.
    """
    return getattr(load(name), "MADE_FROM", None)


def takes_instances(name: str) -> bool:
    """Whether a destination of this type can be sent any instance; also of a type that there is not."""
    return name not in offered() or made_from(name) is None
