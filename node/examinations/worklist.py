"""The day's list from a modality worklist: kept up to date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from node import logs
from node.config import Config
from node.dimse import worklist as dimse
from node.dimse.worklist import NoWorklist
from node.keeper import Keeper
from node.roles import Leader
from storage.worklist import Worklist

log = logs.get(__name__)

_KEPT_DAYS = 14


class WorklistKeeper:
    """A thread that asks for today's list every so often. Without `worklist.peer` it does nothing."""

    def __init__(self, config: Config, worklist: Worklist) -> None:
        self._config = config
        self._worklist = worklist
        self._keeper = Keeper("worklist", self._turn, config.worklist.every_s)

    def start(self, leader: Leader) -> None:
        """Begin, where there is a worklist; of several processes the one that leads asks."""
        if self._config.worklist.peer is not None:
            self._keeper.start(leader)

    def stop(self) -> None:
        """End; a query under way is not waited for long."""
        self._keeper.stop()

    def ask(self, now: datetime) -> int:
        """Ask once, and keep the answer; returns how many exams are scheduled. Raises NoWorklist."""
        settings = self._config.worklist
        peer = self._config.peers[settings.peer or ""]
        today, ae_title = now.astimezone().date(), self._config.node.ae_title
        days = [today + timedelta(days=number) for number in range(settings.days_ahead + 1)]
        found = [each for day in days for each in dimse.find(settings, peer, ae_title, day)]
        self._worklist.keep(found, now)
        self._worklist.forget(now - timedelta(days=_KEPT_DAYS))
        for each in found:
            if each.urgent:
                self._worklist.urge(each.study_instance_uid)
        return len(found)

    def _turn(self) -> float:
        try:
            log.info("worklist", scheduled=self.ask(datetime.now(UTC)))
        except NoWorklist as error:
            log.warning("no worklist", why=str(error))
        return self._config.worklist.every_s
