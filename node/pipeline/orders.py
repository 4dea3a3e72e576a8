"""What asks for work: an exam that is whole, a person, and the reconciler that finds work nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from node import logs
from node.pipeline import fetching
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from storage.forwards import REVISION, Forwards
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, Study, StudyState

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
            index = Index(self._rooms.database.joining(session))
            revision = index.close_study(study_instance_uid, datetime.now(UTC), anyway=anyway)
            if revision is None:
                return None
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

    def reconcile(self) -> int:
        """Enqueue what should be waiting and is not; returns how many jobs were missing."""
        stages = {StudyState.READING: Stage.READ, StudyState.REPORTING: Stage.REPORT}
        open_studies = self._index.studies(stages)
        wanted = [(stages[study.state], study.study_instance_uid, study.revision, "") for study in open_studies]
        pending = self._outbox.deliveries(states=[DeliveryState.PENDING])
        wanted += dict.fromkeys(
            (Stage.DELIVER, item.study_instance_uid, item.revision, item.destination) for item in pending
        )
        forwards = Forwards(self._rooms.database).queued()
        wanted += [(Stage.FORWARD, study, REVISION, destination) for study, destination in forwards]
        uncommitted = self._outbox.deliveries(states=[DeliveryState.UNCOMMITTED])
        wanted += dict.fromkeys(
            (Stage.COMMIT, item.study_instance_uid, item.revision, item.destination) for item in uncommitted
        )
        return sum(self._ensure(*work) for work in wanted)

    def _ensure(self, stage: Stage, study: str, revision: int, destination: str) -> bool:
        work = Job(stage=stage, study_instance_uid=study, revision=revision, number=0, destination=destination)
        if self._rooms.jobs.is_waiting(work) or (stage is Stage.READ and self._is_fetched_for(work)):
            return False
        log.warning("a job was missing", work=work.prefix)
        with self._rooms.database.transaction() as session:
            self._rooms.enqueue(session, stage, study, revision, destination)
        return True

    def _is_fetched_for(self, reading: Job) -> bool:
        """Whether the exam is not read yet because its priors are being fetched."""
        peers = fetching.sources(self._rooms.config)
        return any(self._rooms.jobs.is_waiting(replace(reading, stage=Stage.FETCH, destination=name)) for name in peers)
