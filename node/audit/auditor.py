"""What the rest of the node tells the audit trail with. It never raises: what a node does for patients goes on.

Records that could not be written are counted; as soon as one can be, the trail says how many are missing, and since
when. The same kind of refusal from the same address is written a few times a minute; then the next one that is written
says how many were not.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from node import logs
from node.access.limits import Limit
from node.audit import codes, events
from node.audit.codes import Outcome
from node.audit.events import Here, Other, StudyOf
from node.audit.messages import Event, Source, encoded
from node.audit.trail import Trail
from node.config import Config
from node.errors import ConfigError
from node.pseudonyms import Pseudonyms
from storage.database import DatabaseUnavailable
from storage.index import Index

log = logs.get(__name__)

WITHHELD = "withheld"
#: Of what anybody can cause without being let in: so many of an address in a minute.
_REFUSALS, _REFUSALS_S = 10, 60.0


class Auditor:
    """Writes events to the trail of a configuration."""

    def __init__(self, config: Config, index: Index | None = None) -> None:
        """index: where it is looked up whose a study is; without, nothing of patients can be told."""
        settings, node = config.audit, config.node
        self._settings = settings
        self._index = index
        self._key_file = config.storage.pseudonym_key_file
        self.here = Here(node.ae_title, socket.gethostname(), os.getpid())
        self.trail = Trail(settings.folder, settings.file_bytes)
        self._source = Source(settings.source_id or f"{node.ae_title}@{self.here.machine}", settings.site)
        self._limit = Limit(_REFUSALS, _REFUSALS_S)
        self._held_back: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.lost = self.lost_in_all = 0
        self._lost_since = ""

    def tell(self, event: Event) -> None:
        """Write an event; durable on return, or counted as lost."""
        with self._lock:
            try:
                if self.lost:
                    self.trail.append(encoded(self._missing(), self._source))
                    self.lost = 0
                self.trail.append(encoded(event, self._source))
            except OSError as error:
                if not self.lost:
                    self._lost_since = datetime.now(UTC).isoformat(timespec="seconds")
                self.lost += 1
                self.lost_in_all += 1
                log.error("audit record not written", about=event.id.meaning, problem=str(error), lost=self.lost)

    def refused(self, address: str, what: codes.Code, text: str, by: Other | None = None) -> None:
        """Write that something was refused to whoever is at an address (a security alert), not too often."""
        key = f"{what.value} {address}"
        with self._lock:
            if self._limit.wait_s(key):
                self._held_back[key] += 1
                return
            self._limit.take(key)
            before = self._held_back.pop(key, 0)
        text += f" ({before} more of {address} before it are not told each)" if before else ""
        self.tell(events.alert(self.here, what, text, at_node=address, by=by, outcome=Outcome.MINOR))

    def patient(self, patient_id: str) -> str:
        """How the trail calls a patient, as `audit.patients` says; by Patient ID alone, as PS3.15 A.5.3 does."""
        if not patient_id or self._settings.patients == "none":
            return WITHHELD if patient_id else ""
        if self._settings.patients == "plain":
            return patient_id
        try:
            return f"hmac-sha256:{Pseudonyms(self._key_file).in_audit(patient_id)}"
        except ConfigError as error:
            log.error("no pseudonyms for the audit trail", problem=str(error))
            return WITHHELD

    def study(self, study_instance_uid: str, sop_classes: Mapping[str, int] | None = None) -> StudyOf:
        """A study as events name it."""
        found = None
        try:
            found = self._index.study(study_instance_uid) if self._index is not None else None
        except DatabaseUnavailable as error:
            log.warning("the audit trail does not tell whose a study is", problem=str(error))
        patient = self.patient(found.patient_id) if found is not None else ""
        return StudyOf(study_instance_uid=study_instance_uid, patient_id=patient, sop_classes=sop_classes or {})

    def _missing(self) -> Event:
        text = f"{self.lost} audit records since {self._lost_since} could not be written and are missing here"
        about = self._settings.folder.absolute().as_uri()
        return events.alert(self.here, codes.RECORDING_STOPPED, text, about=about, outcome=Outcome.SERIOUS)


def this_user() -> Other:
    """Whoever runs this process, as the machine knows them (PS3.15 A.5.2.1: login name and domain)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user ID without a name, as in a container
        name = str(os.getuid())
    return Other(f"{name}@{socket.gethostname()}")
