"""What is kept, as frozen records; every state is an Enum member with a sentence. Times are timezone-aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Self


class Told(StrEnum):
    """An enum whose members carry a sentence for people."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


class StudyState(Told):
    """Where an exam stands. Only ANSWERED and STORED need nobody."""

    STORED = "STORED", "kept, not to be read"
    RECEIVING = "RECEIVING", "images are still expected"
    READING = "READING", "complete; waits for or is at the reader"
    REPORTING = "REPORTING", "read; result objects are being made"
    DELIVERING = "DELIVERING", "results are on their way"
    ANSWERED = "ANSWERED", "every result is at its destination"
    HELD = "HELD", "needs a person: no result was sent, and why is in its history"
    UNDELIVERED = "UNDELIVERED", "needs a person: a destination did not take every result"


class DeliveryState(Told):
    """Where one result object stands on its way to one destination."""

    PENDING = "PENDING", "waits for its next attempt"
    DELIVERED = "DELIVERED", "the destination answered success"
    UNCOMMITTED = "UNCOMMITTED", "sent; the destination has not said yet that it keeps it"
    COMMITTED = "COMMITTED", "the destination has said that it keeps it (storage commitment)"
    HELD = "HELD", "not sent: the archive or the RIS has another patient for the study; requeue or release it"
    FAILED = "FAILED", "given up; requeue it when the cause is mended"
    SUPERSEDED = "SUPERSEDED", "a newer revision replaced it before it was sent"


class Priority(IntEnum):
    """How urgent an exam is; the lower, the sooner (see `node.pipeline.jobs.turn`)."""

    URGENT = 0
    ROUTINE = 1
    ARCHIVE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One received instance: its file (relative to the object folder), and what routing made of it.

    standard_view: e.g. "R CC" when it counts towards completeness, else "".
    to_read: routed to the reader (rather than only stored). rule: the routing rule that took it.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    received_at: datetime
    calling_ae_title: str
    to_read: bool
    rule: str
    standard_view: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What searches find of one instance: DICOM JSON (PS3.18 F) by level, and the values that narrow a search.

    patient_name: in lower case and without accents. study_date: YYYYMMDD or "".
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    modality: str
    study: Mapping[str, Any]
    series: Mapping[str, Any]
    instance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file that can be retrieved: of a received instance, or of an object made here."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study and where it stands.

    due_at: when it counts as whole (RECEIVING only). failures: of the stage it is in. jobs: how many it has had.
    priority: of the most urgent of its instances that are to be read.
    """

    study_instance_uid: str
    state: StudyState
    revision: int
    failures: int
    jobs: int
    priority: Priority
    due_at: datetime | None
    first_received_at: datetime
    last_received_at: datetime
    changed_at: datetime
    patient_id: str
    issuer_of_patient_id: str
    accession_number: str
    study_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReading:
    """A saved reading: its JSON (`ai.findings.Reading`), previews (SOP Instance UID → file), when it was saved."""

    study_instance_uid: str
    revision: int
    reading_json: str
    category: str
    previews: dict[str, str]
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image ("": the exam) was not read, by its code. left_out: it did not matter for the exam's answer."""

    code: str
    sop_instance_uid: str
    left_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalCount:
    """One code over many exams, each counted by its latest reading.

    unread: exams that were not read and name it among the reasons. exams: all in which it occurs. first, last: when
    the readings that name it were saved.
    """

    code: str
    unread: int
    exams: int
    images: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One result object's file, or why it could not be made (`error`, path "").

    part: which of the objects of its kind, e.g. "R CC"; "" where the kind is one object.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    kind: str
    options: str
    part: str
    path: str
    sha256: str
    size_bytes: int
    created_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One result object on its way to one destination.

    asks: how often its commitment was asked for since it was sent; asked_at: the first time, committed_at: its end.
    released: a person has it sent whatever the archive says of the patient.
    """

    sop_instance_uid: str
    study_instance_uid: str
    revision: int
    kind: str
    destination: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    last_status: int | None = None
    last_error: str = ""
    delivered_at: datetime | None = None
    asks: int = 0
    asked_at: datetime | None = None
    committed_at: datetime | None = None
    released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Bytes that came in and were kept aside for a person: a conflicting duplicate, or not understandable."""

    sop_instance_uid: str
    study_instance_uid: str
    path: str
    sha256: str
    received_at: datetime
    calling_ae_title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of one exam's history. `text` never holds a patient's name or ID."""

    study_instance_uid: str
    revision: int
    at: datetime
    stage: str
    text: str
