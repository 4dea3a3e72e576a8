"""What a message that came in says: an order's urgency, a patient merged or corrected. Pure.

Orders: ORM^O01 (v2.3–2.5) and OMI^O23 (v2.5 and later), as IHE Scheduled Workflow sends them (RAD-4, RAD-13): the
study's UID in ZDS-1 or IPC-3, the accession number in IPC-1 or OBR-18. Patients: ADT^A40 and ADT^A08 (RAD-12).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from node.hl7.er7 import Message
from storage.hl7 import Order, PatientChange
from storage.objects import is_valid_uid

_CANCELS = frozenset({"CA", "OC", "CR", "DC", "OD", "DR"})  # ORC-1, HL70119
_LONGEST = 64


class NotTaken(Exception):
    """The message is refused. code: AE or AR; number: of HL70357; place: the field, as "PID^1^3"."""

    def __init__(self, text: str, number: str, place: str = "", code: str = "AE") -> None:
        super().__init__(text)
        self.code, self.number, self.place = code, number, place


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, and whether it is cancelled."""

    order: Order
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Said:
    """Everything that a message says."""

    orders: tuple[Ordered, ...] = ()
    changes: tuple[PatientChange, ...] = ()


def said(message: Message, urgent: Collection[str]) -> Said:
    """What it says. urgent: the priorities (HL70485) that are urgent at this site. Raises NotTaken."""
    kind = message.kind
    if kind not in _KINDS:
        known = any(each.partition("^")[0] == message.get("MSH", 9) for each in _KINDS)
        text, number = ("unsupported event", "201") if known else ("unsupported message type", "200")
        raise NotTaken(text, number, "MSH^1^9", "AR")
    return _KINDS[kind](message, urgent)


def _orders(message: Message, urgent: Collection[str]) -> Said:
    if not message.count("OBR"):
        raise NotTaken("there is no OBR segment", "100", "OBR")
    return Said(orders=tuple(_order(message, n, urgent) for n in range(1, message.count("OBR") + 1)))


def _order(message: Message, number: int, urgent: Collection[str]) -> Ordered:
    def first(*places: tuple[str, int, int]) -> str:
        """The first of these fields that tells something; a segment that is there once is for all orders."""
        for name, field, component in places:
            occurrence = number if message.count(name) >= number else 1
            if found := message.get(name, field, component, occurrence=occurrence):
                return found
        return ""

    study, accession = first(("IPC", 3, 1), ("ZDS", 1, 1)), first(("IPC", 1, 1), ("OBR", 18, 1))
    if study and not is_valid_uid(study):
        raise NotTaken("the Study Instance UID is none", "102", "IPC^1^3" if message.count("IPC") else "ZDS^1^1")
    if not study and not accession:
        raise NotTaken("neither an accession number nor a Study Instance UID is told", "101", f"OBR^{number}^18")
    if len(accession) > _LONGEST:
        raise NotTaken("the accession number is too long", "102", f"OBR^{number}^18")
    priority = first(("TQ1", 9, 1), ("ORC", 7, 6), ("OBR", 27, 6), ("OBR", 5, 1)).upper()
    order = Order(study_instance_uid=study, accession_number=accession, urgent=priority in urgent)
    return Ordered(order, cancelled=first(("ORC", 1, 1)).upper() in _CANCELS)


def _corrected(message: Message, _urgent: Collection[str]) -> Said:
    identifiers = _identifiers(message, "PID", 3, 1)
    name = "^".join(message.get("PID", 5, component) for component in (1, 2, 3, 5, 4)).rstrip("^")
    birth = message.get("PID", 7)[:8]
    birth = birth if len(birth) == 8 and birth.isdecimal() else ""
    changes = (
        PatientChange(patient_id=own, issuer_of_patient_id=issuer, patient_name=name, patient_birth_date=birth)
        for own, issuer in identifiers
    )
    return Said(changes=tuple(changes))


def _merged(message: Message, _urgent: Collection[str]) -> Said:
    """Of each pair of PID and MRG: the IDs that are MRG's and not PID's have become another's."""
    if not message.count("MRG"):
        raise NotTaken("there is no MRG segment", "100", "MRG")
    found: list[PatientChange] = []
    for number in range(1, message.count("MRG") + 1):
        kept = set(_identifiers(message, "PID", 3, number))
        for each in _identifiers(message, "MRG", 1, number):
            if each not in kept:
                found.append(PatientChange(patient_id=each[0], issuer_of_patient_id=each[1], merged=True))
    if not found:
        raise NotTaken("MRG-1 names no other patient than PID-3", "101", "MRG^1^1")
    return Said(changes=tuple(found))


def _identifiers(message: Message, name: str, field: int, number: int) -> list[tuple[str, str]]:
    """Each ID of a list (CX) with its issuer, the assigning authority. Raises NotTaken where there is none."""
    found = list(_listed(message, name, field, number))
    if not found:
        raise NotTaken("there is no patient identifier", "101", f"{name}^{number}^{field}")
    if any(len(part) > 256 for each in found for part in each):
        raise NotTaken("a patient identifier is too long", "102", f"{name}^{number}^{field}")
    return found


def _listed(message: Message, name: str, field: int, number: int) -> Iterator[tuple[str, str]]:
    for repetition in message.repetitions(name, field, number):
        value = message.get(name, field, repetition=repetition, occurrence=number)
        if value:
            yield value, message.get(name, field, 4, repetition=repetition, occurrence=number)


_KINDS: dict[str, Callable[[Message, Collection[str]], Said]] = {
    "ORM^O01": _orders,
    "OMI^O23": _orders,
    "ADT^A08": _corrected,
    "ADT^A40": _merged,
}

#: What is taken, as in MSH-9.
KINDS = tuple(_KINDS)
