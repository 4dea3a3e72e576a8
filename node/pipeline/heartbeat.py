"""Every worker tells that it lives; the one that leads takes over the work of those that have fallen silent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from node import logs
from node.duties import Duty
from node.pipeline.jobs import JobQueue
from node.settings_storage import PipelineSettings
from storage.database import DatabaseUnavailable
from storage.duties import Duties
from storage.workers import Slot, Worker, Workers

log = logs.get(__name__)

_FORGOTTEN_AFTER_S = 7 * 86400.0


def end_at_once() -> None:
    """Another process works under this one's name: whatever is under way here is under way there."""
    log.error("this worker's slot was taken while the database could not be reached; ending, to be started anew")
    os._exit(1)


class Heartbeat:
    """A thread. Silence is measured by this host's own steady clock, so no clock that jumps takes work from the living.

    holder: this process's own, see `storage.workers`. duties: where it is noted what was taken over. lost: called when
    another process was given the slot.
    """

    def __init__(
        self,
        slot: Slot,
        workers: Workers,
        jobs: JobQueue,
        settings: PipelineSettings,
        *,
        holder: str,
        duties: Duties,
        lost: Callable[[], None] = end_at_once,
    ) -> None:
        self._slot = slot
        self._workers = workers
        self._jobs = jobs
        self._settings = settings
        self._lost = lost
        self._holder, self._entered = holder, False
        self._duties, self._noted_at = duties, float("-inf")
        self._seen: dict[str, tuple[datetime, float]] = {}
        self._leads = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="heartbeat", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this is the worker that does what only one should do."""
        return self._leads

    def start(self, roles: str) -> None:
        """Tell that this worker is there, and go on telling."""
        self._workers.enter(self._slot.name, roles, self._holder)
        self._entered = True
        self._leads = self._slot.leads()
        log.info("at work", slot=self._slot.name, leads=self._leads)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye: what was cut short may be taken over at once."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            if self._entered:
                self._workers.beat(self._slot.name, self._holder, ended=True)
        except DatabaseUnavailable as error:
            log.warning("no goodbye: the others wait until this worker counts as silent", problem=str(error))
        self._slot.release()

    def _live(self) -> None:
        while not self._ended.wait(self._settings.heartbeat_s):
            try:
                self._beat()
            except DatabaseUnavailable as error:
                self._leads = False
                log.warning("no heartbeat", problem=str(error))
            except Exception:
                log.exception("heartbeat failed")

    def _beat(self) -> None:
        led, self._leads = self._leads, self._slot.leads()
        if not self._workers.beat(self._slot.name, self._holder, leads=self._leads):
            self._lost()
            return
        if self._leads and not led:
            log.info("leads from now on", slot=self._slot.name)
            self._seen.clear()
        if self._leads:
            self._note(sum(self._take_over(worker) for worker in self._silent()))

    def _note(self, jobs: int) -> None:
        """A look that finds nothing is not worth a row each time."""
        now = time.monotonic()
        if jobs or now - self._noted_at >= Duty.TAKEOVER.every_s:
            self._noted_at = now
            self._duties.done(Duty.TAKEOVER, datetime.now(UTC), jobs)

    def _silent(self) -> list[Worker]:
        now, found = time.monotonic(), []
        for worker in self._workers.all():
            last, since = self._seen.get(worker.slot, (None, now))
            if last != worker.beat_at:
                self._seen[worker.slot] = (worker.beat_at, now)
                since = now
            if worker.slot != self._slot.name and (worker.ended or now - since > self._settings.takeover_s):
                found.append(worker)
        return found

    def _take_over(self, worker: Worker) -> int:
        count = self._jobs.take_over(worker.slot)
        if count:
            log.warning("took over the work of a silent worker", silent=worker.slot, jobs=count)
        if worker.ended or worker.silent_s > _FORGOTTEN_AFTER_S:
            self._workers.forget(worker.slot, worker.beat_at)
        return count
