"""What asks for work: an exam that is whole, a person, and the reconciler that finds work nobody waits for."""

from __future__ import annotations

from datetime import UTC, datetime

from node import logs
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from node.scheduled import contradiction
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, Priority, StudyState
from storage.worklist import Worklist

log = logs.get(__name__)


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
            scheduled = Worklist(self._rooms.database.joining(session)).expected(study_instance_uid)
            study = index.study(study_instance_uid)
            doubt = contradiction(study, scheduled) if study is not None and not anyway else ""
            if doubt:
                index.advance(study_instance_uid, revision, {StudyState.READING: StudyState.HELD})
                tell(index, study_instance_uid, revision, "complete", f"held for a person: {doubt}")
                return None
            if any(each.urgent for each in scheduled):
                index.set_priority(study_instance_uid, Priority.URGENT)
            tell(index, study_instance_uid, revision, "complete", f"whole; revision {revision} will be read")
            self._rooms.enqueue(session, Stage.READ, study_instance_uid, revision)
        self._rooms.passed("complete: committed")
        return revision

    def requeue(self, study_instance_uid: str, *, read: bool = False) -> int:
        """A person asks: read the exam again (a new revision), or send failed deliveries again.

        Returns how many deliveries, or 1 for a reading.
        """
        if read:
            return 1 if self.complete(study_instance_uid, anyway=True) else 0
        study = self._index.study(study_instance_uid)
        if study is None:
            return 0
        failed = self._outbox.deliveries(study_instance_uid, revision=study.revision, states=[DeliveryState.FAILED])
        with self._rooms.database.transaction() as session:
            joined = self._rooms.database.joining(session)
            index, outbox = Index(joined), Outbox(joined)
            index.advance(study_instance_uid, study.revision, {StudyState.UNDELIVERED: StudyState.DELIVERING})
            for name in dict.fromkeys(item.destination for item in failed):
                count = outbox.requeue(study_instance_uid, study.revision, name, datetime.now(UTC))
                self._rooms.enqueue(session, Stage.DELIVER, study_instance_uid, study.revision, name)
                tell(index, study_instance_uid, study.revision, "deliver", f"{count} requeued for {name}")
        return len(failed)

    def reconcile(self) -> int:
        """Enqueue what should be waiting and is not; returns how many jobs were missing."""
        stages = {StudyState.READING: Stage.READ, StudyState.REPORTING: Stage.REPORT}
        open_studies = self._index.studies(stages)
        wanted = [(stages[study.state], study.study_instance_uid, study.revision, "") for study in open_studies]
        pending = self._outbox.deliveries(states=[DeliveryState.PENDING])
        wanted += dict.fromkeys(
            (Stage.DELIVER, item.study_instance_uid, item.revision, item.destination) for item in pending
        )
        return sum(self._ensure(*work) for work in wanted)

    def _ensure(self, stage: Stage, study: str, revision: int, destination: str) -> bool:
        work = Job(stage=stage, study_instance_uid=study, revision=revision, number=0, destination=destination)
        if self._rooms.jobs.is_waiting(work):
            return False
        log.warning("a job was missing", work=work.prefix)
        with self._rooms.database.transaction() as session:
            self._rooms.enqueue(session, stage, study, revision, destination)
        return True
