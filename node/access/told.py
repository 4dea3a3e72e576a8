"""What is told of sign-ins: one line of the log each. Whoever keeps an audit trail takes the place of `Logged`."""

from __future__ import annotations

from typing import Protocol

from node import logs
from node.access.people import Person

log = logs.get(__name__)


class Told(Protocol):
    """Hears of what happens at the door. address: of the one who asks; what: method and route, without UIDs."""

    def signed_in(self, person: Person, address: str) -> None:
        """Somebody proved who they are, for the first time in a while."""

    def refused(self, address: str, why: str) -> None:
        """Somebody could not prove it."""

    def rights_denied(self, person: Person, address: str, what: str) -> None:
        """Somebody asked for what their role may not do."""


class Logged:
    """Into the log. What was typed as a name is not told: it may be a password."""

    def signed_in(self, person: Person, address: str) -> None:
        """See `Told`."""
        log.info("signed in", account=person.name, role=person.role, by=person.by, address=address)

    def refused(self, address: str, why: str) -> None:
        """See `Told`."""
        log.warning("sign-in refused", address=address, why=why)

    def rights_denied(self, person: Person, address: str, what: str) -> None:
        """See `Told`."""
        log.warning("rights denied", account=person.name, role=person.role, address=address, what=what)
