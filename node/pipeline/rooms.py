"""What the pipeline works with, and the two things all of it does: enqueue a job, tell a study's history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from node.audit.auditor import Auditor
from node.config import Config
from node.pipeline.jobs import Job, JobQueue, Stage, turn
from node.readers import Readers
from node.routing import Router
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.records import Event, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The collaborators. `passed(point)` is called between durable steps."""

    config: Config
    database: Database
    store: ObjectStore
    router: Router
    readers: Readers
    jobs: JobQueue
    audit: Auditor
    passed: Callable[[str], None] = lambda _point: None

    def enqueue(
        self, session: Any, stage: Stage, study: str, revision: int, destination: str = "", *, delay_s: float = 0.0
    ) -> None:
        """Enqueue a job in `session`'s transaction, under an id it has never had."""
        index = Index(self.database.joining(session))
        number, (priority, received_at) = index.next_job(study), index.precedence(study)
        # what is forwarded shares a destination's queue with results, and comes behind them
        place = turn(Priority.ARCHIVE if stage is Stage.FORWARD else priority, received_at)
        job = Job(stage=stage, study_instance_uid=study, revision=revision, number=number, destination=destination)
        self.jobs.enqueue(session, job, turn=place, delay_s=delay_s)


def tell(index: Index, study: str, revision: int, stage: str, text: str) -> None:
    """Add a line to the study's history; `text` holds nothing of the patient."""
    event = Event(study_instance_uid=study, revision=revision, at=datetime.now(UTC), stage=stage, text=text)
    index.add_event(event)
