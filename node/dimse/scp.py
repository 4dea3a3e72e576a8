"""C-ECHO and C-STORE as a service class provider. The answer is given when the instance is durable, not before."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.transport import ThreadedAssociationServer

from node import logs
from node.config import Config
from node.dimse.mpps import MODALITY_PERFORMED_PROCEDURE_STEP
from node.dimse.sockets import no_delay
from node.errors import NodeError
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.intake import Accepted, Incoming, Outcome

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
SUCCESS = 0x0000
COERCED = 0xB000  # PS3.4 B.2.3: stored, though not as a replacement of what is held
CALLING_NOT_RECOGNIZED = (1, 1, 3)  # PS3.8 9.3.4: rejected-permanent, service-user
LIMIT_EXCEEDED = (2, 3, 2)  # rejected-transient, presentation provider: local-limit-exceeded


class Accepts(Protocol):
    """What the SCP needs of the intake."""

    def accept(self, incoming: Incoming) -> Accepted: ...

    def released(self, study_instance_uid: str) -> None: ...


@dataclass(slots=True)
class _Open:
    """An open association: who called, the study it is sending, and what became of what it sent."""

    calling_ae_title: str
    study_instance_uid: str = ""
    counts: Counter[str] = field(default_factory=Counter)


class Receiver:
    """The node's listening side. handlers: of further services, as pynetdicom takes them."""

    def __init__(self, config: Config, intake: Accepts, *, handlers: Sequence[Any] = ()) -> None:
        self._config = config
        self._handlers = handlers
        self._intake = intake
        self._server: ThreadedAssociationServer | None = None
        self._ae: AE | None = None
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
        self._ae = _application_entity(self._config)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, no_delay),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_ECHO, _echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._ended),
            (evt.EVT_ABORTED, self._ended),
            (evt.EVT_CONN_CLOSE, self._ended),
            *self._handlers,
        ]
        address = (self._config.node.host, self._config.node.port)
        self._server = self._ae.start_server(address, block=False, evt_handlers=handlers)
        log.info("listening", ae_title=self._config.node.ae_title, host=address[0], port=self.port)

    def stop(self) -> None:
        """Stop listening; open associations are aborted, and what was not answered their senders send again."""
        if self._ae is None or self._server is None:
            return
        self._server.shutdown()
        for association in self._ae.active_associations:
            # pynetdicom cannot abort what has not yet asked for an association; such a thread ends with the process
            if association.is_established:
                association.abort()
        self._ae = None

    # ------------------------------------------------------------------ events

    def _requested(self, event: evt.Event) -> None:
        association = event.assoc
        calling = str(cast("Any", association.requestor.primitive).calling_ae_title).strip()
        address = str(association.requestor.address)
        if not self._config.admits(calling, address):
            log.warning("association refused: caller not allowed", calling_ae_title=calling, address=address)
            _reject(association, CALLING_NOT_RECOGNIZED)
            return
        with self._lock:
            already = sum(each.calling_ae_title == calling for each in self._open.values())
            refused = already >= self._config.network.maximum_associations_per_caller
            if not refused:
                self._open[id(association)] = _Open(calling)
        if refused:
            log.warning("association refused: too many of this caller", calling_ae_title=calling)
            _reject(association, LIMIT_EXCEEDED)

    def _store(self, event: evt.Event) -> Dataset:
        request = cast("Any", event.request)
        of = self._open[id(event.assoc)]
        with logs.about(association=event.assoc.name, sop=str(request.AffectedSOPInstanceUID)):
            try:
                incoming = Incoming(
                    encoded=request.DataSet.getbuffer(),
                    transfer_syntax_uid=str(event.context.transfer_syntax),
                    sop_class_uid=str(request.AffectedSOPClassUID),
                    sop_instance_uid=str(request.AffectedSOPInstanceUID),
                    calling_ae_title=of.calling_ae_title,
                    more_to_come=True,
                )
                accepted = self._intake.accept(incoming)
            except NodeError as error:
                of.counts["refused"] += 1
                log.warning("not accepted", status=f"0x{error.dimse_status:04X}", why=str(error))
                return _status(error.dimse_status, str(error))
            except Exception:  # the association's border: the sender is told, and keeps the image
                of.counts["refused"] += 1
                log.exception("not accepted")
                return _status(0xC000, "internal error; see the node's log")
            log.info("accepted", outcome=accepted.outcome, study=accepted.study_instance_uid)
        of.counts[accepted.outcome] += 1
        before, of.study_instance_uid = of.study_instance_uid, accepted.study_instance_uid
        if before not in ("", accepted.study_instance_uid):
            self._intake.released(before)  # it has turned to another study
        if accepted.outcome is Outcome.KEPT_ASIDE:
            return _status(COERCED, "held with other content; this one was kept aside for a person")
        return _status(SUCCESS)

    def _ended(self, event: evt.Event) -> None:
        with self._lock:
            ended = self._open.pop(id(event.assoc), None)
        if ended is None:
            return
        counts = {key.replace(" ", "_"): count for key, count in ended.counts.items()}
        log.info("association ended", association=event.assoc.name, calling_ae_title=ended.calling_ae_title, **counts)
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
    ae.maximum_associations = config.network.maximum_associations
    ae.maximum_pdu_size = config.network.maximum_pdu_bytes
    ae.acse_timeout = config.network.association_timeout_s
    ae.dimse_timeout = config.network.dimse_timeout_s
    ae.network_timeout = config.network.network_timeout_s
    ae.add_supported_context(_VERIFICATION)
    ae.add_supported_context(MODALITY_PERFORMED_PROCEDURE_STEP)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), TRANSFER_SYNTAXES)
    return ae


def _reject(association: Association, reason: tuple[int, int, int]) -> None:
    association.acse.send_reject(*reason)
    association.kill()  # waits until the answer is sent; without it the socket closes first


def _echo(_event: evt.Event) -> int:
    return SUCCESS


def _status(code: int, comment: str = "") -> Dataset:
    """A status with its Error Comment (0000,0902), at most 64 characters of the default repertoire."""
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return status
