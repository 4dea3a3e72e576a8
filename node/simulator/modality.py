"""A mammography room: sends its exams by C-STORE, one after the other, as they are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from node.destinations import Outgoing
from node.dimse import scu
from node.errors import NodeError
from node.settings import Peer
from node.simulator.exams import MadeImage


class NotTaken(NodeError):
    """The node did not answer success for an image."""


class Modality:
    """One system with its AE title."""

    def __init__(self, ae_title: str, node: Peer, on_image: Callable[[], None] = lambda: None) -> None:
        self.ae_title = ae_title
        self._node = node
        self._on_image = on_image

    def send(self, images: Sequence[MadeImage]) -> float:
        """Send images on one association; returns when the last was answered (time.monotonic). Raises NotTaken."""
        outgoing = [
            Outgoing(sop_instance_uid=image.sop_instance_uid, sop_class_uid=image.sop_class_uid, path=image.path)
            for image in images
        ]
        answered_at = time.monotonic()
        for sent in scu.store(outgoing, self._node, self.ae_title):
            answered_at = time.monotonic()
            if sent.error is not None:
                raise NotTaken(f"{self.ae_title}: {sent.sop_instance_uid}: {sent.error}")
            self._on_image()
        return answered_at
