"""What a caller may ask for, beyond being let in; every refusal is told here."""

from __future__ import annotations

from typing import Any, cast

from pynetdicom import evt

from node import logs
from node.config import Config
from node.dimse.listener import doors_of
from node.errors import NotAuthorized

log = logs.get(__name__)


def demand(config: Config, event: evt.Event, right: str) -> None:
    """Raises NotAuthorized (0x0124, PS3.7 C.5) unless the event's caller may do this. right: as `Caller.may`."""
    calling, address = _who(event)
    if not config.may(calling, address, right):
        log.warning("rights denied", calling_ae_title=calling, address=address, what=right)
        doors_of(event.assoc).denied(calling, address, right)
        raise NotAuthorized(f"{calling} may not {right} here; see callers of the configuration")


def may_move(config: Config, event: evt.Event, to: str) -> bool:
    """Whether the event's caller may have images sent to the AE title `to`."""
    calling, address = _who(event)
    allowed = config.may_move(calling, address, to)
    if not allowed:
        log.warning("rights denied", calling_ae_title=calling, address=address, what="move", to=to)
        doors_of(event.assoc).denied(calling, address, f"move to {to}")
    return allowed


def _who(event: evt.Event) -> tuple[str, str]:
    requestor = event.assoc.requestor
    return str(cast("Any", requestor.primitive).calling_ae_title).strip(), str(requestor.address)
