"""HL7 v2: one ORU^R01 for each result, over MLLP.

The message is made from the measurement report's file, and its MSH-10 from the report's UID and the destination's
name: what is sent again is the same message, byte for byte, and a receiver that knows MSH-10 takes it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from node.destinations import Outgoing, Sent, Target, _report
from node.errors import DeliveryError, PermanentDelivery
from node.hl7 import acknowledged, mllp
from node.hl7.oru import control_id, oru
from node.settings_hl7 import Hl7Receiver

MADE_FROM = "measurement_sr"


def send(objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
    """Each report as a message on a connection of its own, delivered when the receiver has acknowledged it."""
    receiver = target.destination.hl7
    for item in objects:
        error: DeliveryError | None
        if receiver is None:
            error = PermanentDelivery(f"destinations.{target.name}.hl7: there is no receiver to send to")
        else:
            error = _sent(item, receiver, target)
        yield Sent(sop_instance_uid=item.sop_instance_uid, error=error)


def _sent(item: Outgoing, receiver: Hl7Receiver, target: Target) -> DeliveryError | None:
    identifier = control_id(item.sop_instance_uid, target.name)
    try:
        report, result = _report.read(item)
        content = oru(report, result, receiver, identifier, target.destination.viewer_url)
        answer = mllp.line(receiver).exchange(content, identifier)
    except DeliveryError as error:
        return error
    return acknowledged.judged(answer, _report.private(report))
