"""Earlier exams of the women that the worklist names, fetched before their images come.

What is not here in time is fetched when the exam is whole, as without a worklist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from node import logs
from node.config import Config
from node.earlier_exams import EarlierExams
from node.errors import DeliveryError
from node.examinations import scheduled
from node.keeper import Keeper
from node.roles import Leader
from node.settings import Peer, PriorSource
from storage.worklist import Expected, Worklist

log = logs.get(__name__)

_LOOK_S = 10.0  # for exams that were scheduled meanwhile


class Prefetching:
    """A thread; of several processes the one that leads fetches. Without `worklist.prefetch_priors` it does nothing."""

    def __init__(self, config: Config, worklist: Worklist, earlier: EarlierExams) -> None:
        self._config = config
        self._worklist = worklist
        self._earlier = earlier
        self._asked: set[tuple[str, str]] = set()  # study and peer; asking twice does no harm
        self._keeper = Keeper("prefetching", self._turn, config.worklist.every_s)

    def start(self, leader: Leader) -> None:
        """Begin, where it is configured."""
        settings = self._config.worklist
        if settings.peer is not None and settings.prefetch_priors:
            self._keeper.start(leader)

    def stop(self) -> None:
        """End; a retrieval under way is not waited for long."""
        self._keeper.stop()

    def _turn(self) -> float:
        asked = self.round(datetime.now().astimezone())
        return 0.0 if asked else min(self._config.worklist.every_s, _LOOK_S)

    def round(self, now: datetime) -> int:
        """Fetch for every exam that is scheduled and not here; returns how many earlier exams were asked for."""
        asked = 0
        for name, peer, source in self._sources(now):
            try:
                for exam in self._to_come(now):
                    if not self._keeper.ended and (exam.study_instance_uid, name) not in self._asked:
                        asked += self._fetch(exam, name, peer, source)
            except DeliveryError as error:  # the others would not be answered either
                log.warning("cannot be asked for earlier exams", peer=name, why=str(error))
        return asked

    def _to_come(self, now: datetime) -> Iterator[Expected]:
        start, _ = scheduled.bounds(now.date())
        _, end = scheduled.bounds(now.date() + timedelta(days=self._config.worklist.days_ahead))
        for line in self._worklist.lines(start, end):
            if not line.state and line.expected.patient_id:
                yield line.expected

    def _sources(self, now: datetime) -> Iterator[tuple[str, Peer, PriorSource]]:
        for name, peer in self._config.peers.items():
            if peer.priors is not None and peer.priors.is_open(now.time()):
                yield name, peer, peer.priors

    def _fetch(self, exam: Expected, name: str, peer: Peer, source: PriorSource) -> int:
        found = self._earlier.found(exam, peer, source)[: source.most]
        self._asked.add((exam.study_instance_uid, name))
        missing = [uid for uid in found if not self._earlier.is_held(uid)]
        for uid in missing:
            what = self._earlier.fetched(exam, uid, name)
            log.info("prefetched", peer=name, study=exam.study_instance_uid, what=what)
        return len(missing)
