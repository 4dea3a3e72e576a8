"""What happens by the clock: exams become whole, jobs that went missing are enqueued again, old studies go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from node import backfill, logs, sweeping
from node.audit import events
from node.audit.auditor import Auditor
from node.config import Config
from node.duties import Duty, Round, Rounds
from node.pipeline.orders import Orders
from node.roles import Leader
from storage.catalogue import Catalogue
from storage.database import Database
from storage.duties import Duties
from storage.index import Index
from storage.objects import ObjectStore
from storage.sweeps import Sweeps
from storage.tallies import Tallies
from storage.workers import Workers

log = logs.get(__name__)

_TICK_S = 0.2
_CORRECTION_S = 2.0
_TRIM_S = 3600.0
_EXPIRED_AT_A_TIME = 500


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
    """What exams wait for is done by one thread, what may take its time by another.

    What only one worker should do is done by the one that leads.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        orders: Orders,
        config: Config,
        leader: Leader,
        *,
        keep_books: Callable[[datetime], int] = lambda _now: 0,
        hasten: Callable[[datetime], None] = lambda _now: None,
        auditor: Auditor | None = None,
    ) -> None:
        """keep_books: called every hour. hasten: called every time before it is looked which exams are whole.

        auditor: is told of studies that were removed.
        """
        self._index, self._catalogue = Index(database), Catalogue(database)
        self._sweeps, self._workers = Sweeps(database), Workers(database)
        self._store, self._orders, self._config, self._leader = store, orders, config, leader
        self._hasten, self._auditor = hasten, auditor
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="housekeeper", daemon=True)
        self._trimmed_at = time.monotonic()
        self._clock = Clock()
        duties, tallies = Duties(database), Tallies(database)
        self._soon = (
            Round(Duty.RECONCILER, lambda _now: orders.reconcile(), duties, leader),
            Round(Duty.COUNTS, lambda _now: tallies.add_up(), duties, leader),
        )
        at_leisure = [
            Round(Duty.RETENTION, self.retain, duties, leader),
            Round(Duty.FINISHED_JOBS, orders.forget_finished, duties, leader),
            Round(Duty.BOOKS, keep_books, duties, leader),
            Round(Duty.SWEEP, self._sweep, duties, leader),
        ]
        if not config.storage.is_embedded:  # alone, a node clears everything when it starts
            # copies of a bucket's objects are fetched into a folder of the host: each worker looks after its own
            at_leisure.append(
                Round(Duty.HALF_WRITTEN, self._clear, duties, None if config.storage.bucket.name else leader)
            )
        self._at_leisure = Rounds("housekeeper at leisure", at_leisure)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._at_leisure.start()

    def stop(self) -> None:
        """End, after what is being done now."""
        self._ended.set()
        self._at_leisure.stop()
        if self._thread.is_alive():
            self._thread.join()

    def complete(self, now: datetime) -> None:
        """Studies that are due are whole."""
        for study in self._index.due_studies(now):
            self._orders.complete(study)

    def retain(self, now: datetime) -> int:
        """Remove studies that a person's retention rule lets go; returns how many. Rows first: a row has its files."""
        days = self._config.storage.retention_days
        if days is None:
            return 0
        before, removed = now - timedelta(days=days), 0
        while not self._ended.is_set():
            gone = sum(self._remove(each, before) for each in self._index.expired(before, _EXPIRED_AT_A_TIME))
            removed += gone
            if not gone:
                break
        return removed

    def _remove(self, study: str, before: datetime) -> bool:
        whose = self._auditor.study(study) if self._auditor is not None else None
        paths = self._index.forget(study, before)
        held = {instance.path for instance in self._index.instances(study)}  # the study may have come again
        for path in set(paths) - held:
            self._store.remove(path)
        if paths:
            log.info("study removed after storage.retention_days", study=study)
            if self._auditor is not None and whose is not None:
                self._auditor.tell(events.deleted(self._auditor.here, whose, "storage.retention_days"))
        return bool(paths)

    def _live(self) -> None:
        self._make_findable()
        while not self._ended.wait(_TICK_S):
            try:
                if time.monotonic() - self._trimmed_at > _TRIM_S:
                    self._trimmed_at = time.monotonic()
                    self._store.trim()
                if self._leader.leads:
                    self._lead()
            except Exception:
                log.exception("housekeeping failed")
            for duty in self._soon:
                duty.turn(datetime.now(UTC))

    def _lead(self) -> None:
        self._hasten(datetime.now(UTC))
        self.complete(datetime.now(UTC))
        self._orders.forward()
        if self._clock.went_back():
            log.warning("the clock was set back; what waits for a time waits no longer")
            self._orders.reconcile(anyway=True)

    def _sweep(self, now: datetime) -> int:
        found = sweeping.sweep(self._sweeps, self._store, now)
        return found.orphans + found.missing

    def _clear(self, _now: datetime) -> int:
        return sweeping.clear_half_written(self._workers, self._store, self._config.pipeline)

    def _make_findable(self) -> None:
        try:
            backfill.make_findable(self._catalogue, self._store)
        except Exception:
            log.exception("not everything kept earlier can be searched for; tried again at the next start")
