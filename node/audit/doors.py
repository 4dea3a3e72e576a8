"""What is told of those who come to this node: DICOM applications at its port, people and programs at the web side."""

from __future__ import annotations

from node.access.people import Person
from node.access.told import Logged
from node.audit import codes, events
from node.audit.auditor import Auditor
from node.audit.events import Other


class Doors:
    """The DICOM port. Without an auditor nothing is told."""

    def __init__(self, auditor: Auditor | None = None, *, every: bool = False) -> None:
        """every: also of those who are let in, see `audit.associations`."""
        self._auditor, self._every = auditor, every

    def began(self, calling_ae_title: str, address: str) -> None:
        """An association was let in."""
        if self._auditor is not None and self._every:
            who, here = Other("", address, calling_ae_title), self._auditor.here
            text = "association begun"
            self._auditor.tell(events.alert(here, codes.NODE_AUTHENTICATION, text, at_node=address, by=who))

    def refused(self, calling_ae_title: str, address: str, why: str) -> None:
        """An association was not let in."""
        self._tell(
            codes.NODE_AUTHENTICATION, address, f"association refused: {why}", Other("", address, calling_ae_title)
        )

    def failed(self, address: str, why: str) -> None:
        """TLS was not agreed on."""
        self._tell(codes.NODE_AUTHENTICATION, address, f"TLS failed: {why}")

    def denied(self, calling_ae_title: str, address: str, what: str) -> None:
        """A caller asked for what `callers` does not let it do."""
        self._tell(codes.RESTRICTED_FUNCTION, address, f"not allowed to {what}", Other("", address, calling_ae_title))

    def _tell(self, what: codes.Code, address: str, text: str, by: Other | None = None) -> None:
        if self._auditor is not None:
            self._auditor.refused(address, what, text, by)


class SignIns(Logged):
    """The web side: into the log, and into the audit trail. Who only went away is not noticed: HTTP has no sign-out."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    def signed_in(self, person: Person, address: str) -> None:
        """See `Told`."""
        super().signed_in(person, address)
        self._auditor.tell(events.sign_in(self._auditor.here, who(person, address)))

    def refused(self, address: str, why: str) -> None:
        """See `Told`; the limit on failed sign-ins bounds how often."""
        super().refused(address, why)
        self._auditor.tell(events.sign_in(self._auditor.here, Other("", address), why))

    def rights_denied(self, person: Person, address: str, what: str) -> None:
        """See `Told`."""
        super().rights_denied(person, address, what)
        text = f"role {person.role} may not {what}"
        self._auditor.refused(address, codes.RESTRICTED_FUNCTION, text, who(person, address))


def who(person: Person | None, address: str) -> Other:
    """Who asks at the web side; None where no sign-in was needed."""
    return Other(person.name, address, name=f"by {person.by}") if person is not None else Other("", address)
