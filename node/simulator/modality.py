"""A mammography room: sends its exams by C-STORE as they are taken, and may tell what it performed (MPPS)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from pydicom import dcmread

from node.destinations import Outgoing
from node.dimse import mpps_scu, scu
from node.errors import DeliveryError, NodeError
from node.settings import Peer
from node.simulator.exams import MadeImage


class NotTaken(NodeError):
    """The node did not answer success for an image."""


class Modality:
    """One system with its AE title."""

    def __init__(
        self, ae_title: str, node: Peer, on_image: Callable[[], None] = lambda: None, *, performs: bool = False
    ) -> None:
        """performs: a performed procedure step is told of what each `send` takes."""
        self.ae_title = ae_title
        self.steps = 0
        self._node = node
        self._on_image = on_image
        self._performs = performs

    def send(self, images: Sequence[MadeImage]) -> float:
        """Send images on one association; returns when the last was answered (time.monotonic). Raises NotTaken."""
        outgoing = [
            Outgoing(sop_instance_uid=image.sop_instance_uid, sop_class_uid=image.sop_class_uid, path=image.path)
            for image in images
        ]
        if self._performs:
            return self._performed(outgoing)
        return self._stored(outgoing)

    def _performed(self, outgoing: Sequence[Outgoing]) -> float:
        uid = f"2.25.{uuid.uuid4().int}"
        try:
            mpps_scu.begin(self._node, self.ae_title, uid, dcmread(outgoing[0].path, stop_before_pixels=True))
            answered_at = self._stored(outgoing)
            mpps_scu.complete(self._node, self.ae_title, uid, outgoing)
        except DeliveryError as error:
            raise NotTaken(f"{self.ae_title}: performed procedure step: {error}") from error
        self.steps += 1
        return answered_at

    def _stored(self, outgoing: Sequence[Outgoing]) -> float:
        answered_at = time.monotonic()
        for sent in scu.store(outgoing, self._node, self.ae_title):
            answered_at = time.monotonic()
            if sent.error is not None:
                raise NotTaken(f"{self.ae_title}: {sent.sop_instance_uid}: {sent.error}")
            self._on_image()
        return answered_at
