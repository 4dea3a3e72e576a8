"""Before results are sent: is the exam still the same woman's in the archive? (C-FIND at study level)

Patients are merged and corrected while an exam is read. What would go out under another identity than the archive's
is held for a person, who requeues it (and it is asked again) or releases it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydicom.dataset import Dataset

from node import delivery
from node.destinations import Sent
from node.dimse import query_scu
from node.errors import DeliveryError, RetriableDelivery
from node.exams import header
from node.names import folded
from node.pipeline.jobs import Job
from node.pipeline.rooms import Rooms, tell
from node.settings_destinations import Destination
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState

_ASKED = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")


def differences(ours: Dataset, theirs: Dataset) -> list[str]:
    """Keywords of what the archive says otherwise. An ID must be told; names count without case and accents."""
    found = []
    for keyword in _ASKED:
        mine, its = _comparable(ours, keyword), _comparable(theirs, keyword)
        if mine != its and (keyword == "PatientID" or (mine and its)):
            found.append(keyword)
    return found


class Identifying:
    """Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._index, self._outbox = Index(rooms.database), Outbox(rooms.database)

    def may_go(self, job: Job, due: Mapping[str, Delivery], settings: Destination) -> dict[str, Delivery]:
        """Of the deliveries that are due, by SOP Instance UID, those that may be sent now; the others are noted."""
        if settings.identity_peer is None:
            return dict(due)
        released = {uid: each for uid, each in due.items() if each.released}
        asked = {uid: each for uid, each in due.items() if not each.released}
        if not asked:
            return released
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


def _comparable(dataset: Dataset, keyword: str) -> str:
    text = str(dataset.get(keyword) or "").strip()
    return folded(text) if keyword == "PatientName" else text
