"""The day's list from a modality worklist: kept up to date."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from node import logs, scheduled
from node.config import Config
from node.dimse import worklist as dimse
from node.dimse.worklist import NoWorklist
from storage.index import Index
from storage.records import Priority
from storage.worklist import ExpectedLine, Worklist

log = logs.get(__name__)

_KEPT_DAYS = 14


class WorklistKeeper:
    """A thread that asks for today's list every so often. Without `worklist.peer` it does nothing."""

    def __init__(self, config: Config, index: Index, worklist: Worklist) -> None:
        self._config = config
        self._index = index
        self._worklist = worklist
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="worklist", daemon=True)

    def start(self) -> None:
        """Begin, where there is a worklist."""
        if self._config.worklist.peer is not None:
            self._thread.start()

    def stop(self) -> None:
        """End; a query under way is not waited for."""
        self._ended.set()

    def ask(self, now: datetime) -> int:
        """Ask once, and keep the answer; returns how many exams are scheduled. Raises NoWorklist."""
        settings = self._config.worklist
        peer = self._config.peers[settings.peer or ""]
        found = dimse.find(settings, peer, self._config.node.ae_title, now.astimezone().date())
        self._worklist.keep(found, now)
        self._worklist.forget(now - timedelta(days=_KEPT_DAYS))
        for each in found:
            if each.urgent:
                self._index.set_priority(each.study_instance_uid, Priority.URGENT)
        return len(found)

    def today(self, now: datetime) -> list[ExpectedLine]:
        """What is scheduled today, and what has come of it."""
        return self._worklist.lines(*scheduled.bounds(now.astimezone().date()))

    def missing(self, now: datetime) -> list[ExpectedLine]:
        """Exams of today of which nothing came, though their time is well past."""
        return scheduled.missing(self.today(now), now, self._config.worklist.missing_after_s)

    def _live(self) -> None:
        while True:
            try:
                log.info("worklist", scheduled=self.ask(datetime.now(UTC)))
            except NoWorklist as error:
                log.warning("no worklist", why=str(error))
            except Exception:
                log.exception("worklist failed")
            if self._ended.wait(self._config.worklist.every_s):
                return
