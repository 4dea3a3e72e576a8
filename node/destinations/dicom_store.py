"""C-STORE to a peer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from node.destinations import Outgoing, Sent, Target
from node.dimse import scu
from node.errors import PermanentDelivery


def send(objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
    """All objects on one association; each answered for itself."""
    if target.peer is None:
        error = PermanentDelivery(f"destinations.{target.name}.peer: there is no peer to send to")
        yield from (Sent(sop_instance_uid=item.sop_instance_uid, error=error) for item in objects)
        return
    yield from scu.store(objects, target.peer, target.calling_ae_title)
