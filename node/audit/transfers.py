"""What is told of instances that come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from node.audit import events
from node.audit.auditor import Auditor
from node.audit.events import Other
from storage.ledger import STORED, Transfer

_KEPT = (STORED, "duplicate", "own result")


class Arrivals:
    """Instances that came by C-STORE or STOW-RS, told when their association or request has ended."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    def arrived(self, transfer: Transfer, user: str, study_instance_uid: str, outcomes: Mapping[str, int]) -> None:
        """See `node.books.Arrived`. What was taken and what was kept aside are events of their own (A.5.2)."""
        source = Other(user, transfer.address, transfer.calling_ae_title)
        taken = sum(count for outcome, count in outcomes.items() if outcome in _KEPT)
        aside = sum(outcomes.values()) - taken
        for count, failure in ((taken, ""), (aside, "kept aside: other content under a known SOP Instance UID")):
            if count:
                study = self._auditor.study(study_instance_uid, {"": count})
                self._auditor.tell(events.received(self._auditor.here, source, study, failure))


class Departure:
    """Instances of one study that are sent somewhere: told before the first goes, and when no more does."""

    def __init__(self, auditor: Auditor, study_instance_uid: str, to: Other, asked_by: Other | None = None) -> None:
        """asked_by: whoever wanted them sent; None: this node by itself."""
        self._auditor, self._study, self._to, self._asked_by = auditor, study_instance_uid, to, asked_by
        self._went: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._why = ""

    def begin(self, sop_classes: Iterable[str]) -> None:
        """These are to go."""
        study = self._auditor.study(self._study, Counter(sop_classes))
        self._auditor.tell(events.begin(self._auditor.here, self._to, study, self._asked_by))

    def went(self, sop_class_uid: str) -> None:
        """One did."""
        self._went[sop_class_uid] += 1

    def failed(self, sop_class_uid: str, why: str) -> None:
        """One did not; of several the last reason is told."""
        self._failed[sop_class_uid] += 1
        self._why = why

    def end(self) -> None:
        """No more go. What went and what did not are events of their own (A.5.2)."""
        for counts, failure in ((self._went, ""), (self._failed, self._why or "not sent")):
            if counts:
                study = self._auditor.study(self._study, counts)
                self._auditor.tell(events.sent(self._auditor.here, self._to, study, self._asked_by, failure))
