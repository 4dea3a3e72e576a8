"""Before results are sent: is the exam still the same woman's? The archive is asked (C-FIND at study level), and what
the RIS has said of her (HL7 ADT) is looked up.

Patients are merged and corrected while an exam is read. What would go out under another identity than the archive's
or the RIS's is held for a person, who requeues it (and it is looked at again) or releases it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydicom.dataset import Dataset

from node import delivery, logs
from node.destinations import Sent
from node.dimse import query_scu
from node.errors import DeliveryError, RetriableDelivery
from node.exams import header
from node.names import folded
from node.pipeline.jobs import Job
from node.pipeline.rooms import Rooms, tell
from node.settings_destinations import Destination
from storage.database import Database
from storage.hl7 import Hl7Record, PatientChange
from storage.index import Index
from storage.outbox import SENT, Outbox
from storage.records import Delivery, DeliveryState

log = logs.get(__name__)

_ASKED = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")


def differences(ours: Dataset, theirs: Dataset) -> list[str]:
    """Keywords of what the archive says otherwise. An ID must be told; names count without case and accents."""
    found = []
    for keyword in _ASKED:
        mine, its = _comparable(ours, keyword), _comparable(theirs, keyword)
        if mine != its and (keyword == "PatientID" or (mine and its)):
            found.append(keyword)
    return found


def contradicted(ours: Dataset, change: PatientChange) -> str:
    """What a RIS has said of the patient that an object of ours does not say, in words without the values; or "".

    Of names the words count, whichever component they stand in: a RIS and a modality rarely divide them alike.
    """
    if change.merged:
        return "the patient has been merged into another"
    found = []
    names = [set(_words(name)) - {""} for name in (str(ours.get("PatientName") or ""), change.patient_name)]
    if all(names) and names[0] != names[1]:
        found.append("PatientName")
    dates = {str(ours.get("PatientBirthDate") or "").strip(), change.patient_birth_date} - {""}
    if len(dates) > 1:
        found.append("PatientBirthDate")
    return f"the patient has been corrected to another {', '.join(found)}" if found else ""


class Identifying:
    """Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._index, self._outbox = Index(rooms.database), Outbox(rooms.database)

    def may_go(self, job: Job, due: Mapping[str, Delivery], settings: Destination) -> dict[str, Delivery]:
        """Of the deliveries that are due, by SOP Instance UID, those that may be sent now; the others are noted."""
        released = {uid: each for uid, each in due.items() if each.released}
        asked = {uid: each for uid, each in due.items() if not each.released}
        if not asked:
            return released
        if said := self._said(self._rooms.database, job.study_instance_uid, job.revision):
            for each in asked.values():
                self._note(replace(each, state=DeliveryState.HELD, last_error=f"the RIS says: {said}"))
            return released
        if settings.identity_peer is None:
            return dict(due)
        try:
            wrong = self._wrong(job, asked, settings.identity_peer)
        except DeliveryError as error:
            why = RetriableDelivery(f"{settings.identity_peer} was asked for the patient: {error}")
            for each in asked.values():
                sent = Sent(sop_instance_uid=each.sop_instance_uid, error=why)
                self._note(delivery.judged(each, sent, settings, datetime.now(UTC)))
            return released
        if not wrong:
            return dict(due)
        text = f"{settings.identity_peer} has the study with another {', '.join(wrong)}"
        for each in asked.values():
            self._note(replace(each, state=DeliveryState.HELD, last_error=text))
        return released

    def changed(self, joined: Database, change: PatientChange) -> None:
        """Tell in the history of each of the patient's exams whose results have gone out what they do not say.

        What is still to be sent is held when its turn comes. joined: where the change is being kept.
        """
        for study in Hl7Record(joined).studies(change.patient_id, change.issuer_of_patient_id):
            uid, revision = study.study_instance_uid, study.revision
            sent = Outbox(joined).deliveries(uid, revision=revision, states=SENT)
            said = self._said(joined, uid, revision) if sent else ""
            if said:
                log.warning("results were sent before the RIS changed their patient", study=uid)
                text = f"the RIS says: {said}; {len(sent)} results had been sent before"
                tell(Index(joined), uid, revision, "deliver", text)

    def _said(self, database: Database, study_instance_uid: str, revision: int) -> str:
        """What the RIS has said that the study's results do not say; "" for nothing."""
        study = Index(database).study(study_instance_uid)
        if study is None:
            return ""
        changes = Hl7Record(database).changes(study.patient_id, study.issuer_of_patient_id)
        made = [each for each in Outbox(database).results(study_instance_uid, revision) if each.path] if changes else []
        ours = [header(self._rooms.store.path(each.path)) for each in made[:1]]
        return next(filter(None, (contradicted(mine, each) for mine in ours for each in changes)), "")

    def _wrong(self, job: Job, due: Mapping[str, Delivery], peer: str) -> Sequence[str]:
        config = self._rooms.config
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = job.study_instance_uid
        for keyword in _ASKED:
            setattr(identifier, keyword, None)
        matches = query_scu.find(config.peers[peer], config.node.ae_title, identifier)
        if not matches:
            text = f"{peer} does not hold the study yet: its patient could not be compared"
            tell(self._index, job.study_instance_uid, job.revision, "deliver", text)
        results = self._outbox.results(job.study_instance_uid, job.revision)
        ours = [header(self._rooms.store.path(each.path)) for each in results if each.sop_instance_uid in due]
        found = (keyword for mine in ours for theirs in matches for keyword in differences(mine, theirs))
        return list(dict.fromkeys(found))

    def _note(self, after: Delivery) -> None:
        self._outbox.save_delivery(after)
        text = f"{after.kind} → {after.destination}: {after.state.sentence}: {after.last_error}"
        tell(self._index, after.study_instance_uid, after.revision, "deliver", text)


def _words(name: str) -> list[str]:
    """Of the family's, given and middle name."""
    return re.split(r"[\s^'-]+", "^".join(folded(name).split("^")[:3]).strip("^ "))


def _comparable(dataset: Dataset, keyword: str) -> str:
    text = str(dataset.get(keyword) or "").strip()
    return folded(text) if keyword == "PatientName" else text
