"""An association takes one handler for each kind of request: this shares the requests out by SOP class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pynetdicom import evt

from node.dimse.scu import Handler

Handle = Callable[[evt.Event], Any]


def shared(classes: Collection[str], theirs: Sequence[Handler], others: Sequence[Handler]) -> list[Handler]:
    """`others`, where requests in presentation contexts of `classes` go to `theirs` instead."""
    own, rest = dict(theirs), dict(others)
    both = {each: _either(classes, own[each], rest[each]) for each in own if each in rest}
    kept = [each for each in others if each[0] not in both]
    return [*kept, *((each, both.get(each, handle)) for each, handle in theirs)]


def _either(classes: Collection[str], theirs: Handle, others: Handle) -> Handle:
    def handle(event: evt.Event) -> Any:
        return (theirs if str(event.context.abstract_syntax) in classes else others)(event)

    return handle
