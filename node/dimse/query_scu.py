"""C-FIND, C-MOVE and C-GET as a service class user, in the study root model (PS3.4 C.6.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from node.dimse import scu
from node.dimse.query_scp import FIND, GET, MOVE
from node.errors import DeliveryError, PermanentDelivery, RetriableDelivery
from node.settings import Peer

_PENDING = (0xFF00, 0xFF01)
_SUCCESS, _SOME_FAILED = 0x0000, 0xB000

#: Takes an instance of a C-GET: its encoded bytes, transfer syntax, SOP class and SOP Instance UID; → the status.
Taken = Callable[[memoryview, str, str, str], int]


def find(peer: Peer, calling_ae_title: str, identifier: Dataset, most: int = 1000) -> list[Dataset]:
    """C-FIND: the matches, at most so many. Raises DeliveryError."""
    with scu.associated(peer, calling_ae_title, _contexts(FIND)) as association:
        return [match for number, match in enumerate(matches(association, identifier, FIND)) if number < most]


def matches(association: Association, identifier: Dataset, model: str) -> Iterator[Dataset]:
    """C-FIND on an open association; model: its SOP class. Raises DeliveryError."""
    for status, match in _answers(association.send_c_find, identifier, model):
        if status in _PENDING and match is not None:
            yield match


def move(peer: Peer, calling_ae_title: str, identifier: Dataset, timeout_s: float) -> None:
    """C-MOVE to ourselves. Raises DeliveryError, also when it takes longer."""
    ends = time.monotonic() + timeout_s
    with scu.associated(peer, calling_ae_title, _contexts(MOVE)) as association:
        for _ in _answers(association.send_c_move, identifier, calling_ae_title, MOVE):
            if time.monotonic() > ends:
                association.abort()
                raise RetriableDelivery(f"C-MOVE took longer than {timeout_s:g} s")


def get(
    peer: Peer, calling_ae_title: str, identifier: Dataset, taken: Taken, storage: Sequence[tuple[str, str]]
) -> None:
    """C-GET; storage: SOP classes and transfer syntaxes that are taken. Raises DeliveryError."""

    def store(event: evt.Event) -> int:
        request: Any = event.request
        encoded = request.DataSet.getbuffer()
        syntax = str(event.context.transfer_syntax)
        return taken(encoded, syntax, str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))

    handlers = [(evt.EVT_C_STORE, store)]
    classes = list(dict.fromkeys(uid for uid, _ in storage))
    contexts = [*_contexts(GET), *storage]
    with scu.associated(peer, calling_ae_title, contexts, handlers=handlers, roles=classes) as association:
        for _ in _answers(association.send_c_get, identifier, GET):
            pass


def _contexts(uid: str) -> list[tuple[str, str]]:
    return [(uid, syntax) for syntax in scu.UNCOMPRESSED]


def _answers(send: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[tuple[int, Dataset | None]]:
    """Each status with its data set; the last one is success, or raised."""
    try:
        for status, dataset in send(*arguments):
            code = status.get("Status")
            if code not in (*_PENDING, _SUCCESS):
                raise _failure(status)
            yield int(code), dataset
    except (RuntimeError, ValueError) as problem:  # the association ended, or no presentation context fits
        raise RetriableDelivery(f"it cannot be asked: {problem}") from problem


def _failure(status: Dataset) -> DeliveryError:
    code = status.get("Status")
    if code is None:
        return RetriableDelivery("the peer did not answer, or aborted")
    failed = status.get("NumberOfFailedSuboperations")
    comment = f" ({status.ErrorComment})" if status.get("ErrorComment") else ""
    some = f", {failed} sub-operations failed" if failed else ""
    error = RetriableDelivery if code >> 8 == 0xA7 or code == _SOME_FAILED else PermanentDelivery
    return error(f"the peer answered 0x{code:04X}{comment}{some}", code)
