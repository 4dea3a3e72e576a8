"""The job queue on DBOS Transact: no server on SQLite, the same code distributed on PostgreSQL.

A workflow here has no steps: a stage is idempotent by itself (see `stages`), so all that is asked of the engine is
that a job which was enqueued is run until it has ended. Application rows are never written by its steps.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from node.pipeline.jobs import Job, Stage

#: A worker takes only jobs of its own version: raise it when a job's arguments change their meaning.
JOBS_VERSION = "1"
_NAME = "mammo-node"
_WAITING = ["ENQUEUED", "DELAYED", "PENDING"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
#: What other systems are asked at a time is limited for all workers together.
_TO_OTHERS = tuple(f"{stage}-" for stage in (Stage.DELIVER, Stage.FETCH, Stage.COMMIT))
_POLLING_S = 0.2
_BATCH = 500
_SELDOM_S = 60.0


class DurableJobs:
    """One worker. `queues`: queue name → how many of its jobs run at a time, of all workers together.

    A worker without queues runs no jobs.
    """

    def __init__(self, engine: Engine, queues: Mapping[str, int]) -> None:
        self._engine = engine
        self._queues = queues
        self._client: DBOSClient | None = None
        self._launched = False

    def start(self, run: Callable[[Job], None], worker: str) -> None:
        """See `JobQueue`."""
        if self._queues:
            self._launch(run, worker)
        self.connect()

    def _launch(self, run: Callable[[Job], None], worker: str) -> None:
        engine_log = logging.getLogger("dbos")
        engine_log.setLevel(logging.WARNING)
        engine_log.addFilter(_Seldom())
        config = DBOSConfig(
            name=_NAME,
            system_database_url=self._engine.url.render_as_string(hide_password=False),
            system_database_engine=self._engine,
            serializer=DBOSPortableJSONSerializer(),
            application_version=JOBS_VERSION,
            executor_id=worker,
            log_level="WARNING",
            run_migrations=self._engine.dialect.name
            == "sqlite",  # elsewhere by command: its role may not change tables
        )
        DBOS(config=config)

        # The engine recovers jobs by this name and these arguments: both are part of JOBS_VERSION.
        @DBOS.workflow(name="job", max_recovery_attempts=None)
        def job(stage: str, study_instance_uid: str, revision: int, number: int, destination: str) -> None:
            run(
                Job(
                    stage=Stage(stage),
                    study_instance_uid=study_instance_uid,
                    revision=revision,
                    number=number,
                    destination=destination,
                )
            )

        DBOS.listen_queues(list(self._queues))
        DBOS.launch()
        self._launched = True
        for name, concurrency in self._queues.items():
            DBOS.register_queue(
                name,
                worker_concurrency=concurrency,
                global_concurrency=concurrency if name.startswith(_TO_OTHERS) else None,
                polling_interval_sec=_POLLING_S,
                on_conflict="always_update",
            )

    def connect(self) -> None:
        """Only enqueue, for a worker elsewhere to run; for commands beside a running node."""
        self._client = DBOSClient(
            system_database_engine=self._engine, serializer=DBOSPortableJSONSerializer(), application_name=_NAME
        )

    def enqueue(self, session: Session, job: Job, *, turn: int, delay_s: float = 0.0) -> None:
        """See `JobQueue`."""
        options: EnqueueOptions = {
            "workflow_name": "job",
            "queue_name": job.queue,
            "workflow_id": job.job_id,
            "app_version": JOBS_VERSION,
            "priority": turn,
        }
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._started().enqueue_in_transaction(
            session, options, str(job.stage), job.study_instance_uid, job.revision, job.number, job.destination
        )

    def waiting(self) -> frozenset[str]:
        """See `JobQueue`."""
        found = self._started().list_workflows(status=_WAITING, load_input=False, load_output=False)
        return frozenset(Job.prefix_of(each.workflow_id) for each in found)

    def take_over(self, worker: str) -> int:
        """See `JobQueue`."""
        client, by_queue = self._started(), defaultdict[str, list[str]](list)
        left = client.list_workflows(executor_id=worker, status="PENDING", load_input=False, load_output=False)
        for each in left:
            by_queue[each.queue_name or ""].append(each.workflow_id)
        for queue, ids in by_queue.items():
            client.resume_workflows(ids, queue_name=queue or None)
        return len(left)

    def forget_finished(self, before: datetime) -> int:
        """See `JobQueue`."""
        client, count = self._started(), 0
        moment = before.isoformat()
        while True:
            found = client.list_workflows(
                status=_ENDED, completed_before=moment, limit=_BATCH, load_input=False, load_output=False
            )
            if found:
                client.delete_workflows([each.workflow_id for each in found])
            count += len(found)
            if len(found) < _BATCH:
                return count

    def stop(self, patience_s: float) -> None:
        """See `JobQueue`."""
        if self._launched:
            DBOS.destroy(workflow_completion_timeout_sec=max(1, int(patience_s)))
            self._launched = False
        if self._client is not None:
            self._client.destroy()
            self._client = None

    def _started(self) -> DBOSClient:
        if self._client is None:
            raise RuntimeError("the job queue is not started")
        return self._client


class _Seldom(logging.Filter):
    """One line a minute from each place: the engine's threads tell of a lost database five times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = (record.pathname, record.lineno)
        if record.created - self._told.get(place, 0.0) < _SELDOM_S:
            return False
        self._told[place] = record.created
        return True


def upgrade_engine(engine: Engine) -> None:
    """Bring the engine's own tables to the schema of the engine that is installed."""
    DBOS.migrate(engine.url.render_as_string(hide_password=False))
