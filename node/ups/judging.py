"""Where an item's exam stands, and so what becomes of the item: it waits, is completed, or canceled with a reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from pydicom.sr.coding import Code

from ai.findings import Category, Reading
from node.settings_ups import UpsSettings
from node.ups import offered, reasons
from node.ups.attributes import value
from node.ups.offered import Input, NoInput
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Instance, StoredReading, Study, StudyState
from storage.ups import Workitem


class Next(Enum):
    """What is to be done for an item. FETCH: its input is not here. READ: nobody has asked for the exam to be read.

    WHOLE: everything it names is here, so that the exam need not wait for more.
    """

    WAIT = auto()
    FETCH = auto()
    WHOLE = auto()
    READ = auto()
    COMPLETE = auto()
    CANCEL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done, and why, in words without anything of the patient.

    percent: how far it is. coded: of a cancellation. revision: whose results are the outputs; None: there are none.
    """

    next: Next
    words: str = ""
    percent: int = 0
    coded: Code = reasons.UNSPECIFIED
    revision: int | None = None


_FAR = {
    StudyState.RECEIVING: (10, "images are still expected"),
    StudyState.READING: (30, "the exam is at the reader, or waits for it"),
    StudyState.REPORTING: (70, "read; result objects are being made"),
    StudyState.DELIVERING: (90, "results are on their way"),
}


class Judge:
    """Looks, and changes nothing."""

    def __init__(self, index: Index, outbox: Outbox, settings: UpsSettings) -> None:
        self._index = index
        self._outbox = outbox
        self._settings = settings

    def judged(self, item: Workitem, now: datetime) -> Verdict:
        """What is to be done for an item that this node performs."""
        if not offered.is_offered(item.attributes, self._settings):
            return _canceled("NOT_OFFERED: ScheduledWorkitemCodeSequence names nothing that this node performs")
        try:
            wanted = offered.input_of(item.attributes)
        except NoInput as error:
            return _canceled(f"NO_INPUT: {error}")
        study = self._index.study(wanted.study_instance_uid)
        instances = self._index.instances(wanted.study_instance_uid)
        missing = wanted.sop_instance_uids - {each.sop_instance_uid for each in instances}
        if study is None or missing:
            return self._not_here(item, len(missing), now)
        if _is_another(item, study):
            return _canceled("PATIENT_CONFLICT: the item's patient is not that of the study", reasons.WRONG_ENTRY)
        return self._of_study(item, wanted, study, instances, now)

    def _not_here(self, item: Workitem, missing: int, now: datetime) -> Verdict:
        what = f"{missing} of the instances named are not here" if missing else "the study named is not here"
        if now - (item.claimed_at or item.created_at) > timedelta(seconds=self._settings.input_wait_s):
            return _canceled(f"INPUT_NOT_HERE: {what}, and could not be had", reasons.INPUT_INCOMPLETE)
        return Verdict(next=Next.FETCH, words=f"waits for its input: {what}")

    def _of_study(
        self, item: Workitem, wanted: Input, study: Study, instances: Collection[Instance], now: datetime
    ) -> Verdict:
        if not any(each.to_read for each in instances):
            return _canceled("NOT_ROUTED: no routing rule has any of its instances read")
        stored = self._outbox.reading(study.study_instance_uid, study.revision)
        if stored is not None and study.state in (StudyState.ANSWERED, StudyState.HELD):
            if stored.category == Category.NOT_READ:
                return _not_read(stored)
            if study.state is StudyState.ANSWERED:
                return Verdict(next=Next.COMPLETE, words="completed", percent=100, revision=study.revision)
        if study.state is StudyState.STORED:
            return Verdict(next=Next.READ, words="to be read", percent=10)
        if study.state is StudyState.RECEIVING and wanted.sop_instance_uids:
            return Verdict(next=Next.WHOLE, words="everything it names is here", percent=20)
        return self._under_way(item, study, now)

    def _under_way(self, item: Workitem, study: Study, now: datetime) -> Verdict:
        if study.state in _FAR:
            percent, words = _FAR[study.state]
            return Verdict(next=Next.WAIT, words=words, percent=percent)
        since = max(study.changed_at, item.claimed_at or item.created_at)
        if now - since > timedelta(seconds=self._settings.give_up_s):
            return _canceled(f"{study.state}: {study.state.sentence}", reasons.EQUIPMENT_FAILURE)
        return Verdict(next=Next.WAIT, words=study.state.sentence, percent=80)


def _canceled(why: str, coded: Code = reasons.UNSPECIFIED) -> Verdict:
    return Verdict(next=Next.CANCEL, words=why, coded=coded)


def _not_read(stored: StoredReading) -> Verdict:
    """An exam that was not read never looks like one that is done: the item is canceled, with the reason codes."""
    reasons = dict.fromkeys(str(each.code) for each in Reading.from_json(stored.reading_json).reasons)
    return Verdict(next=Next.CANCEL, words=f"NOT_READ: {', '.join(reasons)}", revision=stored.revision)


def _is_another(item: Workitem, study: Study) -> bool:
    """Whether the item says another Patient ID, or issuer of it, than the study's images; what is not said agrees."""
    held = {"PatientID": study.patient_id, "IssuerOfPatientID": study.issuer_of_patient_id}
    return any(known != "" and value(item.attributes, keyword) not in ("", known) for keyword, known in held.items())
