"""Before an exam is read: its woman's earlier exams, where none is held and the strategy wants them.

A PACS is asked (C-FIND), and sends (C-MOVE to this node, or C-GET). What cannot be had costs a line in the exam's
history; the exam is read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from node import logs
from node.config import Config
from node.earlier_exams import EarlierExams
from node.errors import DeliveryError
from node.intake import Intake
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from node.priors import Priors
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Study, StudyState

log = logs.get(__name__)


def sources(config: Config) -> tuple[str, ...]:
    """Names of the peers that are asked for priors, in the order of the configuration."""
    return tuple(name for name, peer in config.peers.items() if peer.priors is not None)


def first_job(config: Config) -> tuple[Stage, str]:
    """What a complete exam waits for first, and at which peer."""
    return next(((Stage.FETCH, name) for name in sources(config)), (Stage.READ, ""))


class Fetching:
    """Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms, intake: Intake) -> None:
        self._rooms = rooms
        self._index = Index(rooms.database)
        self._earlier = EarlierExams(rooms.config, self._index, intake)
        self._priors = Priors(self._index, Outbox(rooms.database), rooms.store)

    def run(self, job: Job) -> None:
        """Ask one peer, then the next one, or read."""
        study = self._index.study(job.study_instance_uid)
        if study is None or (study.revision, study.state) != (job.revision, StudyState.READING):
            return
        notes = self._notes(study, job.destination)
        self._rooms.passed("fetch: done")
        names = sources(self._rooms.config)
        following = names[names.index(job.destination) + 1 :] if job.destination in names else ()
        with self._rooms.database.transaction() as session:
            index = Index(self._rooms.database.joining(session))
            for note in notes:
                tell(index, job.study_instance_uid, job.revision, "priors", f"{job.destination}: {note}")
            stage, name = (Stage.FETCH, following[0]) if following else (Stage.READ, "")
            self._rooms.enqueue(session, stage, job.study_instance_uid, job.revision, name)

    def _notes(self, study: Study, name: str) -> list[str]:
        """What came of it. Whatever a PACS does, the exam is read."""
        notes = []
        try:
            for note in self._fetched(study, name):
                notes.append(note)  # those before an error are kept
        except Exception as error:
            log.exception("priors not fetched", peer=name)
            notes.append(f"failed while it was asked for earlier exams: {type(error).__name__}")
        return notes

    def _fetched(self, study: Study, name: str) -> Iterator[str]:
        """Fetch what is missing from a peer, with a note on each thing done or not to be had."""
        peer = self._rooms.config.peers.get(name)
        source = peer.priors if peer is not None else None
        missing = self._missing(study)
        if peer is None or source is None or not missing:
            return
        if not source.is_open(datetime.now().astimezone().time()):
            yield f"not asked for an earlier exam: only at {source.hours}"
            return
        try:
            found = self._earlier.found(study, peer, source)
        except DeliveryError as error:
            yield f"cannot be asked for earlier exams: {error}"
            return
        fresh = [uid for uid in found if not self._earlier.is_held(uid)]
        if not fresh:
            yield "has no earlier exam of her" if not found else "has no earlier exam of her that is not here"
        for uid in fresh[: min(missing, source.most)]:
            yield self._earlier.fetched(study, uid, name)

    def _missing(self, study: Study) -> int:
        """How many priors the reader takes beyond those that are held."""
        instances = self._index.instances(study.study_instance_uid)
        wanted = self._rooms.readers.of(instance.rule for instance in instances if instance.to_read).priors
        if not wanted or not study.patient_id or not study.study_date:
            return 0
        return wanted - self._priors.count(study, instances, wanted)
