"""Counts what a C-MOVE or C-GET of others took away, for the audit trail.

pynetdicom makes the C-STORE suboperations itself; how each was answered is heard on the association they go over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pynetdicom import evt
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.status import code_to_category

from node.audit.auditor import Auditor
from node.audit.events import Other
from node.audit.transfers import Departure
from storage.records import Held

_TAKEN = ("Success", "Warning")


class Retrieved:
    """One retrieval."""

    def __init__(self, auditor: Auditor | None, held: Sequence[Held], to: Other, asked_by: Other) -> None:
        """held: what was asked for."""
        self._left = {each.sop_instance_uid: each for each in held}
        by_study = defaultdict(list)
        for each in held:
            by_study[each.study_instance_uid].append(each.sop_class_uid)
        self._departures = {}
        if auditor is not None:
            self._departures = {study: Departure(auditor, study, to, asked_by) for study in by_study}
        for study, departure in self._departures.items():
            departure.begin(by_study[study])

    def heard(self, event: evt.Event) -> None:
        """A message came from whoever the instances go to (EVT_DIMSE_RECV)."""
        if not self._departures or not isinstance(event.message, C_STORE_RSP):
            return
        command = event.message.command_set
        each = self._left.pop(str(command.get("AffectedSOPInstanceUID", "")), None)
        if each is None:
            return
        code = int(command.get("Status", 0xC000))
        departure = self._departures[each.study_instance_uid]
        if code_to_category(code) in _TAKEN:
            departure.went(each.sop_class_uid)
        else:
            departure.failed(each.sop_class_uid, f"answered 0x{code:04X}")

    @contextmanager
    def told(self) -> Iterator[None]:
        """When the block ends, for whatever reason, what went and what did not is told."""
        try:
            yield
        finally:
            for each in self._left.values():
                if each.study_instance_uid in self._departures:
                    self._departures[each.study_instance_uid].failed(each.sop_class_uid, "not sent, or not answered")
            for departure in self._departures.values():
                departure.end()
