"""What asks for work: an exam that is whole, a person, and the reconciler that finds work nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from node import completeness, logs
from node.examinations.scheduled import contradiction
from node.pipeline import fetching
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from storage.database import Database
from storage.forwards import REVISION, Forwards
from storage.hl7 import Hl7Record
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, Study, StudyState
from storage.worklist import Worklist

log = logs.get(__name__)

_Again = Callable[[Outbox, str, int, str, datetime], int]


class Orders:
    """Asks for jobs; `Stages` does them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._index = Index(rooms.database)
        self._outbox = Outbox(rooms.database)

    def complete(self, study_instance_uid: str, *, anyway: bool = False) -> int | None:
        """Declare a study whole and enqueue its reading. None when it is not due (any more)."""
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index = Index(joined)
            revision = index.close_study(study_instance_uid, datetime.now(UTC), anyway=anyway)
            if revision is None:
                return None
            worklist = Worklist(joined)
            scheduled = worklist.expected(study_instance_uid)
            study = index.study(study_instance_uid) if scheduled and not anyway else None
            doubt = contradiction(study, scheduled) if study is not None else ""
            if doubt:
                index.advance(study_instance_uid, revision, {StudyState.READING: StudyState.HELD})
                tell(index, study_instance_uid, revision, "complete", f"held for a person: {doubt}")
                return None
            if any(each.urgent for each in scheduled) or _is_ordered_urgently(joined, study_instance_uid):
                worklist.urge(study_instance_uid)
            tell(index, study_instance_uid, revision, "complete", f"whole; revision {revision} will be read")
            stage, peer = fetching.first_job(self._rooms.config)
            self._rooms.enqueue(session, stage, study_instance_uid, revision, peer)
        self._rooms.passed("complete: committed")
        return revision

    def forward(self) -> int:
        """Enqueue a job where received instances are to be forwarded and none was made for them; returns how many."""
        count = 0
        for study, destination in Forwards(self._rooms.database).waiting():
            with self._rooms.database.transaction() as session:
                if Forwards(self._rooms.database.joining(session)).take_up(study, destination):
                    self._rooms.enqueue(session, Stage.FORWARD, study, REVISION, destination)
                    count += 1
        return count

    def requeue(self, study_instance_uid: str, *, read: bool = False) -> int:
        """A person asks: read the exam again (a new revision), or send failed deliveries again.

        Instances that were not forwarded go with the deliveries. Returns how many deliveries, or 1 for a reading.
        """
        if read:
            return 1 if self.complete(study_instance_uid, anyway=True) else 0
        study = self._index.study(study_instance_uid)
        if study is None:
            return 0
        forwarded = Forwards(self._rooms.database).requeue(study_instance_uid, datetime.now(UTC))
        self.forward()
        return forwarded + self._send_again(study, [DeliveryState.FAILED, DeliveryState.HELD], Outbox.requeue)

    def release(self, study_instance_uid: str) -> int:
        """A person has held results sent, with the identity that the exam came with; returns how many deliveries."""
        study = self._index.study(study_instance_uid)
        return 0 if study is None else self._send_again(study, [DeliveryState.HELD], Outbox.release)

    def _send_again(self, study: Study, states: Sequence[DeliveryState], again: _Again) -> int:
        uid, revision = study.study_instance_uid, study.revision
        stopped = self._outbox.deliveries(uid, revision=revision, states=states)
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index, outbox = Index(joined), Outbox(joined)
            index.advance(uid, revision, {StudyState.UNDELIVERED: StudyState.DELIVERING})
            for name in dict.fromkeys(item.destination for item in stopped):
                count = again(outbox, uid, revision, name, datetime.now(UTC))
                self._rooms.enqueue(session, Stage.DELIVER, uid, revision, name)
                tell(index, uid, revision, "deliver", f"{count} {again.__name__}d for {name} by a person")
        return len(stopped)

    def reconcile(self, *, anyway: bool = False) -> int:
        """Enqueue what should be waiting and is not; returns how many jobs were missing.

        anyway: enqueue it although it waits, because it may wait for a time that a wrong clock told.
        """
        late = datetime.now(UTC) + completeness.longest_wait(self._rooms.config.completeness)
        if count := self._index.hasten_all(late):
            log.warning("exams were due at a time that a wrong clock told; corrected", exams=count)
        wanted = list(dict.fromkeys(self._wanted()))
        if not wanted:
            return 0
        waiting = self._rooms.jobs.waiting()
        missing = [work for work in wanted if anyway or not self._waits(work, waiting)]
        for work in missing:
            self._ask(work, waiting)
        return len(missing)

    def _wanted(self) -> Iterator[Job]:
        """The job that has to be waiting for each exam and each object that something is still to be done for."""
        stages = {StudyState.READING: Stage.READ, StudyState.REPORTING: Stage.REPORT}
        for study in self._index.studies(stages):
            yield _work(stages[study.state], study.study_instance_uid, study.revision)
        states = {DeliveryState.PENDING: Stage.DELIVER, DeliveryState.UNCOMMITTED: Stage.COMMIT}
        for item in self._outbox.deliveries(states=list(states)):
            yield _work(states[item.state], item.study_instance_uid, item.revision, item.destination)
        for uid, destination in Forwards(self._rooms.database).queued():
            yield _work(Stage.FORWARD, uid, REVISION, destination)

    def forget_finished(self, now: datetime) -> int:
        """Forget jobs that ended long ago; returns how many. What they did is in the exams' histories."""
        return self._rooms.jobs.forget_finished(now - timedelta(days=self._rooms.config.pipeline.finished_jobs_days))

    def _waits(self, work: Job, waiting: Collection[str]) -> bool:
        return work.prefix in waiting or bool(self._fetching_for(work, waiting))

    def _fetching_for(self, work: Job, waiting: Collection[str]) -> list[Job]:
        """The jobs that fetch priors for an exam that is to be read."""
        if work.stage is not Stage.READ:
            return []
        peers = fetching.sources(self._rooms.config)
        every = [_work(Stage.FETCH, work.study_instance_uid, work.revision, name) for name in peers]
        return [each for each in every if each.prefix in waiting]

    def _ask(self, work: Job, waiting: Collection[str]) -> None:
        """Enqueue it anew; an exam whose priors are being fetched goes on with that."""
        log.warning("a job was missing, or its time was wrong", work=work.prefix)
        first = next(iter(self._fetching_for(work, waiting)), work)
        with self._rooms.database.transaction() as session:
            self._rooms.enqueue(session, first.stage, first.study_instance_uid, first.revision, first.destination)


def _work(stage: Stage, study: str, revision: int, destination: str = "") -> Job:
    return Job(stage=stage, study_instance_uid=study, revision=revision, number=0, destination=destination)


def _is_ordered_urgently(joined: Database, study_instance_uid: str) -> bool:
    """Whether an order that came by HL7 says so."""
    study = Index(joined).study(study_instance_uid)
    return study is not None and Hl7Record(joined).is_urgent(study_instance_uid, study.accession_number)
