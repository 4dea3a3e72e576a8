"""Messages that come in: understood, kept, and only then acknowledged; one that comes again is answered the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from node import logs
from node.hl7.acknowledging import acknowledged
from node.hl7.er7 import Message, Unreadable
from node.hl7.said import NotTaken, Said, said
from node.settings_hl7 import Hl7Settings
from storage.database import Database, DatabaseUnavailable
from storage.hl7 import Hl7Record, PatientChange

log = logs.get(__name__)

_ANSWERS_KEPT = timedelta(days=7)
_FORGETTING = timedelta(hours=1)


class Receiving:
    """Answers messages, one at a time of each connection."""

    def __init__(
        self, settings: Hl7Settings, database: Database, changed: Callable[[Database, PatientChange], None]
    ) -> None:
        """changed: called in the transaction that keeps a patient's change, before it is acknowledged."""
        self._settings, self._database, self._changed = settings, database, changed
        self._forgotten_at = datetime.min.replace(tzinfo=UTC)

    def answer(self, content: bytes) -> bytes:
        """The acknowledgement of a message: of what it says everything is kept, or nothing."""
        now = datetime.now(UTC)
        try:
            message = Message(content)
        except Unreadable as error:
            log.warning("HL7 message not understood", why=str(error))
            return acknowledged(None, now, NotTaken(str(error), "100", code="AR")).encode()
        try:
            answer = self._answered(message, hashlib.sha256(content).hexdigest(), now)
            self._forget(now)
        except DatabaseUnavailable as error:
            log.error("HL7 message not kept", kind=_shown(message.kind), problem=str(error))
            answer = acknowledged(message, now, NotTaken("it cannot be kept now; send it again", "207"))
        except Exception:
            log.exception("HL7 message failed", kind=_shown(message.kind))
            answer = acknowledged(message, now, NotTaken("the application failed", "207"))
        return answer.encode()

    def _answered(self, message: Message, sha256: str, now: datetime) -> str:
        sender = f"{message.get('MSH', 3)}|{message.get('MSH', 4)}"[:256]
        identifier = message.control_id
        with self._database.transaction() as session:
            joined = self._database.joining(session)
            record = Hl7Record(joined)
            before = record.answer(sender, identifier[:256], sha256)
            if before is not None:
                log.info("HL7 message came again; answered as before", kind=_shown(message.kind))
                return before
            try:
                found = self._understood(message)
                answer = acknowledged(message, now)
            except NotTaken as fault:
                log.warning("HL7 message refused", kind=_shown(message.kind), code=fault.code, why=str(fault))
                found, answer = Said(), acknowledged(message, now, fault)
            self._keep(joined, record, found, now)
            if identifier:
                record.answered(sender, identifier[:256], sha256, answer, now)
        log.info("HL7 message", kind=_shown(message.kind), orders=len(found.orders), changes=len(found.changes))
        return answer

    def _understood(self, message: Message) -> Said:
        if not message.control_id:
            raise NotTaken("MSH-10, the message's control ID, is missing", "101", "MSH^1^10", "AR")
        if message.get("MSH", 11) not in ("", self._settings.processing_id):
            raise NotTaken(f"MSH-11 is not {self._settings.processing_id}", "202", "MSH^1^11", "AR")
        if not message.get("MSH", 12).startswith("2"):
            raise NotTaken("MSH-12 is no version 2", "203", "MSH^1^12", "AR")
        return said(message, self._settings.urgent_priorities)

    def _keep(self, joined: Database, record: Hl7Record, found: Said, now: datetime) -> None:
        for each in found.orders:
            if each.cancelled:
                record.cancel(each.order)
            else:
                record.order(each.order, now)
        for change in found.changes:
            known = record.studies(change.patient_id, change.issuer_of_patient_id)
            if change.merged or known:  # whoever was never here is nobody's business here
                record.change(change, now)
                self._changed(joined, change)

    def _forget(self, now: datetime) -> None:
        if now - self._forgotten_at > _FORGETTING:
            self._forgotten_at = now
            said_before = now - timedelta(days=self._settings.kept_days)
            Hl7Record(self._database).forget(now - _ANSWERS_KEPT, said_before)


def _shown(kind: str) -> str:
    """A message's type for the log: letters and digits, and not more than a type has."""
    return "".join(each for each in kind if each.isascii() and (each.isalnum() or each == "^"))[:7]
