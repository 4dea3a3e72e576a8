"""What settings of HL7 must agree with: results that a message can be made from, files of TLS that can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import InitErrorDetails

from node import config_access, destinations
from node.config_faults import Location, fault
from node.settings_destinations import Destination


def faults(named: Mapping[str, Destination]) -> Iterator[InitErrorDetails]:
    """Everything that does not fit, of destinations by name."""
    for name, destination in named.items():
        at: Location = ("destinations", name)
        if destination.type == "hl7_mllp" and destination.hl7 is None:
            yield fault((*at, "hl7"), None, "a mapping with the receiver's host and port")
        if destination.hl7 is not None and destination.hl7.tls is not None:
            yield from config_access.faults_of_peer((*at, "hl7", "tls"), destination.hl7.tls)
        if not destinations.takes_instances(destination.type):
            yield from _results(destination, (*at, "results"))


def _results(destination: Destination, at: Location) -> Iterator[InitErrorDetails]:
    """One message for a result: made from one object of an exam."""
    kind = destinations.made_from(destination.type)
    chosen = destination.results
    if "results" not in destination.model_fields_set:
        return  # told elsewhere
    if len(chosen) != 1 or chosen[0].kind != kind or chosen[0].options.get("per", "exam") != "exam":
        text = f"[{kind}], one for the exam, which the message is made from"
        yield fault(at, [each.kind for each in chosen], text)
