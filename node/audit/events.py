"""The events that this node audits, each as PS3.15 A.5.3 has it. Pure: who asks, what with, how it ended → `Event`.

No event holds a name of a patient; a Patient ID comes as `StudyOf.patient_id`, made by whoever is configured to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from node.audit import codes
from node.audit.codes import Code, Outcome
from node.audit.messages import Event, Participant, Subject

_PERSON, _SYSTEM = 1, 2
_PATIENT, _REPORT, _MASTER_FILE, _SECURITY_RESOURCE = 1, 3, 5, 13


@dataclass(frozen=True, slots=True)
class Here:
    """This process: the AE title, the host's name and the process ID, by which its log knows it."""

    ae_title: str
    machine: str
    pid: int

    def participant(self, *roles: Code, requestor: bool = False) -> Participant:
        """It as one who took part (PS3.15 A.5.2.1, A.5.2.2)."""
        return Participant(
            user_id=str(self.pid),
            alternative_user_id=f"AETITLES={self.ae_title}",
            user_name="mammo-node",
            address=self.machine,
            roles=roles,
            is_requestor=requestor,
        )


@dataclass(frozen=True, slots=True)
class Other:
    """Whoever is at the other end: a DICOM application by its AE title, a person or a program by name.

    user: "" where nobody said who. address: "" where it has none, as a folder.
    """

    user: str
    address: str = ""
    ae_title: str = ""
    name: str = ""

    def participant(self, *roles: Code, requestor: bool = False) -> Participant:
        """It as one who took part."""
        return Participant(
            user_id=self.user or self.ae_title or "unknown",
            alternative_user_id=f"AETITLES={self.ae_title}" if self.ae_title else "",
            user_name=self.name,
            address=self.address,
            roles=roles,
            is_requestor=requestor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOf:
    """A study, and whose it is. sop_classes: UID → how many instances of it the event is about."""

    study_instance_uid: str
    patient_id: str
    sop_classes: Mapping[str, int] = field(default_factory=dict)

    def subjects(self) -> tuple[Subject, ...]:
        """Study and patient, as events about instances want them."""
        study = Subject(
            id=self.study_instance_uid,
            id_type=codes.STUDY_UID,
            kind=_SYSTEM,
            role=_REPORT,
            sop_classes=self.sop_classes,
        )
        patient = Subject(id=self.patient_id, id_type=codes.PATIENT_NUMBER, kind=_PERSON, role=_PATIENT)
        return study, patient


def activity(here: Here, what: Code, launcher: Other | None = None, description: str = "") -> Event:
    """Application Activity (A.5.3.1). what: started or stopped. launcher: who did it."""
    by = [launcher.participant(codes.LAUNCHER, requestor=True)] if launcher is not None else []
    return _event(
        codes.APPLICATION_ACTIVITY, "E", [here.participant(codes.APPLICATION), *by], types=(what,), told=description
    )


def log_used(by: Other, folder_uri: str) -> Event:
    """Audit Log Used (A.5.3.2)."""
    log = Subject(id=folder_uri, id_type=codes.URI, kind=_SYSTEM, role=_SECURITY_RESOURCE, name="Security Audit Log")
    return _event(codes.AUDIT_LOG_USED, "R", [by.participant(requestor=True)], subjects=(log,))


def begin(here: Here, to: Other, study: StudyOf, asked_by: Other | None = None) -> Event:
    """Begin Transferring DICOM Instances (A.5.3.3), from here."""
    people = _outwards(here, to, asked_by)
    return _event(codes.BEGIN_TRANSFERRING, "E", people, subjects=study.subjects())


def sent(here: Here, to: Other, study: StudyOf, asked_by: Other | None = None, failure: str = "") -> Event:
    """DICOM Instances Transferred (A.5.3.7), from here: those that went, or with `failure` those that did not."""
    return _transferred("R", _outwards(here, to, asked_by), study, failure)


def received(here: Here, source: Other, study: StudyOf, failure: str = "") -> Event:
    """DICOM Instances Transferred (A.5.3.7), to here."""
    people = [source.participant(codes.SOURCE, requestor=True), here.participant(codes.DESTINATION)]
    return _transferred("C", people, study, failure)


def accessed(here: Here, by: Other, study: StudyOf) -> Event:
    """DICOM Instances Accessed (A.5.3.6): seen, not taken away."""
    people = [by.participant(requestor=True), here.participant()]
    return _event(codes.INSTANCES_ACCESSED, "R", people, subjects=study.subjects())


def deleted(here: Here, study: StudyOf, why: str) -> Event:
    """DICOM Study Deleted (A.5.3.8)."""
    people = [here.participant(requestor=True)]
    return _event(codes.STUDY_DELETED, "D", people, subjects=study.subjects(), told=why)


def queried(here: Here, by: Other, sop_class_uid: str, query: bytes, transfer_syntax_uid: str) -> Event:
    """Query (A.5.3.10), of this node. query: the identifier, encoded in this transfer syntax."""
    asked = Subject(
        id=sop_class_uid,
        id_type=codes.SOP_CLASS_UID,
        kind=_SYSTEM,
        role=_REPORT,
        query=query,
        details=(("TransferSyntax", transfer_syntax_uid.encode()),),
    )
    return _query(here, by, asked)


def queried_by_uri(here: Here, by: Other, path: str, query: str) -> Event:
    """Query (A.5.3.10) that is not DIMSE's: a path and its query string."""
    return _query(here, by, Subject(id=path, id_type=codes.URI, kind=_SYSTEM, role=_REPORT, query=query.encode()))


def sign_in(here: Here, who: Other, failure: str = "") -> Event:
    """User Authentication (A.5.3.12). failure: why it was refused."""
    people = [who.participant(requestor=True), here.participant()]
    outcome = Outcome.MINOR if failure else Outcome.SUCCESS
    return _event(codes.USER_AUTHENTICATION, "E", people, types=(codes.LOGIN,), outcome=outcome, told=failure)


def alert(
    here: Here,
    what: Code,
    text: str,
    *,
    about: str = "",
    at_node: str = "",
    by: Other | None = None,
    outcome: Outcome = Outcome.SUCCESS,
) -> Event:
    """Security Alert (A.5.3.11). about: URI of what it concerns; at_node: address of the node it concerns.

    by: the person or application whose doing it was. Success means that this is told, and nothing was tried.
    """
    people = [here.participant(), *([by.participant()] if by is not None else [])]
    told = (("Alert Description", text.encode()),)
    subjects = []
    if about:
        subjects.append(Subject(id=about, id_type=codes.URI, kind=_SYSTEM, role=_MASTER_FILE, details=told))
    if at_node:
        subjects.append(Subject(id=at_node, id_type=codes.NODE_ID, kind=_SYSTEM, role=_SECURITY_RESOURCE, details=told))
    return _event(
        codes.SECURITY_ALERT, "E", people, types=(what,), outcome=outcome, subjects=tuple(subjects), told=text
    )


def _event(
    id: Code,
    action: str,
    people: Iterable[Participant],
    *,
    types: tuple[Code, ...] = (),
    outcome: Outcome = Outcome.SUCCESS,
    subjects: tuple[Subject, ...] = (),
    told: str = "",
) -> Event:
    return Event(
        id=id,
        action=action,
        at=datetime.now(UTC),
        participants=tuple(people),
        outcome=outcome,
        types=types,
        subjects=subjects,
        description=told,
    )


def _outwards(here: Here, to: Other, asked_by: Other | None) -> list[Participant]:
    """One of them asked for it: a third party, the other end, else this node."""
    third = [asked_by.participant(requestor=True)] if asked_by is not None and asked_by != to else []
    return [
        here.participant(codes.SOURCE, requestor=asked_by is None),
        to.participant(codes.DESTINATION, requestor=asked_by == to),
        *third,
    ]


def _transferred(action: str, people: Sequence[Participant], study: StudyOf, failure: str) -> Event:
    outcome = Outcome.MINOR if failure else Outcome.SUCCESS
    return _event(codes.INSTANCES_TRANSFERRED, action, people, outcome=outcome, subjects=study.subjects(), told=failure)


def _query(here: Here, by: Other, asked: Subject) -> Event:
    people = [by.participant(codes.SOURCE, requestor=True), here.participant(codes.DESTINATION)]
    return _event(codes.QUERY, "E", people, subjects=(asked,))
