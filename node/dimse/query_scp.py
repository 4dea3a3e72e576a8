"""C-FIND, C-MOVE and C-GET as a service class provider, in the study root model (PS3.4 C.6.2).

Over whatever the node holds, received or made; the same search as QIDO-RS. A file goes out only when it is what was
stored, in its own transfer syntax; uncompressed ones also in the other uncompressed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.presentation import build_context

from node import logs, search
from node.audit.auditor import Auditor
from node.audit.events import Other
from node.audit.queries import Queries
from node.config import Config
from node.destinations import Outgoing
from node.dimse import identifiers, rights, scu
from node.dimse.retrieved import Retrieved
from node.dimse.scu import Handler, status
from node.dimse.sockets import no_delay
from node.errors import NodeError
from node.query import Matching
from node.search import Search
from node.settings import Peer
from storage.catalogue import Catalogue
from storage.database import Database, DatabaseUnavailable
from storage.objects import AlteredObject, ObjectStore
from storage.records import Held

log = logs.get(__name__)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
PENDING, PENDING_KEYS_IGNORED, CANCELLED = 0xFF00, 0xFF01, 0xFE00
OUT_OF_RESOURCES, DESTINATION_UNKNOWN, UNABLE = 0xA700, 0xA801, 0xC000
_MOST_CONTEXTS = 128  # of one association (PS3.8 9.3.2.2)

#: What a handler of pynetdicom yields.
Answers = Iterator[Any]


class QueryProvider:
    """Answers queries and retrievals (`handlers`)."""

    def __init__(self, config: Config, database: Database, store: ObjectStore, auditor: Auditor | None = None) -> None:
        """auditor: is told who asked, and what they took."""
        self._config = config
        self._auditor, self._queries = auditor, Queries(auditor)
        self._catalogue = Catalogue(database)
        self._store = store

    def handlers(self) -> list[Handler]:
        """For the receiver."""
        return [
            (evt.EVT_REQUESTED, _prefer_uncompressed),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_GET, self._get),
        ]

    # ------------------------------------------------------------------ C-FIND

    def _find(self, event: evt.Event) -> Answers:
        try:
            rights.demand(self._config, event, "query")
            identifier = event.identifier
            self._queries.asked(_caller(event), FIND, identifier)
            asked = identifiers.asked(identifier)
            limit = self._config.query.maximum_results
            results = search.search(
                self._catalogue,
                Search(level=asked.level, keys=asked.keys, matching=Matching(combined=False), limit=limit),
            )
        except (NodeError, DatabaseUnavailable) as error:
            yield _refused("query", event, error), None
            return
        log.info("queried", calling_ae_title=_calling(event), level=asked.level, matches=len(results.matches))
        for found in results.matches:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            answer = identifiers.match(found, asked, self._config.node.ae_title)
            yield PENDING_KEYS_IGNORED if asked.ignored else PENDING, answer
        if results.more:
            yield status(OUT_OF_RESOURCES, f"more than {limit} matches: narrow the query"), None

    # ------------------------------------------------------------------ C-MOVE, C-GET

    def _move(self, event: evt.Event) -> Answers:
        peer = self._destination(str(cast("Any", event.request).MoveDestination or "").strip())
        if peer is None:
            log.warning("move refused: destination not under peers", calling_ae_title=_calling(event))
            yield None, None
            return
        if not rights.may_move(self._config, event, peer.ae_title):
            yield None, None  # to this caller the destination is unknown (0xA801)
            return
        held = self._wanted(event)  # what is raised here pynetdicom answers with 0xC514
        log.info("move asked of us", calling_ae_title=_calling(event), to=peer.ae_title, count=len(held))
        taken = Retrieved(self._auditor, held, Other("", peer.host, peer.ae_title), _caller(event))
        with taken.told():
            yield peer.host, peer.port, self._association(peer, held, taken)
            yield len(held)
            yield from self._objects(event, held)

    def _get(self, event: evt.Event) -> Answers:
        try:
            rights.demand(self._config, event, "get")
            held = self._wanted(event)
        except (NodeError, DatabaseUnavailable) as error:
            yield 1
            yield _refused("get", event, error), None
            return
        log.info("get asked of us", calling_ae_title=_calling(event), count=len(held))
        taken = Retrieved(self._auditor, held, _caller(event), _caller(event))
        event.assoc.bind(evt.EVT_DIMSE_RECV, taken.heard)
        with taken.told():
            yield len(held)
            yield from self._objects(event, held)
        event.assoc.unbind(evt.EVT_DIMSE_RECV, taken.heard)

    def _wanted(self, event: evt.Event) -> list[Held]:
        return self._catalogue.files(identifiers.wanted(event.identifier))

    def _objects(self, event: evt.Event, held: Sequence[Held]) -> Answers:
        for each in held:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            yield PENDING, self._object(each)

    def _object(self, held: Held) -> Dataset:
        """The instance; where its file is not what was stored, one that cannot be sent and so counts as failed."""
        try:
            self._store.verify(held.path, held.sha256)
        except (AlteredObject, OSError) as error:
            log.error("stored object not usable", sop=held.sop_instance_uid, problem=str(error))
            nothing = Dataset()
            nothing.SOPInstanceUID = held.sop_instance_uid
            return nothing
        return dcmread(self._store.path(held.path))

    def _association(self, peer: Peer, held: Sequence[Held], taken: Retrieved) -> dict[str, Any]:
        objects = [
            Outgoing(
                sop_instance_uid=each.sop_instance_uid,
                sop_class_uid=each.sop_class_uid,
                path=self._store.path(each.path),
            )
            for each in held
            if self._store.path(each.path).is_file()
        ]
        contexts = scu.contexts(objects)[:_MOST_CONTEXTS]
        return {
            "ae_title": peer.ae_title,
            "max_pdu": peer.maximum_pdu_bytes,
            "tls_args": scu.tls_of(peer),
            "contexts": [build_context(abstract, syntax) for abstract, syntax in contexts],
            "evt_handlers": [(evt.EVT_CONN_OPEN, no_delay), (evt.EVT_DIMSE_RECV, taken.heard)],
        }

    def _destination(self, ae_title: str) -> Peer | None:
        return next((each for each in self._config.peers.values() if each.ae_title == ae_title), None)


def _prefer_uncompressed(event: evt.Event) -> None:
    """On an association that may retrieve by C-GET: there is one syntax for a context, and most objects fit this."""
    requested = event.assoc.requestor.requested_contexts
    if not any(context.abstract_syntax == GET for context in requested):
        return
    preferred = []
    for context in event.assoc.acceptor.supported_contexts:
        syntaxes = sorted(map(str, context.transfer_syntax), key=lambda each: each not in scu.UNCOMPRESSED)
        fresh = build_context(
            str(context.abstract_syntax), list(syntaxes)
        )  # the listener's own serve every association
        fresh.scu_role, fresh.scp_role = context.scu_role, context.scp_role
        preferred.append(fresh)
    event.assoc.acceptor.supported_contexts = preferred


def _refused(what: str, event: evt.Event, error: NodeError | DatabaseUnavailable) -> Dataset:
    code = error.dimse_status if isinstance(error, NodeError) else OUT_OF_RESOURCES
    log.warning(f"{what} refused", calling_ae_title=_calling(event), status=f"0x{code:04X}", why=str(error))
    return status(code, str(error))


def _caller(event: evt.Event) -> Other:
    return Other("", str(event.assoc.requestor.address), _calling(event))


def _calling(event: evt.Event) -> str:
    return str(event.assoc.requestor.ae_title).strip()
