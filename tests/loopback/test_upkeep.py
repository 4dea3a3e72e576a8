"""What keeps a node going: takeover, reconciling, sweeps, quota, watermark; and what `status` says of each."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from node import holdings, overview, sweeping
from node.app import Node
from node.cli import make_app
from node.config import Config
from node.duties import Duty
from node.errors import ConfigError, OutOfResources
from node.housekeeping import Housekeeper
from node.pipeline.durable import DurableJobs, upgrade_engine
from node.pipeline.heartbeat import Heartbeat
from node.pipeline.jobs import Job, Stage
from node.roles import Role
from node.settings_storage import PipelineSettings
from node.upkeep import DutyLine
from storage.database import Database, SchemaMismatch
from storage.duties import Duties
from storage.records import StudyState
from storage.schema import make_engine
from storage.sweeps import Sweeps
from storage.workers import DatabaseSlot, Workers
from tests.support import wait_until
from tests.support_exams import STUDY, incoming, settings
from tests.support_postgres import Postgres

FAST = PipelineSettings(heartbeat_s=0.05, takeover_s=0.4)


@pytest.fixture
def shared(postgres_server: Postgres, tmp_path: Path) -> Iterator[Database]:
    """A PostgreSQL database with every table."""
    database = Database(make_engine(postgres_server.new_database(tmp_path.name)))
    database.create_schema()
    upgrade_engine(database.engine)
    yield database
    database.engine.dispose()


def config_of(database: Database, folder: Path, **storage: object) -> Config:
    url = database.engine.url.render_as_string(hide_password=False)
    return settings(folder, storage={"database_url": url, "object_folder": f"{folder}/objects", **storage})


class Beating:
    """A worker of the shared database whose heart can be stopped without a goodbye."""

    def __init__(self, database: Database, name: str, roles: str = "read") -> None:
        self.slot = DatabaseSlot(database.engine, name)
        self.jobs = DurableJobs(database.engine, {})
        self.jobs.connect()
        self.lost: list[str] = []
        self.holder = uuid.uuid4().hex
        self.heart = Heartbeat(
            self.slot,
            Workers(database),
            self.jobs,
            FAST,
            holder=self.holder,
            duties=Duties(database),
            lost=lambda: self.lost.append(self.slot.name),
        )
        self.heart.start(roles)

    def die(self) -> None:
        self.heart._ended.set()
        self.heart._thread.join()
        self.slot.release()

    def stop(self) -> None:
        self.heart.stop()
        self.jobs.stop(1)


def pending_of(database: Database, slot: str) -> None:
    """One job in the engine's table as if a worker were at it."""
    jobs = DurableJobs(database.engine, {})
    jobs.connect()
    job = Job(stage=Stage.READ, study_instance_uid="1.2.3", revision=1, number=0)
    with Session(database.engine) as session, session.begin():
        jobs.enqueue(session, job, turn=1)
    jobs.stop(1)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE dbos.workflow_status SET status='PENDING', executor_id=:slot"), {"slot": slot})


def statuses(database: Database) -> list[str]:
    with database.engine.connect() as connection:
        return list(connection.scalars(text("SELECT status FROM dbos.workflow_status")))


def test_a_silent_workers_jobs_go_back_to_their_queue_and_a_living_ones_do_not(shared: Database) -> None:
    leader, other = Beating(shared, "host.read"), Beating(shared, "host.read")
    try:
        assert (leader.slot.name, other.slot.name) == ("host.read.1", "host.read.2")
        assert (leader.heart.leads, other.heart.leads) == (True, False)
        pending_of(shared, other.slot.name)
        seen = {each.slot: each.beat_at for each in Workers(shared).all()}
        later = timedelta(seconds=3 * FAST.takeover_s)
        wait_until(
            lambda: all(each.beat_at > seen[each.slot] + later for each in Workers(shared).all()), 30, "both to live on"
        )
        assert statuses(shared) == ["PENDING"], "the work of a living worker was taken"
        other.die()
        wait_until(lambda: statuses(shared) == ["ENQUEUED"], 30, "the silent worker's job to be taken over")
    finally:
        other.jobs.stop(1)
        leader.stop()


def test_when_the_leader_dies_another_leads_and_its_slot_is_the_next_ones(shared: Database) -> None:
    leader, other = Beating(shared, "host.read"), Beating(shared, "host.read")
    leader.die()
    try:
        wait_until(lambda: other.heart.leads, 30, "the other to lead")
        again = Beating(shared, "host.read")
        assert again.slot.name == "host.read.1", "a restart takes up the same slot, and with it its own work"
        again.stop()
    finally:
        leader.jobs.stop(1)
        other.stop()


def test_a_worker_whose_slot_was_given_away_ends(shared: Database) -> None:
    worker = Beating(shared, "host.read")
    try:
        Workers(shared).enter(worker.slot.name, "read", uuid.uuid4().hex)
        wait_until(lambda: worker.lost, 30, "it to notice")
    finally:
        worker.stop()


def test_a_worker_that_said_goodbye_is_taken_over_at_once_and_forgotten(shared: Database) -> None:
    leader, other = Beating(shared, "host.read"), Beating(shared, "host.read")
    try:
        pending_of(shared, other.slot.name)
        other.stop()
        wait_until(
            lambda: [each.slot for each in Workers(shared).all()] == [leader.slot.name], 30, "it to be forgotten"
        )
        assert statuses(shared) == ["ENQUEUED"]
    finally:
        leader.stop()


def test_finished_jobs_are_forgotten_and_waiting_ones_are_not(shared: Database) -> None:
    pending_of(shared, "nobody")
    jobs = DurableJobs(shared.engine, {})
    jobs.connect()
    try:
        later = datetime.now(UTC) + timedelta(days=1)
        assert jobs.forget_finished(later) == 0
        with shared.engine.begin() as connection:
            done = "UPDATE dbos.workflow_status SET status='SUCCESS', completed_at=EXTRACT(epoch FROM now()) * 1000"
            connection.execute(text(done))
        assert jobs.forget_finished(datetime.now(UTC) - timedelta(days=1)) == 0
        assert jobs.forget_finished(later) == 1
        assert statuses(shared) == []
    finally:
        jobs.stop(1)


def test_status_tells_of_silent_workers_and_of_roles_that_nobody_has(shared: Database, tmp_path: Path) -> None:
    config = config_of(shared, tmp_path).model_copy(update={"pipeline": FAST})
    receiver = Beating(shared, "host.receive", "receive")
    Workers(shared).enter("host.receive.9", "receive", uuid.uuid4().hex)
    node = Node(config)
    node.connect()
    try:
        for number in range(4):
            node.intake.accept(incoming(number))
        assert node.orders.complete(STUDY, anyway=True) == 1
        assert node.orders.reconcile() == 0, "its job waits"
        with shared.engine.begin() as connection:
            connection.execute(text("DELETE FROM dbos.workflow_status"))
        assert node.orders.reconcile() == 1, "a job that is missing is enqueued again"

        def told() -> str:
            return "\n".join(overview.status(config).attention)

        wait_until(lambda: "worker host.receive.9 is silent" in told(), 30, "the silent worker to be told of")
        assert "no worker has the role read: mammo-node serve --role read" in told()
        assert holdings.node_runs(config)
        kept = overview.status(config).upkeep
        assert {line.slot: str(line.pulse) for line in kept.workers}["host.receive.9"] == "silent"
        assert kept.kept_bytes == node.index.tallies.kept_bytes() > 4 * 640 * 512 * 2
    finally:
        node.stop()
        receiver.stop()


def test_the_leader_does_every_duty_and_status_says_when_and_what_it_found(shared: Database, tmp_path: Path) -> None:
    config = config_of(shared, tmp_path, retention_days=30).model_copy(update={"pipeline": FAST})
    node = Node(config)
    node.connect()
    pending_of(shared, "gone.read.1")
    Workers(shared).enter("gone.read.1", "read", "f" * 32)
    leader = Beating(shared, "host.read")
    left, living = (unfinished(node, writer) for writer in ("f" * 32, leader.holder))
    young = unfinished(node, "f" * 32, age_s=0)
    housekeeper = Housekeeper(node.database, node.store, node.orders, config, leader.heart)
    housekeeper.start()
    try:
        wait_until(lambda: all(each.ago_s is not None for each in duties(config).values()), 30, "every duty to be done")
        wait_until(lambda: duties(config)[Duty.TAKEOVER].last_found == 1, 30, "the job to be taken over")
        assert statuses(shared) == ["ENQUEUED"]
        assert set(duties(config)) == set(Duty)
        assert duties(config)[Duty.HALF_WRITTEN].found == 1
        assert [each.exists() for each in (left, living, young)] == [False, True, True]
        leading = {line.slot for line in overview.status(config).upkeep.workers if line.leads}
        assert leading == {"host.read.1"}
        said = CliRunner().invoke(make_app(["status"]), ["status", "--config", str(written(config, tmp_path))]).output
        for duty in Duty:
            assert re.search(rf"^{duty} .* ago ", said, re.MULTILINE), said
        assert re.search(r"^host\.read\.1 +read +works +leads", said, re.MULTILINE), said
    finally:
        housekeeper.stop()
        leader.stop()
        node.stop()


def duties(config: Config) -> dict[Duty, DutyLine]:
    return {line.duty: line for line in overview.status(config).upkeep.duties}


def unfinished(node: Node, writer: str, age_s: float = 2 * sweeping.HALF_WRITTEN_S) -> Path:
    path = node.store.incoming / f"{writer}-{age_s}"
    path.write_bytes(b"half an image")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def written(config: Config, folder: Path) -> Path:
    storage = {"database_url": config.storage.database_url, "object_folder": str(config.storage.object_folder)}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"storage": {**storage, "retention_days": 30}}))
    return path


def test_roles_apart_need_a_database_that_can_be_shared(tmp_path: Path) -> None:
    node = Node(settings(tmp_path), [Role.READ])
    with pytest.raises(ConfigError, match="PostgreSQL"):
        node.start()
    node.stop()


def test_an_empty_postgresql_database_is_refused_with_what_to_do(postgres_server: Postgres, tmp_path: Path) -> None:
    database = Database(make_engine(postgres_server.new_database(f"empty{tmp_path.name}")))
    node = Node(config_of(database, tmp_path))
    with pytest.raises(SchemaMismatch, match=r"no tables yet: .* mammo-node database upgrade"):
        node.start()
    node.stop()
    database.engine.dispose()


# ---------------------------------------------------------------- files and room


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(settings(tmp_path))
    made.database.create_schema()
    yield made
    made.stop()


def test_a_sweep_finds_files_without_rows_and_rows_without_files(node: Node, tmp_path: Path) -> None:
    for number in range(4):
        node.intake.accept(incoming(number))
    node.intake.accept(incoming(0, PatientName="Other^Content"))
    sweeps, now = Sweeps(node.database), datetime.now(UTC)
    clean = sweeping.sweep(sweeps, node.store, now, older_than_s=0)
    assert (clean.orphans, clean.missing) == (0, 0), "what is kept aside has a row too"

    left = node.store.put([b"half"], study_instance_uid=STUDY, name=f"{STUDY}.77", suffix=".dcm")
    stray = node.store.put([b"a whole"], study_instance_uid=f"{STUDY}.5", name=f"{STUDY}.78", suffix=".dcm")
    gone = node.index.instances(STUDY)[1]
    node.store.path(gone.path).unlink()
    young = sweeping.sweep(sweeps, node.store, now)
    assert (young.orphans, young.missing) == (0, 1), "a young file may be on its way to its row"
    found = sweeping.sweep(sweeps, node.store, now, older_than_s=0)
    assert (found.orphans, found.orphan_bytes, found.missing, found.missing_studies) == (2, 11, 1, (STUDY,))
    told = overview.status(node.config)
    assert told.upkeep.sweep == found
    assert any("1 kept files are gone" in sentence for sentence in told.attention)
    assert node.store.path(left.path).exists(), "nothing is removed unasked"
    sweeping.sweep(sweeps, node.store, now, older_than_s=0, remove=True)
    assert not node.store.path(left.path).exists()
    assert not node.store.path(stray.path).exists()
    assert all(node.store.path(each.path).exists() for each in node.index.instances(STUDY) if each != gone)


def test_the_quota_refuses_before_it_is_passed_and_takes_again_after(tmp_path: Path) -> None:
    storage = {"database_url": f"sqlite:///{tmp_path}/n.sqlite", "object_folder": f"{tmp_path}/o"}
    size = len(incoming().encoded)
    node = Node(settings(tmp_path, storage={**storage, "minimum_free_bytes": 0, "maximum_bytes": 2 * size + 9000}))
    node.database.create_schema()
    try:
        node.intake.accept(incoming(0))
        node.intake.accept(incoming(1))
        with pytest.raises(OutOfResources, match=r"storage\.maximum_bytes allows") as refused:
            node.intake.accept(incoming(2))
        assert refused.value.dimse_status == 0xA700
        image = incoming(2)
        arriving = node.intake.begin(image.sop_class_uid, image.sop_instance_uid, image.transfer_syntax_uid)
        arriving.write(bytes(17_000_000))
        with pytest.raises(OutOfResources, match=r"storage\.maximum_bytes allows"):
            arriving.whole()
        assert node.index.tallies.kept_bytes() <= 2 * size + 9000
        assert node.index.study(STUDY).state is StudyState.RECEIVING
    finally:
        node.stop()


def test_status_warns_before_the_disk_is_at_its_watermark(node: Node, tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    near = node.config.storage.model_copy(update={"minimum_free_bytes": int(free / 1.5)})
    told = overview.status(node.config.model_copy(update={"storage": near})).attention
    assert any("nearly full" in sentence for sentence in told), told
