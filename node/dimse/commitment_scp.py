"""Storage commitment as a service class provider: requests are stored, then answered by a thread of their own.

The answer goes on the requestor's association while that is open, which a peer that has nothing more to say leaves
open to hear it; else on a new association to the peer of its AE title.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from node import logs
from node.commitment import Answer, answer, not_told, told
from node.config import Config
from node.dimse import commitment, rights
from node.dimse.commitment import Question
from node.dimse.scu import Handler, status
from node.errors import BadQuery, DeliveryError, NotAuthorized, PermanentDelivery
from node.settings import Peer
from storage.catalogue import Catalogue
from storage.commitments import CommitmentRequest, Commitments, RequestState
from storage.database import Database, DatabaseUnavailable
from storage.objects import ObjectStore

log = logs.get(__name__)

_NO_SUCH_INSTANCE, _NO_SUCH_ACTION, _RESOURCES = 0x0112, 0x0123, 0x0213
_TICK_S = 0.2
_FIRST_S = 1.0  # whoever wants the answer elsewhere has gone by then
_LEASE_S = 300.0  # longer than an answer takes; after a crash it is sent again
_KEPT_DAYS = 30
_TIDYING = timedelta(hours=1)


class CommitmentProvider:
    """Takes requests (`handlers`), and answers them between `start` and `stop`."""

    def __init__(self, config: Config, database: Database, store: ObjectStore) -> None:
        self._config = config
        self._commitments = Commitments(database)
        self._catalogue = Catalogue(database)
        self._store = store
        self._associations: dict[tuple[str, str], Association] = {}
        self._tidied = datetime.now(UTC)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="storage commitment", daemon=True)

    def handlers(self) -> list[Handler]:
        """For the receiver."""
        return [(evt.EVT_N_ACTION, self._requested), (evt.EVT_CONN_CLOSE, self._left), (evt.EVT_RELEASED, self._left)]

    def start(self) -> None:
        """Answer what is due, also what an earlier process left."""
        self._thread.start()

    def stop(self) -> None:
        """End; an answer on its way is sent again after the next start."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_FIRST_S)

    # ------------------------------------------------------------------ requests

    def _requested(self, event: evt.Event) -> tuple[Dataset, None]:
        request = cast("Any", event.request)
        if request.RequestedSOPInstanceUID != commitment.WELL_KNOWN_INSTANCE:
            return status(_NO_SUCH_INSTANCE, "RequestedSOPInstanceUID: not that of Storage Commitment"), None
        if request.ActionTypeID != commitment.REQUEST:
            return status(_NO_SUCH_ACTION, f"ActionTypeID {request.ActionTypeID}: allowed is 1"), None
        calling = str(event.assoc.requestor.ae_title).strip()
        try:
            rights.demand(self._config, event, "commit")
            return self._keep(commitment.asked(event), calling, event.assoc), None
        except NotAuthorized as error:
            return status(error.dimse_status, str(error)), None
        except BadQuery as error:
            log.warning("commitment request refused", calling_ae_title=calling, why=str(error))
            return status(commitment.INVALID_ARGUMENT, str(error)), None
        except DatabaseUnavailable as error:
            log.warning("commitment request refused", calling_ae_title=calling, why=str(error))
            return status(_RESOURCES, "the database refused the request; send it again"), None

    def _keep(self, question: Question, calling: str, association: Association) -> Dataset:
        now = datetime.now(UTC)
        request = CommitmentRequest(
            transaction_uid=question.transaction_uid,
            calling_ae_title=calling,
            references=question.references,
            state=RequestState.PENDING,
            attempts=0,
            received_at=now,
            due_at=now + timedelta(seconds=_FIRST_S),
        )
        self._associations[(question.transaction_uid, calling)] = association
        if not self._commitments.add_request(request):
            return status(commitment.INVALID_ARGUMENT, "TransactionUID: already in use for other instances")
        count = len(question.references)
        log.info("commitment asked of us", calling_ae_title=calling, transaction=question.transaction_uid, count=count)
        return status(commitment.SUCCESS)

    def _left(self, event: evt.Event) -> None:
        for key in [key for key, each in list(self._associations.items()) if each is event.assoc]:
            self._associations.pop(key, None)

    # ------------------------------------------------------------------ answers

    def _live(self) -> None:
        while not self._ended.wait(_TICK_S):
            try:
                self._round(datetime.now(UTC))
            except Exception:
                log.exception("storage commitment failed")
                self._ended.wait(_FIRST_S)

    def _round(self, now: datetime) -> None:
        while not self._ended.is_set():
            request = self._commitments.claim(now, now + timedelta(seconds=_LEASE_S))
            if request is None:
                break
            self._commitments.save_request(self._answered(request))
        if now - self._tidied > _TIDYING:
            self._tidied = now
            self._commitments.forget_requests(now - timedelta(days=_KEPT_DAYS))

    def _answered(self, request: CommitmentRequest) -> CommitmentRequest:
        ours = answer(request, self._catalogue, self._store)
        about = {"calling_ae_title": request.calling_ae_title, "transaction": request.transaction_uid}
        try:
            self._tell(request, ours)
        except DeliveryError as error:
            log.warning("commitment not answered", why=str(error), **about)
            return not_told(request, str(error), self._config.commitment, datetime.now(UTC))
        log.info("commitment answered", kept=len(ours.kept), failed=len(ours.failed), **about)
        return told(request, datetime.now(UTC))

    def _tell(self, request: CommitmentRequest, ours: Answer) -> None:
        own = self._config.node.ae_title
        waiting = self._associations.pop((request.transaction_uid, request.calling_ae_title), None)
        if waiting is not None and waiting.is_established:
            try:
                commitment.tell_on(waiting, ours, own)
                return
            except DeliveryError as error:
                log.info("the peer did not take the answer on its association", why=str(error))
        commitment.tell(ours, self._peer(request.calling_ae_title), own)

    def _peer(self, ae_title: str) -> Peer:
        for peer in self._config.peers.values():
            if peer.ae_title == ae_title:
                return peer
        raise PermanentDelivery(f"it has gone, and no peer under peers has the AE title {ae_title}")
