"""Storage Commitment Push Model on the wire (PS3.4 J): asking, being told, and telling."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association

from node.commitment import Answer
from node.dimse import scu
from node.errors import BadQuery
from node.settings import Peer
from storage.commitments import Reference
from storage.objects import is_valid_uid

SOP_CLASS = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
CONTEXTS = tuple((SOP_CLASS, syntax) for syntax in scu.UNCOMPRESSED)
REQUEST = 1  # Action Type ID (PS3.4 J.3.2)
ALL_KEPT, SOME_FAILED = 1, 2  # Event Type IDs (PS3.4 J.3.3)
SUCCESS, NO_SUCH_EVENT, INVALID_ARGUMENT = 0x0000, 0x0113, 0x0115

#: Takes an answer; False when no such transaction is ours.
Told = Callable[[Answer], bool]


def new_transaction_uid() -> str:
    """A UID that nobody can guess: the answer's right to be believed."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, slots=True)
class Question:
    """What a peer is asked to keep."""

    transaction_uid: str
    references: tuple[Reference, ...]


def ask(question: Question, peer: Peer, calling_ae_title: str, told: Told, wait_s: float) -> None:
    """N-ACTION; an answer on the same association, within `wait_s`, is told. Raises DeliveryError."""
    answered = threading.Event()

    def hear(event: evt.Event) -> tuple[Any, None]:
        status = heard(event, told)
        answered.set()
        return status, None

    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    with scu.associated(peer, calling_ae_title, CONTEXTS, handlers=handlers) as association:
        action = (_request(question), REQUEST, SOP_CLASS, WELL_KNOWN_INSTANCE)
        status, _ = scu.called(association.send_n_action, *action)
        error = scu.judge(status)
        if error is not None:
            raise error
        answered.wait(wait_s)


def tell(answer: Answer, peer: Peer, calling_ae_title: str) -> None:
    """N-EVENT-REPORT on an association of our own, as its provider. Raises DeliveryError."""
    with scu.associated(peer, calling_ae_title, CONTEXTS, roles=[SOP_CLASS]) as association:
        tell_on(association, answer, calling_ae_title)


def tell_on(association: Association, answer: Answer, ae_title: str) -> None:
    """N-EVENT-REPORT on an open association. Raises DeliveryError."""
    event_type = SOME_FAILED if answer.failed else ALL_KEPT
    event = (_report(answer, ae_title), event_type, SOP_CLASS, WELL_KNOWN_INSTANCE)
    status, _ = scu.called(association.send_n_event_report, *event)
    error = scu.judge(status)
    if error is not None:
        raise error


def heard(event: evt.Event, told: Told) -> Dataset:
    """Take an N-EVENT-REPORT; returns the status to answer with."""
    event_type = cast("Any", event.request).EventTypeID
    if event_type not in (ALL_KEPT, SOME_FAILED):
        return scu.status(NO_SUCH_EVENT, f"EventTypeID {event_type}: allowed are 1 and 2")
    try:
        answer = _answer(event.event_information)
    except BadQuery as error:
        return scu.status(INVALID_ARGUMENT, str(error))
    if not told(answer):
        return scu.status(INVALID_ARGUMENT, "TransactionUID: there is no such transaction here")
    return scu.status(SUCCESS)


def listening(told: Told) -> list[scu.Handler]:
    """For the receiver: answers that come on an association of the peer's own."""
    return [(evt.EVT_N_EVENT_REPORT, lambda event: (heard(event, told), None))]


def asked(event: evt.Event) -> Question:
    """What an N-ACTION asks for. Raises BadQuery."""
    dataset = event.action_information
    references = tuple(_references(dataset, "ReferencedSOPSequence"))
    if not references:
        raise BadQuery("ReferencedSOPSequence: it is empty; allowed: at least one instance")
    return Question(_uid(dataset, "TransactionUID"), references)


def _request(question: Question) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = UID(question.transaction_uid)
    dataset.ReferencedSOPSequence = [_item(each) for each in question.references]
    return dataset


def _report(answer: Answer, ae_title: str) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = UID(answer.transaction_uid)
    dataset.RetrieveAETitle = ae_title
    if answer.kept:
        dataset.ReferencedSOPSequence = [_item(each) for each in answer.kept]
    if answer.failed:
        dataset.FailedSOPSequence = [_item(each, reason) for each, reason in answer.failed]
    return dataset


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(reference.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(reference.sop_instance_uid)
    if reason is not None:
        item.FailureReason = reason
    return item


def _answer(dataset: Dataset) -> Answer:
    failed = dataset.get("FailedSOPSequence") or ()
    reasons = [int(item.get("FailureReason") or 0) for item in failed]
    return Answer(
        transaction_uid=_uid(dataset, "TransactionUID"),
        kept=tuple(_references(dataset, "ReferencedSOPSequence")),
        failed=tuple(zip(_references(dataset, "FailedSOPSequence"), reasons, strict=True)),
    )


def _references(dataset: Dataset, keyword: str) -> Iterable[Reference]:
    for item in dataset.get(keyword) or ():
        yield Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _uid(dataset: Dataset, keyword: str) -> str:
    uid = str(dataset.get(keyword) or "")
    if not is_valid_uid(uid):
        raise BadQuery(f"{keyword}: missing, or not a UID (PS3.5 9.1)")
    return uid
