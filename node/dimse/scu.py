"""C-ECHO and C-STORE as a service class user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.status import code_to_category

from node.destinations import Outgoing, Sent
from node.dimse.sockets import no_delay
from node.errors import DeliveryError, PermanentDelivery, RetriableDelivery
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.settings import Peer

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
#: The presentation contexts of a C-ECHO.
VERIFICATION = tuple(("1.2.840.10008.1.1", syntax) for syntax in UNCOMPRESSED)


def echo(peer: Peer, calling_ae_title: str) -> None:
    """C-ECHO. Raises a DeliveryError that says how far it got."""
    with association(peer, calling_ae_title, VERIFICATION) as opened:
        status = opened.send_c_echo()
        error = judge(status)
        if error is not None:
            raise error


def store(objects: Sequence[Outgoing], peer: Peer, calling_ae_title: str) -> Iterator[Sent]:
    """C-STORE objects in order on one association, telling of each as it is answered.

    Each object's own transfer syntax is proposed; an uncompressed one also in the other uncompressed syntaxes.
    """
    waiting = list(objects)
    if not waiting:
        return
    try:
        wanted = _contexts(objects)
        with association(peer, calling_ae_title, wanted) as opened:
            while waiting:
                if not opened.is_established:
                    raise RetriableDelivery("the association ended before this object was sent")
                yield _store_one(opened, waiting[0])
                waiting.pop(0)
    except DeliveryError as error:
        yield from (Sent(sop_instance_uid=item.sop_instance_uid, status=error.status, error=error) for item in waiting)


def judge(status: Any) -> DeliveryError | None:
    """What a DIMSE status means for a delivery (PS3.4 B.2.3): success and warnings are delivered.

    Retriable: no answer, and 0xA7xx out of resources. Permanent: every other failure.
    """
    code = getattr(status, "Status", None)
    if code is None:
        return RetriableDelivery("the peer did not answer, or aborted")
    category = code_to_category(code)
    if category in ("Success", "Warning"):
        return None
    comment = str(getattr(status, "ErrorComment", "") or "")
    message = f"the peer answered 0x{code:04X}{f' ({comment})' if comment else ''}"
    if code >> 8 == 0xA7:
        return RetriableDelivery(f"{message}: it is out of resources", code)
    return PermanentDelivery(message, code)


def _store_one(association: Association, item: Outgoing) -> Sent:
    try:
        status = association.send_c_store(dcmread(item.path))
    except ValueError as problem:  # pynetdicom: no accepted presentation context fits
        refused = PermanentDelivery(f"the peer accepts no presentation context for it: {problem}")
        return Sent(sop_instance_uid=item.sop_instance_uid, error=refused)
    except RuntimeError as problem:
        return Sent(sop_instance_uid=item.sop_instance_uid, error=RetriableDelivery(str(problem)))
    return Sent(sop_instance_uid=item.sop_instance_uid, status=getattr(status, "Status", None), error=judge(status))


def _contexts(objects: Sequence[Outgoing]) -> list[tuple[str, str]]:
    pairs: dict[tuple[str, str], None] = {}
    for item in objects:
        syntax = str(dcmread(item.path, specific_tags=[], stop_before_pixels=True).file_meta.TransferSyntaxUID)
        for each in proposed(syntax):
            pairs[(item.sop_class_uid, each)] = None
    return list(pairs)


def proposed(transfer_syntax_uid: str) -> tuple[str, ...]:
    """The transfer syntaxes in which an object is proposed that is held in this one, each in a context of its own."""
    others = UNCOMPRESSED if transfer_syntax_uid in UNCOMPRESSED else ()
    return tuple(dict.fromkeys((transfer_syntax_uid, *others)))


@contextmanager
def association(peer: Peer, calling_ae_title: str, contexts: Sequence[tuple[str, str]]) -> Iterator[Association]:
    """An association for the length of the block. contexts: abstract and transfer syntax. Raises DeliveryError."""
    ae = AE(calling_ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = peer.connection_timeout_s
    ae.acse_timeout = peer.association_timeout_s
    ae.dimse_timeout = peer.dimse_timeout_s
    ae.network_timeout = peer.network_timeout_s
    opened = ae.associate(
        peer.host,
        peer.port,
        contexts=[build_context(abstract, syntax) for abstract, syntax in contexts],
        ae_title=peer.ae_title,
        max_pdu=peer.maximum_pdu_bytes,
        evt_handlers=[(evt.EVT_CONN_OPEN, no_delay)],
    )
    if not opened.is_established:
        raise _not_established(opened, peer)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def _not_established(association: Association, peer: Peer) -> DeliveryError:
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return RetriableDelivery(f"{where} rejected the association: {answer.reason_str} ({answer.source_str})")
    if answer is not None:
        return PermanentDelivery(f"{where} accepted none of the presentation contexts")
    return RetriableDelivery(f"{where} cannot be reached, or ended the connection")
