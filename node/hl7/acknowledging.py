"""Writing acknowledgements (HL7 v2.5.1, chapter 2.9.2): in the sender's own version, errors with their place."""

from __future__ import annotations

import uuid
from datetime import datetime

from node.hl7.er7 import Message, composed, escaped, message, segment
from node.hl7.said import NotTaken

_WITH_STRUCTURE = "2.3.1"  # MSH-9 has three components from then on
_WITH_LONG_ERRORS = "2.5"
_MEANINGS = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "207": "Application internal error",
}


def acknowledged(incoming: Message | None, now: datetime, fault: NotTaken | None = None) -> str:
    """The answer to a message; None: to one that could not be read. fault: why it is not taken."""
    version = incoming.get("MSH", 12) if incoming is not None else ""
    version = version if version.startswith("2.") else "2.5.1"
    event = incoming.get("MSH", 9, 2) if incoming is not None else ""
    header = {
        **_swapped(incoming),
        7: now.astimezone().strftime("%Y%m%d%H%M%S%z"),
        9: composed("ACK", event, "ACK") if version >= _WITH_STRUCTURE else "ACK",
        10: uuid.uuid4().hex[:20],
        11: escaped(incoming.get("MSH", 11) if incoming is not None else "") or "P",
        12: escaped(version),
        18: "UNICODE UTF-8",
    }
    identifier = escaped(incoming.control_id) if incoming is not None else ""
    answered = {1: fault.code if fault else "AA", 2: identifier or '""'}  # a value is required: there is none
    if fault is not None:
        answered[3] = escaped(str(fault))
    errors = [_error(fault, version)] if fault is not None else []
    return message([segment("MSH", header), segment("MSA", answered), *errors])


def _swapped(incoming: Message | None) -> dict[int, str]:
    """Who sends and who receives, the other way round."""
    if incoming is None:
        return {3: "MAMMO_NODE"}
    return {to: escaped(incoming.get("MSH", of)) for to, of in ((3, 5), (4, 6), (5, 3), (6, 4))}


def _error(fault: NotTaken, version: str) -> str:
    code = (fault.number, _MEANINGS[fault.number], "HL70357")
    place = fault.place.split("^") if fault.place else []
    if version < _WITH_LONG_ERRORS:
        located = [*map(escaped, place), "", "", ""][:3]
        return segment("ERR", {1: "^".join([*located, "&".join(map(escaped, code))])})
    return segment("ERR", {2: composed(*place), 3: composed(*code), 4: "E", 8: escaped(str(fault))})
