"""Keeps the ledger's books: one `Passage` for each association or request, told of every instance that comes with it.

What was refused is written at once, for it is nowhere else. What was kept is in the index too, so its lines wait for a
few more or for the end; a crash then costs some of these lines, and no instance is the less accounted for.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from node import logs
from storage.database import DatabaseUnavailable
from storage.ledger import REFUSED, STORED, Item, Ledger, Transfer
from storage.objects import is_valid_uid

log = logs.get(__name__)

_TOGETHER = 64  # lines
_MOST_WAITING = 10_000  # of one passage while the database does not answer
#: How a transfer ends of which the node did not see the end.
NODE_ENDED = "the node ended"
Count = Callable[[str, str], None]
#: Called with a study's UID and how many instances of it came, by what became of them; of a passage.
Arrival = Callable[[str, Mapping[str, int]], None]
#: The same for all passages: which one, and who signed in for it.
Arrived = Callable[[Transfer, str, str, Mapping[str, int]], None]


class Accepted(Protocol):
    """What the intake answers: see `node.intake.Accepted`."""

    @property
    def outcome(self) -> str: ...

    @property
    def study_instance_uid(self) -> str: ...


class Passage:
    """One association or request. Its end may come from another thread, also while an instance is being kept."""

    def __init__(self, ledger: Ledger | None, transfer: Transfer, count: Count, arrived: Arrival) -> None:
        self._ledger = ledger
        self._transfer = transfer
        self._count, self._arrived = count, arrived
        self._came: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lock = threading.Lock()
        self._number: int | None = None
        self._over = False
        self._waiting: list[Item] = []

    def kept(self, sop_instance_uid: str, accepted: Accepted, status: int) -> None:
        """An instance was accepted, whatever became of it."""
        why = "" if accepted.outcome == STORED else accepted.outcome
        with self._lock:
            self._note(sop_instance_uid, accepted.study_instance_uid, str(accepted.outcome), status, why)
            if self._number is None or self._over or len(self._waiting) >= _TOGETHER:
                self._write()
            self._came[accepted.study_instance_uid][str(accepted.outcome)] += 1
            over = self._over
        if over:
            self._tell()

    def refused(self, sop_instance_uid: str, status: int, why: str) -> None:
        """An instance was not accepted; `why` holds nothing of the patient."""
        with self._lock:
            self._note(sop_instance_uid, "", REFUSED, status, why)
            self._write()

    def ended(self, ending: str) -> None:
        """Nothing more comes with it."""
        self._end(ending)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            came, self._came = self._came, defaultdict(Counter)
        for study, outcomes in came.items():
            self._arrived(study, outcomes)

    def _end(self, ending: str) -> None:
        with self._lock:
            self._over = True
            if self._number is None and not self._waiting:
                return  # it brought nothing
            self._write()
            if self._number is not None and self._ledger is not None:
                try:
                    self._ledger.end(self._number, datetime.now(UTC), ending)
                except DatabaseUnavailable as error:
                    log.warning("ledger not written", name=self._transfer.name, problem=str(error))
            if self._waiting:
                log.error("lines of the ledger are lost", name=self._transfer.name, lines=len(self._waiting))

    def _note(self, sop_instance_uid: str, study_instance_uid: str, outcome: str, status: int, why: str) -> None:
        self._count(self._transfer.service, outcome)
        uid = sop_instance_uid if is_valid_uid(sop_instance_uid) else ""
        item = Item(
            at=datetime.now(UTC),
            sop_instance_uid=uid,
            study_instance_uid=study_instance_uid,
            outcome=outcome,
            status=status,
            why=why,
        )
        if self._ledger is not None and len(self._waiting) < _MOST_WAITING:
            self._waiting.append(item)

    def _write(self) -> None:
        """What waits; where the database does not take it, it waits for the next time."""
        if self._ledger is None:
            return
        try:
            if self._number is None:
                self._number = self._ledger.begin(self._transfer, self._waiting)
            else:
                self._ledger.add(self._number, self._waiting)
            self._waiting.clear()
        except DatabaseUnavailable as error:
            log.warning("ledger not written", name=self._transfer.name, problem=str(error))


class Books:
    """Opens passages. Without a ledger nothing is written, and with `count` (service, outcome) all is counted.

    arrived: called for each study when its passage ends, with how many instances of it came by what became of them.
    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        count: Count = lambda _service, _outcome: None,
        arrived: Arrived = lambda _transfer, _user, _study, _outcomes: None,
    ) -> None:
        self._ledger = ledger
        self._count, self._arrived = count, arrived

    def passage(self, service: str, name: str, calling_ae_title: str, address: str, user: str = "") -> Passage:
        """A new association (service C-STORE) or request (STOW-RS). user: who signed in for it."""
        transfer = Transfer(
            service=service,
            name=name,
            calling_ae_title=calling_ae_title,
            address=address,
            began_at=datetime.now(UTC),
        )
        return Passage(self._ledger, transfer, self._count, partial(self._arrived, transfer, user))
