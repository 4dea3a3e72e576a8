"""What happens by the clock: exams become whole, jobs that went missing are enqueued again, old studies go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from node import backfill, logs, sweeping
from node.audit import events
from node.audit.auditor import Auditor
from node.pipeline.orders import Orders
from node.roles import Leader
from node.settings_storage import StorageSettings
from storage.catalogue import Catalogue
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.sweeps import Sweeps

log = logs.get(__name__)

_TICK_S = 0.2
_CORRECTION_S = 2.0
_RECONCILE_S = 30.0
_RETENTION_S = 3600.0
_BOOKS_S = 3600.0
_SWEEP_S = 86400.0


class Clock:
    """Notices when the wall clock is set back, by a steady one beside it."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()

    def went_back(self) -> bool:
        """Whether it was set back by more than a correction, since this was last asked."""
        before, self._ahead = self._ahead, self._wall() - self._steady()
        return self._ahead < before - _CORRECTION_S


class Housekeeper:
    """One thread. What only one worker should do is done by the one that leads."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        orders: Orders,
        settings: StorageSettings,
        leader: Leader,
        *,
        keep_books: Callable[[datetime], None] = lambda _now: None,
        hasten: Callable[[datetime], None] = lambda _now: None,
        auditor: Auditor | None = None,
    ) -> None:
        """keep_books: called every hour. hasten: called every time before it is looked which exams are whole.

        auditor: is told of studies that were removed.
        """
        self._index = Index(database)
        self._catalogue = Catalogue(database)
        self._sweeps = Sweeps(database)
        self._store = store
        self._orders = orders
        self._settings = settings
        self._leader = leader
        self._keep_books, self._hasten = keep_books, hasten
        self._auditor = auditor
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="housekeeper", daemon=True)
        self._last: dict[str, float] = {}
        self._clock = Clock()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being done now."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def complete(self, now: datetime) -> None:
        """Studies that are due are whole."""
        for study in self._index.due_studies(now):
            self._orders.complete(study)

    def retain(self, now: datetime) -> int:
        """Remove studies that a person's retention rule lets go; returns how many. Rows first: a row has its files."""
        if self._settings.retention_days is None:
            return 0
        before, removed = now - timedelta(days=self._settings.retention_days), 0
        for study in self._index.expired(before):
            whose = self._auditor.study(study) if self._auditor is not None else None
            paths = self._index.forget(study, before)
            held = {instance.path for instance in self._index.instances(study)}  # the study may have come again
            for path in set(paths) - held:
                self._store.remove(path)
            if paths:
                removed += 1
                log.info("study removed after storage.retention_days", study=study)
                if self._auditor is not None and whose is not None:
                    self._auditor.tell(events.deleted(self._auditor.here, whose, "storage.retention_days"))
        return removed

    def _live(self) -> None:
        self._make_findable()
        while not self._ended.wait(_TICK_S):
            try:
                if self._is_time("trim", _RETENTION_S):
                    self._store.trim()
                if self._leader.leads:
                    self._lead()
            except Exception:
                log.exception("housekeeping failed")

    def _lead(self) -> None:
        self._hasten(datetime.now(UTC))
        self.complete(datetime.now(UTC))
        self._orders.forward()
        if self._clock.went_back():
            log.warning("the clock was set back; what waits for a time waits no longer")
            self._orders.reconcile(anyway=True)
        if self._is_time("reconcile", _RECONCILE_S):
            self._orders.reconcile()
        if self._is_time("retain", _RETENTION_S):
            self.retain(datetime.now(UTC))
            self._orders.forget_finished(datetime.now(UTC))
        if self._is_time("books", _BOOKS_S):
            self._keep_books(datetime.now(UTC))
        if self._is_time("sweep", _SWEEP_S):
            sweeping.sweep(self._sweeps, self._store, datetime.now(UTC))

    def _make_findable(self) -> None:
        try:
            backfill.make_findable(self._catalogue, self._store)
        except Exception:
            log.exception("not everything kept earlier can be searched for; tried again at the next start")

    def _is_time(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < every_s:
            return False
        self._last[what] = now
        return True
