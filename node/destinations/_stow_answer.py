"""What a STOW-RS server's answer means for the one object that was sent (PS3.18 10.5.3 and annex I)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from node.dicomweb import FOR_NOW
from node.errors import DeliveryError, PermanentDelivery, RetriableDelivery

MEDIA_TYPES = "application/dicom+json, application/dicom+xml;q=0.5"

_FAILED_SOP_SEQUENCE, _REFERENCED_SOP_SEQUENCE, _OTHER_FAILURES_SEQUENCE = "00081198", "00081199", "0008119A"
_FAILURE_REASON, _WARNING_REASON, _REFERENCED_SOP_INSTANCE_UID = "00081197", "00081196", "00081155"
_DUPLICATE_SOP_INSTANCE = 0x0111
#: Reasons that servers give, among others, for an object they already have: 0110 processing failure, and Bxxx.
_PROCESSING_FAILURE = 0x0110
_CONFLICT = 409

Module = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an object. status: the Warning or Failure Reason, 0 for success, None where nothing was said.

    perhaps_there: it was refused in a way that may mean that the server already has it.
    """

    status: int | None = None
    error: DeliveryError | None = None
    perhaps_there: bool = False


def judge(http_status: int, content: bytes, sop_instance_uid: str) -> Verdict:
    """The verdict of an answer to a request with this one object.

    Retriable: 5xx, 401, 403, 429 and the like, 0xA7xx, and an answer that does not say what became of the object.
    Permanent: every other failure. Nothing of the answer but its numbers is kept: it may quote the patient.
    """
    module = _module(content)
    failed = [*_items(module, _FAILED_SOP_SEQUENCE), *_items(module, _OTHER_FAILURES_SEQUENCE)]
    if failed:
        return _failure(http_status, _number(failed[0], _FAILURE_REASON))
    if not 200 <= http_status < 300:
        return _failure(http_status, None)
    for item in _items(module, _REFERENCED_SOP_SEQUENCE):
        if str(_value(item, _REFERENCED_SOP_INSTANCE_UID)).strip() == sop_instance_uid:
            return Verdict(_number(item, _WARNING_REASON) or 0)
    if http_status in (200, 204) and not content.strip():
        return Verdict(0)
    return Verdict(error=RetriableDelivery(f"the server answered {http_status} and not what became of the object"))


def _failure(http_status: int, reason: int | None) -> Verdict:
    """The verdict of a failure; reason: Failure Reason (0008,1197), where one was given."""
    if reason == _DUPLICATE_SOP_INSTANCE:
        return Verdict(reason)
    told = f"the server answered {http_status}{f', 0x{reason:04X}' if reason is not None else ''}"
    if reason is None:
        for_now = http_status >= 500 or http_status in FOR_NOW
        error = RetriableDelivery(told) if for_now else PermanentDelivery(told)
    elif reason >> 8 == 0xA7:
        error = RetriableDelivery(f"{told}: it is out of resources", reason)
    else:
        error = PermanentDelivery(told, reason)
    unclear = reason in (None, _PROCESSING_FAILURE) or reason >> 12 == 0xB
    return Verdict(reason, error, perhaps_there=http_status == _CONFLICT and unclear)


def _module(content: bytes) -> Module:
    """The Store Instances Response Module as DICOM JSON, also where it came as XML; empty when it is neither."""
    try:
        found = json.loads(content)
    except ValueError:
        return _from_xml(content)
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) else {}


def _from_xml(content: bytes) -> Module:
    try:
        return _attributes(ElementTree.fromstring(content))
    except ElementTree.ParseError:
        return {}


def _attributes(parent: ElementTree.Element) -> dict[str, Any]:
    """Native DICOM Model (PS3.19 A.1) → DICOM JSON, as far as it is asked for here."""
    return {
        str(attribute.get("tag", "")).upper(): {
            "Value": [
                *(_attributes(item) for item in attribute.findall("{*}Item")),
                *(value.text or "" for value in attribute.findall("{*}Value")),
            ]
        }
        for attribute in parent.findall("{*}DicomAttribute")
    }


def _items(module: Module, tag: str) -> Iterator[Module]:
    element = module.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    yield from (item for item in values or () if isinstance(item, dict)) if isinstance(values, list) else ()


def _value(item: Module, tag: str) -> object:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: Module, tag: str) -> int | None:
    """A US element's value; None when there is none."""
    text = str(_value(item, tag)).strip()
    return int(text) if text.isdecimal() and int(text) <= 0xFFFF else None
