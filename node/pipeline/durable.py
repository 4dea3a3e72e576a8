"""The job queue on DBOS Transact: no server on SQLite, the same code distributed on PostgreSQL.

A workflow here has no steps: a stage is idempotent by itself (see `stages`), so all that is asked of the engine is
that a job which was enqueued is run until it has ended. Application rows are never written by its steps.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from node.errors import ConfigError
from node.pipeline.jobs import Job, Stage

#: A worker takes only jobs of its own version: raise it when a job's arguments change their meaning.
JOBS_VERSION = "1"
_NAME = "mammo-node"
_WAITING = ["ENQUEUED", "DELAYED", "PENDING"]
_POLLING_S = 0.2
_LOCK_PATIENCE_S = 1.0


class DurableJobs:
    """One worker. `queues`: queue name → how many of its jobs run at a time here.

    executor: names this worker among those of one database, and stays the same over restarts, so that a restart
    takes up its own work. `lock_file` is held while it lives: two live workers of one name would run jobs twice.
    """

    def __init__(self, engine: Engine, queues: Mapping[str, int], *, executor: str, lock_file: Path) -> None:
        self._engine = engine
        self._queues = queues
        self._executor = executor
        self._lock_file = lock_file
        self._lock: Any = None
        self._client: DBOSClient | None = None

    def start(self, run: Callable[[Job], None]) -> None:
        """See `JobQueue`. Raises ConfigError when another process works under this name."""
        self._lock = _locked(self._lock_file)
        logging.getLogger("dbos").setLevel(logging.WARNING)
        config = DBOSConfig(
            name=_NAME,
            system_database_url=self._engine.url.render_as_string(hide_password=False),
            system_database_engine=self._engine,
            serializer=DBOSPortableJSONSerializer(),
            application_version=JOBS_VERSION,
            executor_id=self._executor,
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
        for name, concurrency in self._queues.items():
            DBOS.register_queue(
                name, worker_concurrency=concurrency, polling_interval_sec=_POLLING_S, on_conflict="always_update"
            )
        self.connect()

    def connect(self) -> None:
        """Only enqueue, for a worker elsewhere to run; for commands beside a running node."""
        self._client = DBOSClient(
            system_database_engine=self._engine, serializer=DBOSPortableJSONSerializer(), application_name=_NAME
        )

    def enqueue(self, session: Session, job: Job, delay_s: float = 0.0) -> None:
        """See `JobQueue`."""
        options: EnqueueOptions = {
            "workflow_name": "job",
            "queue_name": job.queue,
            "workflow_id": job.job_id,
            "app_version": JOBS_VERSION,
        }
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._started().enqueue_in_transaction(
            session, options, str(job.stage), job.study_instance_uid, job.revision, job.number, job.destination
        )

    def is_waiting(self, job: Job) -> bool:
        """See `JobQueue`."""
        found = self._started().list_workflows(
            workflow_id_prefix=job.prefix, status=_WAITING, limit=1, load_input=False, load_output=False
        )
        return bool(found)

    def stop(self, patience_s: float) -> None:
        """See `JobQueue`."""
        if self._client is not None:
            if self._lock is not None:
                DBOS.destroy(workflow_completion_timeout_sec=max(1, int(patience_s)))
            self._client.destroy()
            self._client = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _started(self) -> DBOSClient:
        if self._client is None:
            raise RuntimeError("the job queue is not started")
        return self._client


def upgrade_engine(engine: Engine) -> None:
    """Bring the engine's own tables to the schema of the engine that is installed."""
    DBOS.migrate(engine.url.render_as_string(hide_password=False))


def _locked(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a")
    # `status` looks whether a node runs by taking the lock for a moment
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            handle.close()
            raise ConfigError(
                f"another mammo-node works on {path.parent}: stop it, or give this one its own storage.object_folder"
            ) from error
        return handle
