"""What settings of HL7 must agree with: results that a message can be made from, files of TLS that can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import InitErrorDetails

from node import config_access, destinations
from node.address import is_loopback
from node.config_faults import Location, fault
from node.settings_destinations import Destination
from node.settings_hl7 import Hl7Settings


def faults(listener: Hl7Settings, named: Mapping[str, Destination]) -> Iterator[InitErrorDetails]:
    """Everything that does not fit, of the listener and of destinations by name."""
    yield from _listener(listener)
    for name, destination in named.items():
        at: Location = ("destinations", name)
        if destination.type == "hl7_mllp" and destination.hl7 is None:
            yield fault((*at, "hl7"), None, "a mapping with the receiver's host and port")
        if destination.hl7 is not None and destination.hl7.tls is not None:
            yield from config_access.faults_of_client((*at, "hl7", "tls"), destination.hl7.tls)
        if not destinations.takes_instances(destination.type):
            yield from _results(destination, (*at, "results"))


def _listener(settings: Hl7Settings) -> Iterator[InitErrorDetails]:
    yield from config_access.faults_of_listener(("hl7", "tls"), settings.tls)
    if is_loopback(settings.host):
        return
    if not settings.allow_non_loopback:
        text = "127.0.0.1, or set hl7.allow_non_loopback: true and name the senders"
        yield fault(("hl7", "host"), settings.host, text)
    elif not settings.senders:
        yield fault(("hl7", "senders"), [], "at least one address when hl7.host is not loopback")


def _results(destination: Destination, at: Location) -> Iterator[InitErrorDetails]:
    """One message for a result: made from one object of an exam."""
    kind = destinations.made_from(destination.type)
    chosen = destination.results
    if "results" not in destination.model_fields_set:
        return  # told elsewhere
    if len(chosen) != 1 or chosen[0].kind != kind or chosen[0].options.get("per", "exam") != "exam":
        text = f"[{kind}], one for the exam, which the message is made from"
        yield fault(at, [each.kind for each in chosen], text)
