"""C-ECHO and C-STORE as a service class provider. The answer is given when the instance is durable, not before."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.association import Association

from node import logs
from node.arriving import Arriving, received
from node.audit.doors import Doors
from node.books import Books, Passage
from node.config import Config
from node.dimse import commitment, listener, mpps, query_scp, rights, ups
from node.dimse.listener import Admission, Listener
from node.dimse.scu import UNCOMPRESSED, Handler, status
from node.dimse.tls import Certificates
from node.errors import NodeError
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.intake import Accepted, Incoming, Outcome
from storage.objects import is_valid_uid

log = logs.get(__name__)

#: The lossless syntaxes of mammography. The acceptor's order decides, and compressed ones are first: a sender that
#: holds compressed images then need not decompress them and send three times the bytes.
TRANSFER_SYNTAXES = [
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]
_VERIFICATION = "1.2.840.10008.1.1"
#: Abstract syntaxes of the other services, which `roles` answer: accepted uncompressed, in either role.
SERVICES = (commitment.SOP_CLASS, query_scp.FIND, query_scp.MOVE, query_scp.GET, mpps.SOP_CLASS, *ups.CLASSES)
SUCCESS = 0x0000
COERCED = 0xB000  # PS3.4 B.2.3: stored, though not as a replacement of what is held
CALLING_NOT_RECOGNIZED = (1, 1, 3)  # PS3.8 9.3.4: rejected-permanent, service-user
LIMIT_EXCEEDED = (2, 3, 2)  # rejected-transient, presentation provider: local-limit-exceeded
_UNLIMITED = (
    1_000_000  # pynetdicom would count connections that asked for nothing yet; `_requested` counts associations
)

# its log of every message is made whether or not anybody reads it, and costs more than the message
_config.LOG_HANDLER_LEVEL = "none"


_ENDINGS = {"EVT_RELEASED": "released", "EVT_ABORTED": "aborted"}
_LOST = "connection lost"


class Accepts(Protocol):
    """What the SCP needs of the intake."""

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> Arriving: ...

    def accept(self, incoming: Incoming) -> Accepted: ...

    def released(self, study_instance_uid: str) -> None: ...


@dataclass(slots=True)
class _Open:
    """An open association: who called, the study it is sending, and what became of what it sent."""

    calling_ae_title: str
    address: str
    passage: Passage
    study_instance_uid: str = ""
    counts: Counter[str] = field(default_factory=Counter)


class Receiver:
    """The node's listening side. roles: what answers the other services that `SERVICES` names."""

    def __init__(
        self,
        config: Config,
        intake: Accepts,
        roles: Iterable[Handler] = (),
        books: Books | None = None,
        doors: Doors | None = None,
    ) -> None:
        """books: of what comes; without, none are kept. doors: is told of who comes."""
        self._config = config
        self._books = books or Books()
        self._doors = doors or Doors()
        self._intake = intake
        self._roles = tuple(roles)
        self._server: Listener | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}

    @property
    def port(self) -> int:
        """The port it listens on, also when the config asked for any."""
        if self._server is None:
            raise RuntimeError("the receiver is not started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        node, network = self._config.node, self._config.network
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_ECHO, _echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._ended),
            (evt.EVT_ABORTED, self._ended),
            (evt.EVT_CONN_CLOSE, self._ended),
            *self._roles,
        ]
        certificates = Certificates(network.tls) if network.tls.is_on else None
        made = _application_entity(self._config).make_server(
            (node.host, node.port),
            evt_handlers=handlers,
            server_class=Listener,
            request_handler=listener.Handler,
            admission=Admission(network, certificates, self._intake.begin, self._left, self._doors),
        )
        self._server = cast("Listener", made)
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        threading.Thread(target=serve, name="dicom listener", daemon=True).start()
        log.info("listening", ae_title=node.ae_title, host=node.host, port=self.port, tls=network.tls.is_on)

    def stop(self) -> None:
        """Stop listening; open associations are aborted, and what was not answered their senders send again."""
        if self._server is None or self._stopped:
            return
        self._stopped = True
        self._server.shutdown()
        for association in self._server.active_associations:
            # pynetdicom cannot abort what has not yet asked for an association; such a thread ends with the process
            if association.is_established:
                association.abort()

    # ------------------------------------------------------------------ events

    def _requested(self, event: evt.Event) -> None:
        association = event.assoc
        calling = str(cast("Any", association.requestor.primitive).calling_ae_title).strip()
        address = str(association.requestor.address)
        if not self._config.admits(calling, address):
            log.warning("association refused: caller not allowed", calling_ae_title=calling, address=address)
            self._doors.refused(calling, address, "caller not allowed")
            _reject(association, CALLING_NOT_RECOGNIZED)
            return
        passage = self._books.passage("C-STORE", association.name, calling, address)
        if not self._has_room(association, _Open(calling, address, passage)):
            log.warning("association refused: too many", calling_ae_title=calling, address=address)
            self._doors.refused(calling, address, "too many are open")
            _reject(association, LIMIT_EXCEEDED)
            return
        self._doors.began(calling, address)

    def _has_room(self, association: Association, new: _Open) -> bool:
        """Count it among the open ones, if it may be: in all, of its caller, and the last ones for new addresses."""
        network = self._config.network
        with self._lock:
            of_caller = sum(each.calling_ae_title == new.calling_ae_title for each in self._open.values())
            known = any(each.address == new.address for each in self._open.values())
            limit = network.maximum_associations - (network.reserved_associations if known else 0)
            if of_caller >= network.maximum_associations_per_caller or len(self._open) >= limit:
                return False
            self._open[id(association)] = new
        return True

    def _store(self, event: evt.Event) -> Dataset:
        request = cast("Any", event.request)
        of = self._open[id(event.assoc)]
        sop_instance_uid = str(request.AffectedSOPInstanceUID)
        about = sop_instance_uid if is_valid_uid(sop_instance_uid) else "(no UID)"
        with logs.about(association=event.assoc.name, sop=about):
            try:
                rights.demand(self._config, event, "store")
                file, encoded = received(request.DataSet)
                incoming = Incoming(
                    encoded=encoded,
                    file=file,
                    transfer_syntax_uid=str(event.context.transfer_syntax),
                    sop_class_uid=str(request.AffectedSOPClassUID),
                    sop_instance_uid=sop_instance_uid,
                    calling_ae_title=of.calling_ae_title,
                    more_to_come=True,
                )
                accepted = self._intake.accept(incoming)
            except NodeError as error:
                of.counts["refused"] += 1
                log.warning("not accepted", status=f"0x{error.dimse_status:04X}", why=str(error))
                of.passage.refused(sop_instance_uid, error.dimse_status, str(error))
                return status(error.dimse_status, str(error))
            except Exception:  # the association's border: the sender is told, and keeps the image
                of.counts["refused"] += 1
                log.exception("not accepted")
                of.passage.refused(sop_instance_uid, 0xC000, "internal error")
                return status(0xC000, "internal error; see the node's log")
            log.info("accepted", outcome=accepted.outcome, study=accepted.study_instance_uid)
        of.counts[accepted.outcome] += 1
        before, of.study_instance_uid = of.study_instance_uid, accepted.study_instance_uid
        if before not in ("", accepted.study_instance_uid):
            self._intake.released(before)  # it has turned to another study
        code = COERCED if accepted.outcome is Outcome.KEPT_ASIDE else SUCCESS
        of.passage.kept(incoming.sop_instance_uid, accepted, code)
        return status(code, "held with other content; this one was kept aside for a person" if code else "")

    def _ended(self, event: evt.Event) -> None:
        self._left(event.assoc, _ENDINGS.get(event.event.name, _LOST))

    def _left(self, association: Association, how: str = _LOST) -> None:
        with self._lock:
            ended = self._open.pop(id(association), None)
        if ended is None:
            return
        counts = {key.replace(" ", "_"): count for key, count in ended.counts.items()}
        log.info("association ended", association=association.name, calling_ae_title=ended.calling_ae_title, **counts)
        ended.passage.ended(how)
        if ended.study_instance_uid:
            self._intake.released(ended.study_instance_uid)


def presentation_contexts(config: Config) -> dict[str, tuple[str, ...]]:
    """Abstract syntax → the transfer syntaxes it is accepted with, the preferred one first."""
    contexts = _application_entity(config).supported_contexts
    return {str(each.abstract_syntax): tuple(map(str, each.transfer_syntax)) for each in contexts}


def _application_entity(config: Config) -> AE:
    ae = AE(config.node.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.require_called_aet = config.require_called_ae_title
    ae.maximum_associations = _UNLIMITED
    ae.maximum_pdu_size = config.network.maximum_pdu_bytes
    ae.acse_timeout = config.network.association_timeout_s
    ae.dimse_timeout = config.network.dimse_timeout_s
    ae.network_timeout = config.network.network_timeout_s
    ae.add_supported_context(_VERIFICATION)
    for uid in SERVICES:
        ae.add_supported_context(uid, UNCOMPRESSED, scu_role=True, scp_role=True)
    for context in AllStoragePresentationContexts:
        # in either role: after a C-GET it is the requestor that stores
        ae.add_supported_context(str(context.abstract_syntax), TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
    return ae


def _reject(association: Association, reason: tuple[int, int, int]) -> None:
    association.acse.send_reject(*reason)
    association.kill()  # waits until the answer is sent; without it the socket closes first


def _echo(_event: evt.Event) -> int:
    return SUCCESS
