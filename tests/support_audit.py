"""The audit trail as somebody reads it who had no part in writing it: lxml, against the standard's schema."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from node.audit.trail import Trail
from node.audit.verify import records
from tests.support import REPOSITORY

SCHEMA = REPOSITORY / "tests" / "unit" / "audit_message.rng"


@lru_cache
def schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(SCHEMA))


@dataclass(frozen=True)
class Message:
    """An audit message that the schema takes."""

    root: Any

    @classmethod
    def of(cls, text: str | bytes) -> Message:
        root = etree.fromstring(text.encode() if isinstance(text, str) else text)
        assert schema().validate(root), f"{schema().error_log}\n{etree.tostring(root, pretty_print=True).decode()}"
        return cls(root)

    @property
    def event(self) -> str:
        """The event's meaning, and its type's where it has one."""
        return ": ".join(each.get("originalText") for each in self.root.xpath("EventIdentification/*[@originalText]"))

    @property
    def outcome(self) -> int:
        return int(self.root.find("EventIdentification").get("EventOutcomeIndicator"))

    @property
    def text(self) -> str:
        return str(self.root.findtext("EventIdentification/EventOutcomeDescription", ""))

    @property
    def who(self) -> list[str]:
        return [each.get("UserID") for each in self.root.iterfind("ActiveParticipant")]

    def role(self, meaning: str) -> Any:
        """The participant with this role."""
        return self.root.xpath(f"ActiveParticipant[RoleIDCode/@originalText='{meaning}']")[0]

    @property
    def requestor(self) -> str:
        found = self.root.xpath("ActiveParticipant[@UserIsRequestor='true']/@UserID")
        assert len(found) <= 1, "PS3.15 A.5.2: one requestor at most"
        return str(found[0]) if found else ""

    @property
    def about(self) -> list[str]:
        return [each.get("ParticipantObjectID") for each in self.root.iterfind("ParticipantObjectIdentification")]

    @property
    def query(self) -> bytes:
        return base64.b64decode(self.root.findtext(".//ParticipantObjectQuery"))

    def every_detail(self) -> str:
        """What is base64 in it, as text."""
        coded = [*self.root.xpath("//ParticipantObjectQuery/text()"), *self.root.xpath("//@value")]
        return " ".join(base64.b64decode(each).decode("utf-8", "replace") for each in coded)

    @property
    def instances(self) -> int:
        return sum(int(each) for each in self.root.xpath(".//SOPClass/@NumberOfInstances"))


def trail_of(folder: Path) -> list[Message]:
    """Every message of a trail, oldest first."""
    return [Message.of(record.message) for record in records(Trail(folder, 10**9))]


def told(folder: Path, event: str) -> list[Message]:
    """Those whose event, or event and type, begins so."""
    return [each for each in trail_of(folder) if each.event.startswith(event)]
