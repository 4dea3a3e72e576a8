"""A small archive: C-ECHO, C-STORE and Storage Commitment SCP over a folder. For demonstration and tests.

It keeps the data set as it came, answers success once the file is there, and replaces nothing: what comes again
under the same SOP Instance UID is counted. Commitment is reported on the association that asked for it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.transport import ThreadedAssociationServer

from node.commitment import NO_SUCH_INSTANCE, Answer
from node.dimse import commitment, scu
from node.dimse.scp import TRANSFER_SYNTAXES
from node.dimse.sockets import no_delay
from node.errors import BadQuery, DeliveryError
from storage.objects import is_valid_uid

_REPORT_AFTER_S = 0.1
_VERIFICATION = "1.2.840.10008.1.1"
_SUCCESS, _OUT_OF_RESOURCES, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000


class Archive:
    """Listens between `start` and `stop`, on loopback.

    received: how often each SOP Instance UID came. committed: those for which it has answered that it keeps them.
    """

    def __init__(self, folder: Path, ae_title: str) -> None:
        self._folder = folder
        self._ae_title = ae_title
        self._server: ThreadedAssociationServer | None = None
        self._lock = threading.Lock()
        self.received: Counter[str] = Counter()
        self.committed: set[str] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the archive is not started")
        return int(self._server.server_address[1])

    def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        ae = AE(self._ae_title)
        ae.require_called_aet = True
        ae.add_supported_context(_VERIFICATION)
        ae.add_supported_context(commitment.SOP_CLASS)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), TRANSFER_SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, no_delay),
            (evt.EVT_C_ECHO, lambda _event: _SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
        ]
        self._server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Stop listening; open associations are aborted."""
        if self._server is not None:
            self._server.shutdown()
            for association in self._server.ae.active_associations:
                if association.is_established:
                    association.abort()
            self._server = None

    def _store(self, event: evt.Event) -> int:
        uid = str(cast("Any", event.request).AffectedSOPInstanceUID)
        if not is_valid_uid(uid):
            return _NOT_UNDERSTOOD
        with self._lock:
            try:
                if not self.received[uid]:
                    self._write(uid, event.encoded_dataset())
            except OSError:
                return _OUT_OF_RESOURCES
            self.received[uid] += 1
        return _SUCCESS

    def _commit(self, event: evt.Event) -> tuple[int | Dataset, None]:
        try:
            asked = commitment.asked(event)
        except BadQuery as error:
            return scu.status(commitment.INVALID_ARGUMENT, str(error)), None
        kept = [each for each in asked.references if self.received[each.sop_instance_uid]]
        failed = [(each, NO_SUCH_INSTANCE) for each in asked.references if each not in kept]
        answer = Answer(transaction_uid=asked.transaction_uid, kept=tuple(kept), failed=tuple(failed))
        threading.Thread(target=self._report, args=(event.assoc, answer), daemon=True).start()
        return _SUCCESS, None

    def _report(self, association: Association, answer: Answer) -> None:
        time.sleep(_REPORT_AFTER_S)  # the request is to be answered first
        try:
            commitment.tell_on(association, answer, self._ae_title)
        except DeliveryError:  # whoever asked has gone, and asks again
            return
        self.committed.update(each.sop_instance_uid for each in answer.kept)

    def _write(self, uid: str, content: bytes) -> None:
        temporary = self._folder / f".{uid}.part"
        temporary.write_bytes(content)
        temporary.replace(self._folder / f"{uid}.dcm")
