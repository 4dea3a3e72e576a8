"""A backup of a node at work, made and restored as docs/operations.md says: the database first, the files after it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from node import overview, sweeping
from node.app import Node
from node.config import Config
from node.pipeline.durable import upgrade_engine
from storage.database import Database
from storage.records import StudyState
from storage.schema import make_engine
from storage.sweeps import Sweep, Sweeps
from tests.support_exams import STUDY, incoming, settings
from tests.support_postgres import Postgres, program

READ = f"{STUDY}.9"


class Sqlite:
    """The embedded database."""

    def config(self, folder: Path) -> Config:
        return settings(folder)

    def back_up(self, config: Config, backup: Path) -> None:
        with (
            sqlite3.connect(backup.parent / "node.sqlite") as source,
            sqlite3.connect(backup / "node.sqlite") as copy,
        ):
            source.backup(copy)
        source.close()
        copy.close()

    def restore(self, backup: Path) -> Config:
        return settings(backup)


class Server:
    """PostgreSQL, by the commands that docs/operations.md names."""

    def __init__(self, server: Postgres) -> None:
        self.server = server

    def config(self, folder: Path) -> Config:
        return self._config(folder, self.server.new_database(f"backed{folder.name}"))

    def _config(self, folder: Path, url: str) -> Config:
        storage = {"database_url": url, "object_folder": f"{folder}/objects", "minimum_free_bytes": 0}
        return settings(folder, storage=storage)

    def back_up(self, config: Config, backup: Path) -> None:
        self._run("pg_dump", "--format=custom", f"--file={backup}/node.dump", url_of(config.storage.database_url))

    def restore(self, backup: Path) -> Config:
        url = self.server.new_database(f"restored{backup.parent.name}")
        self._run("pg_restore", "--exit-on-error", f"--dbname={url_of(url)}", f"{backup}/node.dump")
        return self._config(backup, url)

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def url_of(url: str) -> str:
    """As PostgreSQL's own programs take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> Sqlite | Server:
    return Sqlite() if request.param == "sqlite" else Server(request.getfixturevalue("postgres_server"))


def opened(config: Config) -> Node:
    """A node that works on these data without its threads."""
    database = Database(make_engine(config.storage.database_url))
    database.create_schema()
    upgrade_engine(database.engine)
    database.engine.dispose()
    node = Node(config)
    node.connect()
    return node


def swept(node: Node) -> Sweep:
    return sweeping.sweep(Sweeps(node.database), node.store, datetime.now(UTC), older_than_s=0)


def counted(node: Node) -> tuple[object, ...]:
    tallies = node.index.tallies
    return (tallies.studies(), tallies.instances(), tallies.kept_bytes())


def test_a_backup_of_a_node_at_work_is_restored_whole(kind: Sqlite | Server, tmp_path: Path) -> None:
    node = opened(kind.config(tmp_path))
    try:
        for number in range(3):
            node.intake.accept(incoming(number))
        for number in range(4):
            node.intake.accept(incoming(number, study=READ))
        assert node.orders.complete(READ, anyway=True) == 1
        before = counted(node)
        backup = tmp_path / "backup"
        backup.mkdir()
        kind.back_up(node.config, backup)
        node.intake.accept(incoming(3))  # it goes on working
        shutil.copytree(tmp_path / "objects", backup / "objects", ignore=shutil.ignore_patterns(".incoming", ".lock"))
    finally:
        node.stop()

    restored = opened(kind.restore(backup))
    try:
        found = swept(restored)
        assert (found.missing, found.orphans) == (0, 1), "what came after the database was copied is only a file"
        assert counted(restored) == before
        for each in restored.index.instances(STUDY) + restored.index.instances(READ):
            restored.store.verify(each.path, each.sha256)
        assert restored.index.study(READ).state is StudyState.READING
        assert restored.orders.reconcile() == 0, "the job that waited is in the backup too"
        assert str(restored.intake.accept(incoming(0)).outcome) == "duplicate"
        assert str(restored.intake.accept(incoming(3)).outcome) == "stored"
        assert (swept(restored).missing, swept(restored).orphans) == (0, 0)
        assert restored.index.tallies.instances()[0] == before[1][0] + 1, "counting goes on"
        assert overview.status(restored.config).upkeep.kept_bytes == restored.index.tallies.kept_bytes()
    finally:
        restored.stop()
