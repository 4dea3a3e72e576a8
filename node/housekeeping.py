"""What happens by the clock: exams become whole, jobs that went missing are enqueued again, old studies go."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from node import logs
from node.performed import Performed
from node.pipeline.orders import Orders
from storage.index import Index
from storage.objects import ObjectStore

log = logs.get(__name__)

_TICK_S = 0.2
_RECONCILE_S = 30.0
_RETENTION_S = 3600.0


class Housekeeper:
    """One thread. retention_days: see `StorageSettings`; None keeps everything."""

    def __init__(
        self,
        index: Index,
        store: ObjectStore,
        orders: Orders,
        performed: Performed,
        retention_days: int | None,
    ) -> None:
        self._index = index
        self._performed = performed
        self._store = store
        self._orders = orders
        self._retention_days = retention_days
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="housekeeper", daemon=True)
        self._last: dict[str, float] = {}

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
        if self._retention_days is None:
            return 0
        before, removed = now - timedelta(days=self._retention_days), 0
        for study in self._index.expired(before):
            paths = self._index.forget(study, before)
            held = {instance.path for instance in self._index.instances(study)}  # the study may have come again
            for path in set(paths) - held:
                self._store.remove(path)
            if paths:
                removed += 1
                log.info("study removed after storage.retention_days", study=study)
        return removed

    def _live(self) -> None:
        while not self._ended.wait(_TICK_S):
            try:
                self._performed.signal(datetime.now(UTC))
                self.complete(datetime.now(UTC))
                if self._is_time("reconcile", _RECONCILE_S):
                    self._orders.reconcile()
                if self._is_time("retain", _RETENTION_S):
                    self.retain(datetime.now(UTC))
            except Exception:
                log.exception("housekeeping failed")

    def _is_time(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < every_s:
            return False
        self._last[what] = now
        return True
