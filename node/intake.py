"""Bytes and their sender → stored, indexed, once. The one door for C-STORE (and STOW-RS).

The order is the promise: file (temp, fsync, rename, folder fsync), then the index row, committed, and only then
does `accept` return. The encoded data set is written as it came.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pydicom.dataset import Dataset

from ai.eligibility import EligibilityRules, judge_view
from ai.exam import View
from node import completeness, findable, logs, routing
from node.arriving import Arriving
from node.config import Config
from node.errors import (
    MismatchedInstance,
    NodeError,
    NotUnderstood,
    OutOfDatabase,
    OutOfResources,
    RefusedByRule,
    UnsupportedSOPClass,
)
from node.header import read_header
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.room import Room
from node.routing import Router
from node.settings_routing import Rule
from storage.database import DatabaseUnavailable
from storage.index import Index
from storage.objects import NewObject, ObjectStore, Written, is_valid_uid
from storage.outbox import Outbox
from storage.records import Aside, Entry, Instance, Priority

log = logs.get(__name__)

_COUNTS = EligibilityRules()  # an image that no model could read does not count towards the four views
_ATTEMPTS = 3  # of the index transaction, when another receiver indexed the same study or instance meanwhile


class Outcome(StrEnum):
    """What became of an instance that was accepted."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    OWN_RESULT = "own result"
    KEPT_ASIDE = "kept aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One instance as it came: the encoded data set (no file meta), its syntax, and what the command said it is.

    more_to_come: the sender may still send instances of the same study (its association is open).
    only_study: the study that it has to be of, where the sender named one.
    file: where the instance is written already, with its File Meta Information; it only has to be committed.
    """

    encoded: memoryview
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    more_to_come: bool = False
    only_study: str = ""
    file: NewObject | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to the sender: success, and which study and series it was for."""

    outcome: Outcome
    study_instance_uid: str
    series_instance_uid: str


class Intake:
    """Accepts instances into the store and the index. `passed(point)` is called between its durable steps."""

    def __init__(
        self,
        config: Config,
        index: Index,
        outbox: Outbox,
        store: ObjectStore,
        *,
        router: Router | None = None,
        passed: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """router: the rules, where they can change while the node runs; without one, those of `config`."""
        self._config = config
        self._router = router or Router(config)
        self._index = index
        self._outbox = outbox
        self._store = store
        self._room = Room(config, index, store)
        self._passed = passed

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> Arriving:
        """Where the data set of a C-STORE is written as it comes; to be accepted when it is whole."""
        prefix = file_prefix(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        return Arriving(self._store, prefix, self._check_growing)

    def accept(self, incoming: Incoming) -> Accepted:
        """Store and index one instance; durable on return.

        Raises a NodeError whose `dimse_status` is the answer: OutOfResources (disk or database), NotUnderstood and
        MismatchedInstance (the bytes are kept aside), UnsupportedSOPClass (no routing rule takes it), RefusedByRule.
        """
        try:
            self._check_size(len(incoming.encoded))
            self._room.take(len(incoming.encoded), written=incoming.file is not None)
            found = self._understood(incoming)
            if incoming.only_study not in ("", found.entry.study_instance_uid):
                raise MismatchedInstance("StudyInstanceUID: the instance is of another study than the request names")
            return self._accept(incoming, found)
        except OSError as error:
            raise OutOfResources(f"the object folder refused the file: {error.strerror or error}") from error
        except DatabaseUnavailable as error:
            raise OutOfDatabase(f"the database refused the row: {error}") from error

    def released(self, study_instance_uid: str) -> None:
        """The sender has nothing more for this study: with all views there it need not wait for more."""
        try:
            views = self._index.standard_views(study_instance_uid)
            if completeness.is_complete(views):
                now, settings = datetime.now(UTC), self._config.completeness
                due_at = completeness.due_at(views, now, settings, still_open=False)
                self._index.hasten(study_instance_uid, due_at)
        except DatabaseUnavailable as error:
            log.warning("the exam waits its full time", study=study_instance_uid, problem=str(error))

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._config.network.max_object_bytes:
            raise NotUnderstood(f"{size_bytes} bytes are more than network.max_object_bytes allows")

    def _check_growing(self, size_bytes: int) -> None:
        self._check_size(size_bytes)
        self._room.look(size_bytes)

    def _understood(self, incoming: Incoming) -> Understood:
        try:
            return understood(incoming)
        except NodeError as error:
            self._keep_aside(incoming, "", str(error))
            raise

    def _accept(self, incoming: Incoming, found: Understood) -> Accepted:
        study, series = found.entry.study_instance_uid, found.entry.series_instance_uid
        if self._outbox.is_own_result(incoming.sop_instance_uid):
            log.info("own result came back", sop=incoming.sop_instance_uid, study=study)
            return Accepted(Outcome.OWN_RESULT, study, series)
        rule = self._rule(incoming, found)
        written = self._written(incoming, study, incoming.sop_instance_uid, ".dcm")
        self._passed("intake: file written")
        outcome = self._add(_instance(incoming, found, rule, written), found.entry, incoming, rule)
        self._passed("intake: row committed")
        return Accepted(outcome, study, series)

    def _rule(self, incoming: Incoming, found: Understood) -> Rule:
        """The rule that takes the instance. Raises UnsupportedSOPClass, RefusedByRule."""
        rule = self._router.decide(found.facts)
        what = f"SOP class {incoming.sop_class_uid}"
        if rule is None:
            raise UnsupportedSOPClass(f"{what}: no routing rule takes it")
        if rule.action == "refuse":
            why = f"{what}: routing rule '{rule.name}' refuses it"
            raise RefusedByRule(why, rule.status, rule.http_status)
        return rule

    def _add(self, instance: Instance, entry: Entry, incoming: Incoming, rule: Rule) -> Outcome:
        priority = Priority[rule.priority.upper()]

        def due_at(views: frozenset[str]) -> datetime:
            return completeness.due_at(
                views, instance.received_at, self._config.completeness, still_open=incoming.more_to_come
            )

        for _ in range(_ATTEMPTS):
            if self._index.add_instance(instance, due_at, entry, priority, rule.forward):
                return Outcome.STORED
            held = self._index.instance(instance.sop_instance_uid)
            if held is not None:
                return self._duplicate(held, instance)
        raise OutOfResources("the index is busy with the same study; send it again")

    def _duplicate(self, held: Instance, again: Instance) -> Outcome:
        if held.sha256 == again.sha256:
            return Outcome.DUPLICATE
        self._note_aside(
            again.study_instance_uid,
            again.sop_instance_uid,
            Written(again.path, again.sha256, again.size_bytes),
            again.calling_ae_title,
            "same SOP Instance UID as an instance already held, other content",
        )
        return Outcome.KEPT_ASIDE

    def _keep_aside(self, incoming: Incoming, study_instance_uid: str, reason: str) -> None:
        name = incoming.sop_instance_uid
        if not is_valid_uid(name):
            name = f"2.25.{int(hashlib.sha256(incoming.encoded).hexdigest()[:31], 16)}"
        written = self._written(incoming, "2.25.0", name, ".aside")
        self._note_aside(study_instance_uid, name, written, incoming.calling_ae_title, reason)

    def _written(self, incoming: Incoming, study: str, name: str, suffix: str) -> Written:
        if incoming.file is not None:
            return incoming.file.commit(study_instance_uid=study, name=name, suffix=suffix)
        prefix = file_prefix(incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid)
        return self._store.put([prefix, incoming.encoded], study_instance_uid=study, name=name, suffix=suffix)

    def _note_aside(self, study: str, sop_instance_uid: str, written: Written, calling: str, reason: str) -> None:
        self._index.add_aside(
            Aside(
                sop_instance_uid=sop_instance_uid,
                study_instance_uid=study,
                path=written.path,
                sha256=written.sha256,
                received_at=datetime.now(UTC),
                calling_ae_title=calling,
                reason=reason,
            )
        )
        log.warning("kept aside", sop=sop_instance_uid, study=study, reason=reason)


@dataclass(frozen=True, slots=True)
class Understood:
    """What the node has to know of an instance. facts: what routing rules look at."""

    view: View
    entry: Entry
    facts: routing.Facts
    accession_number: str


def understood(incoming: Incoming) -> Understood:
    """Read an instance's header, whatever a sender made of it. Raises NotUnderstood, MismatchedInstance."""
    header = read_header(incoming.encoded, incoming.transfer_syntax_uid)
    try:
        _check_uids(header, incoming)
        return Understood(
            View.from_dataset(header),
            findable.entry(header),
            routing.facts(header, incoming.calling_ae_title),
            str(header.get("AccessionNumber") or ""),
        )
    except NodeError:
        raise
    except Exception as error:
        raise NotUnderstood(f"an element of the data set cannot be read: {type(error).__name__}") from error


def _check_uids(header: Dataset, incoming: Incoming) -> None:
    for keyword in ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uid = str(header.get(keyword) or "")
        if not is_valid_uid(uid):
            # quoted only where it looks like one: what a broken sender puts there may be the patient's
            quoted = f"'{uid[:70]}'" if set(uid) <= set("0123456789.") else "what is there"
            problem = f"{quoted} is not a UID (PS3.5 9.1)" if uid else "it is missing"
            raise NotUnderstood(f"{keyword}: {problem}")
    if (header.SOPInstanceUID, header.SOPClassUID) != (incoming.sop_instance_uid, incoming.sop_class_uid):
        raise MismatchedInstance(
            "SOPInstanceUID or SOPClassUID of the data set is not what the request or the file's header named"
        )


def _instance(incoming: Incoming, found: Understood, rule: Rule, written: Written) -> Instance:
    view = found.view
    to_read = rule.action == "read"
    counts = to_read and judge_view(view, _COUNTS) is None
    return Instance(
        sop_instance_uid=incoming.sop_instance_uid,
        sop_class_uid=incoming.sop_class_uid,
        study_instance_uid=view.study_instance_uid,
        series_instance_uid=view.series_instance_uid,
        transfer_syntax_uid=incoming.transfer_syntax_uid,
        path=written.path,
        sha256=written.sha256,
        size_bytes=written.size_bytes,
        received_at=datetime.now(UTC),
        calling_ae_title=incoming.calling_ae_title,
        to_read=to_read,
        rule=rule.name,
        standard_view=str(view.standard_view) if counts else "",
        patient_id=view.patient_id,
        issuer_of_patient_id=view.issuer_of_patient_id,
        accession_number=found.accession_number,
        study_date=view.study_date,
    )


def file_prefix(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1); the same for the same instance, whoever sent it."""
    elements = [
        struct.pack("<HH2sxxLH", 0x0002, 0x0001, b"OB", 2, 0x0100),  # version 00\01
        _short(0x0002, "UI", sop_class_uid),
        _short(0x0003, "UI", sop_instance_uid),
        _short(0x0010, "UI", transfer_syntax_uid),
        _short(0x0012, "UI", IMPLEMENTATION_CLASS_UID),
        _short(0x0013, "SH", IMPLEMENTATION_VERSION_NAME),
    ]
    body = b"".join(elements)
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHL", 0x0002, 0, b"UL", 4, len(body)) + body


def _short(element: int, vr: str, text: str) -> bytes:
    """An element of group 2, by Explicit VR Little Endian."""
    value = text.encode("ascii", "replace")
    value += (b" " if vr == "SH" else b"\0") * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr.encode(), len(value)) + value
