"""An audit message and its XML, by the schema of PS3.15 A.5.1. Nothing here knows of this node.

What the schema wants and DICOM leaves open: an object has either a name or a query, so that an object that has neither
carries an empty name. Values of details are base64, as the schema says.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from node.audit.codes import Code, Outcome

_MACHINE_NAME, _IP_ADDRESS = "1", "2"  # NetworkAccessPointTypeCode
#: What XML 1.0 (section 2.2) cannot hold, and what would break the line.
_NOT_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What becomes of a text that is longer; nothing that this node writes itself is.
_LONGEST = 2000
_LONGEST_DETAIL = 2000  # bytes; messages of 32,768 must pass (PS3.15 A.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """ActiveParticipant: who took part. address: an IP address or the name of a host, "" for none."""

    user_id: str
    is_requestor: bool = False
    roles: tuple[Code, ...] = ()
    alternative_user_id: str = ""
    user_name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """ParticipantObjectIdentification: what it was about.

    kind: ParticipantObjectTypeCode, 1 a person, 2 a system object. role: ParticipantObjectTypeCodeRole, 1 patient, 3
    report (a study), 5 master file, 13 security resource. sop_classes: UID → how many instances; "": of some class.
    """

    id: str
    id_type: Code
    kind: int
    role: int
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, bytes], ...] = ()
    sop_classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One audited event. action: C, R, U, D or E. at: timezone-aware."""

    id: Code
    action: str
    at: datetime
    participants: tuple[Participant, ...]
    outcome: Outcome = Outcome.SUCCESS
    types: tuple[Code, ...] = ()
    subjects: tuple[Subject, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """AuditSourceIdentification: who reports; an application server process (type 4). site: "" where it has none."""

    id: str
    site: str = ""


def encoded(event: Event, source: Source) -> str:
    """The message as XML, on one line, without a declaration: it is always Unicode."""
    root = Element("AuditMessage")
    about = SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=event.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(int(event.outcome)),
    )
    _coded(about, "EventID", [event.id])
    _coded(about, "EventTypeCode", event.types)
    if event.description:
        SubElement(about, "EventOutcomeDescription").text = _text(event.description)
    for participant in event.participants:
        _participant(root, participant)
    by = SubElement(root, "AuditSourceIdentification", AuditSourceID=_text(source.id))
    if source.site:
        by.set("AuditEnterpriseSiteID", _text(source.site))
    SubElement(by, "AuditSourceTypeCode", {"csd-code": "4"})
    for subject in event.subjects:
        _subject(root, subject)
    return tostring(root, encoding="unicode")


def _participant(root: Element, found: Participant) -> None:
    made = SubElement(root, "ActiveParticipant", UserID=_text(found.user_id))
    made.set("UserIsRequestor", "true" if found.is_requestor else "false")
    for name, value in (("AlternativeUserID", found.alternative_user_id), ("UserName", found.user_name)):
        if value:
            made.set(name, _text(value))
    if found.address:
        made.set("NetworkAccessPointID", _text(found.address))
        made.set("NetworkAccessPointTypeCode", _kind(found.address))
    _coded(made, "RoleIDCode", found.roles)


def _kind(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return _MACHINE_NAME
    return _IP_ADDRESS


def _subject(root: Element, found: Subject) -> None:
    made = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_text(found.id),
        ParticipantObjectTypeCode=str(found.kind),
        ParticipantObjectTypeCodeRole=str(found.role),
    )
    _coded(made, "ParticipantObjectIDTypeCode", [found.id_type])
    if found.query is None:
        SubElement(made, "ParticipantObjectName").text = _text(found.name)
    else:
        SubElement(made, "ParticipantObjectQuery").text = base64.b64encode(found.query).decode()
    for name, value in found.details:
        text = base64.b64encode(value[:_LONGEST_DETAIL]).decode()
        SubElement(made, "ParticipantObjectDetail", type=_text(name), value=text)
    if found.sop_classes:
        described = SubElement(made, "ParticipantObjectDescription")
        for uid, count in found.sop_classes.items():
            one = SubElement(described, "SOPClass", NumberOfInstances=str(count))
            if uid:
                one.set("UID", _text(uid))


def _coded(parent: Element, name: str, codes: Iterable[Code]) -> None:
    for code in codes:
        attributes = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
        SubElement(parent, name, attributes)


def _text(value: str) -> str:
    """Without what XML cannot hold or what would break the line, and of bounded length: some of it peers send."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)[:_LONGEST]
