"""A manager of work items: it pushes one for each exam to the node's worklist, and looks how each ends (PS3.4 CC)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.dimse import ups_scu
from node.errors import NodeError
from node.settings import Peer
from node.simulator import ris
from node.simulator.exams import MadeExam
from node.ups.attributes import Attributes, items, value
from node.ups.states import SUCCESS
from storage.ups import State

_LOOK_EVERY_S = 1.0
_CREATED = (SUCCESS, 0xB300)


class NotPushed(NodeError):
    """The node did not take a work item."""


@dataclass(slots=True)
class Pushed:
    """A work item. outputs: how many objects it names in the end; why: of a cancellation."""

    exam: MadeExam
    uid: str
    state: str = str(State.SCHEDULED)
    outputs: int = 0
    why: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it changes any more."""
        return State(self.state).is_final


def push(node: Peer, ae_title: str, exams: Sequence[MadeExam]) -> list[Pushed]:
    """N-CREATE an item for each exam. Raises DeliveryError, NotPushed."""
    pushed = [Pushed(exam, f"2.25.{uuid.uuid4().int}") for exam in exams]
    with ups_scu.manager(node, ae_title, ups_scu.PUSHING) as worklist:
        for each in pushed:
            status = worklist.push(each.uid, ris.work_item(each.exam))
            if status not in _CREATED:
                raise NotPushed(f"the node answered 0x{status:04X} to a work item")
    return pushed


def follow(
    node: Peer, ae_title: str, pushed: Sequence[Pushed], timeout_s: float, on_look: Callable[[], None] = lambda: None
) -> None:
    """N-GET each until all have ended, or it takes too long. Raises DeliveryError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not all(each.has_ended for each in pushed):
        with ups_scu.manager(node, ae_title, ups_scu.PUSHING) as worklist:
            for each in pushed:
                if not each.has_ended:
                    _note(each, worklist.item(each.uid)[1])
        on_look()
        time.sleep(_LOOK_EVERY_S)


def _note(pushed: Pushed, item: Attributes) -> None:
    pushed.state = value(item, "ProcedureStepState") or pushed.state
    performed = ("UnifiedProcedureStepPerformedProcedureSequence", "OutputInformationSequence", "ReferencedSOPSequence")
    pushed.outputs = sum(1 for _ in items(item, *performed))
    progress = next(items(item, "ProcedureStepProgressInformationSequence"), {})
    pushed.why = value(progress, "ReasonForCancellation")
