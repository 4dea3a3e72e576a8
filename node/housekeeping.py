"""What happens by the clock: exams become whole, jobs that went missing are enqueued again."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from node import logs
from node.pipeline.stages import Stages
from storage.index import Index

log = logs.get(__name__)

_TICK_S = 0.2
_RECONCILE_S = 30.0


class Housekeeper:
    """One thread."""

    def __init__(self, index: Index, stages: Stages) -> None:
        self._index = index
        self._stages = stages
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being done now."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _live(self) -> None:
        reconciled = time.monotonic()
        while not self._ended.wait(_TICK_S):
            try:
                for study in self._index.due_studies(datetime.now(UTC)):
                    self._stages.complete(study)
                if time.monotonic() - reconciled >= _RECONCILE_S:
                    reconciled = time.monotonic()
                    self._stages.reconcile()
            except Exception:
                log.exception("housekeeping failed")
