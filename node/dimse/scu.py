"""C-ECHO and C-STORE as a service class user."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context, build_role
from pynetdicom.status import code_to_category

from node.destinations import Outgoing, Sent
from node.dimse import tls
from node.dimse.sockets import no_delay
from node.errors import ConfigError, DeliveryError, PermanentDelivery, RetriableDelivery
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.settings import Peer

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
#: An event of pynetdicom and what is called when it happens.
Handler = tuple[Any, Callable[[evt.Event], Any]]
#: The presentation contexts of a C-ECHO.
VERIFICATION = tuple(("1.2.840.10008.1.1", syntax) for syntax in UNCOMPRESSED)


def echo(peer: Peer, calling_ae_title: str) -> None:
    """C-ECHO. Raises a DeliveryError that says how far it got."""
    with associated(peer, calling_ae_title, VERIFICATION) as association:
        error = judge(association.send_c_echo())
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
        wanted = contexts(objects)
        with associated(peer, calling_ae_title, wanted) as association:
            while waiting:
                if not association.is_established:
                    raise RetriableDelivery("the association ended before this object was sent")
                yield _store_one(association, waiting[0])
                waiting.pop(0)
    except DeliveryError as error:
        yield from (Sent(sop_instance_uid=item.sop_instance_uid, status=error.status, error=error) for item in waiting)


def judge(answer: Any) -> DeliveryError | None:
    """What a DIMSE status means for a delivery (PS3.4 B.2.3): success and warnings are delivered.

    Retriable: no answer, and 0xA7xx out of resources. Permanent: every other failure.
    """
    code = getattr(answer, "Status", None)
    if code is None:
        return RetriableDelivery("the peer did not answer, or aborted")
    category = code_to_category(code)
    if category in ("Success", "Warning"):
        return None
    comment = str(getattr(answer, "ErrorComment", "") or "")
    message = f"the peer answered 0x{code:04X}{f' ({comment})' if comment else ''}"
    if code >> 8 == 0xA7:
        return RetriableDelivery(f"{message}: it is out of resources", code)
    return PermanentDelivery(message, code)


def status(code: int, comment: str = "") -> Dataset:
    """A status with its Error Comment (0000,0902), at most 64 characters of the default repertoire."""
    made = Dataset()
    made.Status = code
    if comment:
        made.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return made


def _store_one(association: Association, item: Outgoing) -> Sent:
    try:
        answer = association.send_c_store(dcmread(item.path))
    except ValueError as problem:  # pynetdicom: no accepted presentation context fits
        refused = PermanentDelivery(f"the peer accepts no presentation context for it: {problem}")
        return Sent(sop_instance_uid=item.sop_instance_uid, error=refused)
    except RuntimeError as problem:
        return Sent(sop_instance_uid=item.sop_instance_uid, error=RetriableDelivery(str(problem)))
    return Sent(sop_instance_uid=item.sop_instance_uid, status=getattr(answer, "Status", None), error=judge(answer))


def contexts(objects: Sequence[Outgoing]) -> list[tuple[str, str]]:
    """SOP class and transfer syntax of every presentation context that these objects need."""
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


def called(send: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a call of pynetdicom returns. Raises RetriableDelivery when the association ended, or no context fits."""
    try:
        return send(*arguments, **named)
    except (RuntimeError, ValueError) as problem:
        raise RetriableDelivery(f"it cannot be sent: {problem}") from problem


@contextmanager
def associated(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[tuple[str, str]],
    *,
    handlers: Sequence[Handler] = (),
    roles: Sequence[str] = (),
) -> Iterator[Association]:
    """An association for the length of the block. roles: abstract syntaxes of which we are the provider.

    Raises DeliveryError.
    """
    ae = AE(calling_ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = peer.connection_timeout_s
    ae.acse_timeout = peer.association_timeout_s
    ae.dimse_timeout = peer.dimse_timeout_s
    ae.network_timeout = peer.network_timeout_s
    association = ae.associate(
        peer.host,
        peer.port,
        contexts=[build_context(abstract, syntax) for abstract, syntax in contexts],
        ae_title=peer.ae_title,
        max_pdu=peer.maximum_pdu_bytes,
        tls_args=tls_of(peer),
        evt_handlers=[(evt.EVT_CONN_OPEN, no_delay), *handlers],
        ext_neg=[build_role(uid, scu_role=True, scp_role=True) for uid in roles],
    )
    if not association.is_established:
        raise _not_established(association, peer)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def tls_of(peer: Peer) -> tuple[ssl.SSLContext, str] | None:
    """How pynetdicom encrypts an association to the peer, of the files as they are now. Raises RetriableDelivery."""
    if peer.tls is None:
        return None
    try:
        return tls.client_context(peer.tls), peer.tls.certificate_name or peer.host
    except ConfigError as error:
        raise RetriableDelivery(f"{peer.ae_title}: tls: {error}") from error


def _not_established(association: Association, peer: Peer) -> DeliveryError:
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return RetriableDelivery(f"{where} rejected the association: {answer.reason_str} ({answer.source_str})")
    if answer is not None:
        return PermanentDelivery(f"{where} accepted none of the presentation contexts")
    how = ", or one of the two does not trust the other's certificate" if peer.tls is not None else ""
    return RetriableDelivery(f"{where} cannot be reached, or ended the connection{how}")
