"""Unified Procedure Step as a service class user: working from somebody else's worklist (PS3.4 CC.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association

from node.dimse import query_scu, scu
from node.dimse.ups import CHANGE_STATE, PULL, PUSH, SUBSCRIBE, WATCH
from node.errors import RetriableDelivery
from node.settings import Peer
from node.settings_ups import CodeSettings
from node.ups import attributes
from node.ups.attributes import Attributes, made
from storage.ups import State

CONTEXTS = tuple((uid, syntax) for uid in (PULL, WATCH) for syntax in scu.UNCOMPRESSED)
PUSHING = tuple((uid, syntax) for uid in (PUSH, PULL) for syntax in scu.UNCOMPRESSED)
_RETURNED = (
    "SOPInstanceUID",
    "ScheduledProcedureStepPriority",
    "ScheduledProcedureStepStartDateTime",
    "ScheduledStationNameCodeSequence",
)


class Manager:
    """An association with whoever keeps a worklist.

    Statuses are returned as they are; every method raises DeliveryError where none came.
    """

    def __init__(self, association: Association) -> None:
        self._association = association

    def scheduled(self, wanted: CodeSettings) -> list[Attributes]:
        """C-FIND: the items of this code that are SCHEDULED and READY."""
        code = made(CodeValue=wanted.value, CodingSchemeDesignator=wanted.scheme)
        keys = made(
            ProcedureStepState=str(State.SCHEDULED),
            InputReadinessState="READY",
            ScheduledWorkitemCodeSequence=[code],
            **dict.fromkeys(_RETURNED),
        )
        found = query_scu.matches(self._association, attributes.to_dataset(keys), PULL)
        return [attributes.of_dataset(each) for each in found]

    def push(self, uid: str, item: Attributes) -> int:
        """N-CREATE; on an association with `PUSHING`."""
        answer, _ = scu.called(self._association.send_n_create, attributes.to_dataset(item), UID(PUSH), UID(uid))
        return _status(answer)

    def item(self, uid: str) -> tuple[int, Attributes]:
        """N-GET of everything."""
        answer, found = scu.called(self._association.send_n_get, [], UID(PUSH), UID(uid), meta_uid=UID(PULL))
        return _status(answer), attributes.of_dataset(found or Dataset())

    def update(self, uid: str, given: Attributes, transaction_uid: str) -> int:
        """N-SET under the claim's Transaction UID."""
        dataset = attributes.to_dataset({**given, **made(TransactionUID=transaction_uid)})
        answer, _ = scu.called(self._association.send_n_set, dataset, UID(PUSH), UID(uid), meta_uid=UID(PULL))
        return _status(answer)

    def change_state(self, uid: str, state: State, transaction_uid: str) -> int:
        """N-ACTION: claim, complete or cancel."""
        return self._act(uid, CHANGE_STATE, PULL, ProcedureStepState=str(state), TransactionUID=transaction_uid)

    def subscribe(self, uid: str, ae_title: str) -> int:
        """N-ACTION: have this AE told of the item, so that it hears when somebody wants it canceled."""
        return self._act(uid, SUBSCRIBE, WATCH, ReceivingAE=ae_title, DeletionLock="FALSE")

    def _act(self, uid: str, action: int, meta_uid: str, **given: str) -> int:
        information = attributes.to_dataset(made(**given))
        answer, _ = scu.called(
            self._association.send_n_action, information, action, UID(PUSH), UID(uid), meta_uid=UID(meta_uid)
        )
        return _status(answer)


@contextmanager
def manager(peer: Peer, calling_ae_title: str, contexts: Sequence[tuple[str, str]] = CONTEXTS) -> Iterator[Manager]:
    """For the length of the block. Raises DeliveryError."""
    with scu.associated(peer, calling_ae_title, contexts) as association:
        yield Manager(association)


def _status(answer: Any) -> int:
    if "Status" not in answer:
        raise RetriableDelivery("the manager did not answer, or aborted")
    return int(answer.Status)
