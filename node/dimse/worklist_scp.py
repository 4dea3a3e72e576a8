"""A modality worklist (PS3.4 K) over a few items, as a RIS has one. For demonstration and tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from node import dicom_json, query
from node.dimse import identifiers, scu
from node.dimse.sockets import no_delay
from node.dimse.worklist import MODALITY_WORKLIST
from node.errors import NodeError
from node.query import Matching

_PENDING = 0xFF00


class WorklistServer:
    """Listens between `start` and `stop`, on loopback. asked: how often each AE title has asked."""

    def __init__(self, items: Sequence[Dataset], ae_title: str) -> None:
        self._items = [(each, dicom_json.attributes(each)) for each in items]
        self._ae_title = ae_title
        self._server: ThreadedAssociationServer | None = None
        self.asked: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the worklist is not started")
        return int(self._server.server_address[1])

    def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1. Raises OSError."""
        ae = AE(self._ae_title)
        ae.require_called_aet = True
        ae.add_supported_context("1.2.840.10008.1.1")
        ae.add_supported_context(MODALITY_WORKLIST, list(scu.UNCOMPRESSED))
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, no_delay), (evt.EVT_C_FIND, self._find)]
        self._server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _find(self, event: evt.Event) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        self.asked[str(event.assoc.requestor.ae_title).strip()] += 1
        try:
            keys = list(identifiers.keys_of(event.identifier))
            query.check(keys, Matching())
        except NodeError as error:
            yield scu.status(error.dimse_status, str(error)), None
            return
        for item, attributes in self._items:
            if query.matches(keys, attributes, Matching()):
                yield _PENDING, item
