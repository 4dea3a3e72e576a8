"""STOW-RS to a DICOMweb server (PS3.18 10.5).

One object per request: each is judged by itself, and one that a server cannot take keeps no other back. The file's
bytes are sent as they were stored. dicomweb-client is not used for it: it encodes data sets anew, takes an answer
whose media type has a parameter for one that says nothing, and so for success, and loses what a 409 says.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from node.destinations import Outgoing, Sent, Target
from node.destinations._stow_answer import MEDIA_TYPES, judge
from node.dicomweb import Connection
from node.errors import ConfigError, DeliveryError, PermanentDelivery, RetriableDelivery


def send(objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
    """Each object in a request of its own, all on one connection where the server keeps it."""
    server = target.destination.server
    if server is None:
        yield from _unsent(objects, PermanentDelivery(f"destinations.{target.name}.server: there is no server"))
        return
    try:
        connection = Connection(server)
    except ConfigError as error:
        yield from _unsent(objects, RetriableDelivery(f"destinations.{target.name}.server: {error}"))
        return
    with connection:
        yield from (_sent(connection, item) for item in objects)


def _unsent(objects: Sequence[Outgoing], error: DeliveryError) -> Iterator[Sent]:
    yield from (Sent(sop_instance_uid=item.sop_instance_uid, error=error) for item in objects)


def _sent(connection: Connection, item: Outgoing) -> Sent:
    uid = item.sop_instance_uid
    try:
        answer = connection.ask("POST", "/studies", *_request(item))
        verdict = judge(answer.status, answer.content, uid)
        if verdict.perhaps_there and _is_there(connection, uid):
            return Sent(sop_instance_uid=uid, status=verdict.status)
    except DeliveryError as error:
        return Sent(sop_instance_uid=uid, error=error)
    return Sent(sop_instance_uid=uid, status=verdict.status, error=verdict.error)


def _request(item: Outgoing) -> tuple[dict[str, str], bytes]:
    """Headers and body with the file as the one part of the message."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join((head, item.path.read_bytes(), f"\r\n--{boundary}--\r\n".encode()))
    media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return {"Accept": MEDIA_TYPES, "Content-Type": media_type}, body


def _is_there(connection: Connection, sop_instance_uid: str) -> bool:
    """Whether the server finds the object (QIDO-RS): our UIDs are derived, so the same UID is the same object."""
    path = f"/instances?SOPInstanceUID={sop_instance_uid}&limit=1"
    answer = connection.ask("GET", path, {"Accept": "application/dicom+json"})
    return answer.status == 200 and sop_instance_uid.encode() in answer.content
