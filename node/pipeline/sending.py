"""Sends a study's objects to a destination of the configuration, and tells the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from node import delivery
from node.audit.events import Other
from node.audit.transfers import Departure
from node.config import Config
from node.destinations import Outgoing, Sent
from node.pipeline.rooms import Rooms


def send(rooms: Rooms, study_instance_uid: str, destination: str, objects: Sequence[Outgoing]) -> Iterator[Sent]:
    """See `node.delivery.send`."""
    if not objects:
        return
    classes = {each.sop_instance_uid: each.sop_class_uid for each in objects}
    departure = Departure(rooms.audit, study_instance_uid, other_end(rooms.config, destination))
    departure.begin(classes.values())
    try:
        for sent in delivery.send(rooms.config, destination, objects):
            sop_class_uid = classes.pop(sent.sop_instance_uid, "")
            if sent.error is None:
                departure.went(sop_class_uid)
            else:
                departure.failed(sop_class_uid, str(sent.error))
            yield sent
    finally:
        for sop_class_uid in classes.values():
            departure.failed(sop_class_uid, "not tried any more")
        departure.end()


def other_end(config: Config, destination: str) -> Other:
    """Who takes what is sent there, as the audit trail names them."""
    settings = config.destinations[destination]
    if settings.peer is not None:
        peer = config.peers[settings.peer]
        return Other("", peer.host, peer.ae_title, name=destination)
    if settings.server is not None:
        return Other(settings.server.url, urlsplit(settings.server.url).hostname or "", name=destination)
    if settings.hl7 is not None:
        return Other(f"mllp://{settings.hl7.host}:{settings.hl7.port}", settings.hl7.host, name=destination)
    return Other(f"folder {settings.folder}", name=destination)
