"""What is wrong with routing rules that are each in order: names that lead nowhere, exams that nobody would answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from pydantic_core import InitErrorDetails

from node import destinations, results
from node.config_faults import Location, fault
from node.settings import ALL, Peer
from node.settings_destinations import Destination
from node.settings_routing import FAILURES, SENDER, OtherReading, Rule


class Known(Protocol):
    """What the names in rules lead to; `node.config.Config` is one."""

    @property
    def destinations(self) -> Mapping[str, Destination]: ...

    @property
    def peers(self) -> Mapping[str, Peer]: ...

    @property
    def readings(self) -> Mapping[str, OtherReading]: ...


def back_to(sender: str | None, known: Known) -> tuple[str, ...]:
    """Destinations that take results back to the AE title `sender`, its peer's or named so; None: to whoever it is."""
    takes = {name: each for name, each in known.destinations.items() if each.results}
    return tuple(name for name, each in takes.items() if _answers(each, known, sender))


def _answers(destination: Destination, known: Known, sender: str | None) -> bool:
    peer = known.peers.get(destination.peer or "")
    titles = [*([peer.ae_title] if peer is not None else []), *destination.answers]
    return bool(titles) if sender is None else any(fnmatchcase(sender, each) for each in titles)


def faults(rules: Sequence[Rule], known: Known) -> Iterator[InitErrorDetails]:
    """Every fault, by its place in the configuration."""
    if not rules:
        yield fault(("routing",), [], "at least one rule")
    earlier: set[str] = set()
    for index, rule in enumerate(rules):
        at: Location = ("routing", index)
        if rule.name in earlier:
            yield fault((*at, "name"), rule.name, "a name that no other rule has")
        earlier.add(rule.name)
        yield from _misplaced(rule, at)
        yield from _names(rule, at, known)
        if rule.action == "read":
            yield from _destination_faults(rule, at, known)


def _misplaced(rule: Rule, at: Location) -> Iterator[InitErrorDetails]:
    """Keys that another action would need; and values that pydantic cannot judge."""
    for key, actions in {"reading": ("read",), "status": ("refuse",), "http_status": ("refuse",)}.items():
        value = getattr(rule, key)
        if value is not None and rule.action not in actions:
            yield fault((*at, key), value, f"null, as the rule's action is {rule.action} and not {actions[0]}")
    if rule.forward and rule.action == "refuse":
        yield fault((*at, "forward"), list(rule.forward), "[], as nothing is kept that could be forwarded")
    if rule.status is not None and not any(first <= rule.status <= last for first, last in FAILURES):
        ranges = ", ".join(
            f"0x{first:04X}–0x{last:04X}" if first < last else f"0x{first:04X}" for first, last in FAILURES
        )
        yield fault((*at, "status"), f"0x{rule.status:04X}", f"a failure of the storage service: {ranges}")
    age = rule.when.study_age_days
    if age is not None and age.minimum is not None and age.maximum is not None and age.minimum > age.maximum:
        place: Location = (*at, "when", "study_age_days", "minimum")
        yield fault(place, age.minimum, f"at most maximum, {age.maximum}")


def _names(rule: Rule, at: Location, known: Known) -> Iterator[InitErrorDetails]:
    there_are = ", ".join(known.destinations) or "a name under destinations; there is none"
    for name in rule.forward:
        if name not in known.destinations:
            yield fault((*at, "forward"), name, there_are)
        elif not destinations.takes_instances(known.destinations[name].type):
            yield fault((*at, "forward"), name, "a destination that takes DICOM instances")
    if rule.reading is not None and rule.action == "read" and rule.reading not in known.readings:
        allowed = ", ".join(known.readings) or "a name under readings; there is none"
        yield fault((*at, "reading"), rule.reading, f"{allowed}, or null")


def _destination_faults(rule: Rule, at: Location, known: Known) -> Iterator[InitErrorDetails]:
    place: Location = (*at, "destinations")
    if not rule.destinations or not known.destinations:
        text = "at least one destination: a result that goes nowhere is answered by nobody"
        yield fault(place, list(rule.destinations), text)
        return
    names = ", ".join(known.destinations)
    for name in rule.destinations:
        if name not in (ALL, SENDER) and name not in known.destinations:
            yield fault(place, name, f'{names}, "*" for all, or "{SENDER}"')
    if SENDER in rule.destinations and not back_to(None, known):
        yield fault(place, SENDER, "destinations of which one has a peer, or answers to an AE title")
    yield from _silence(rule, place, known)


def _silence(rule: Rule, place: Location, known: Known) -> Iterator[InitErrorDetails]:
    """An exam without findings, and one that was not read, must be answered too: silence would look like either."""
    kinds = set(results.offered())
    always = [kind for kind in results.offered() if results.is_for_every_exam(kind)]
    fixed = known.destinations if ALL in rule.destinations else rule.destinations
    groups = [[name for name in fixed if name in known.destinations]]
    if SENDER in rule.destinations:  # whichever sender it is, its way back alone has to answer
        groups = [[*groups[0], name] for name in back_to(None, known)]
    for names in groups:
        chosen = {choice.kind for name in names for choice in known.destinations[name].results}
        told = any("results" not in known.destinations[name].model_fields_set for name in names)
        if names and not told and chosen <= kinds and not chosen & set(always):
            text = f"destinations of which one gets a result that every exam has: {', '.join(always)}"
            yield fault(place, list(rule.destinations), text)
            return
