"""The schema's history: from every earlier one to the present, with everything that is in it, on both databases."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from typer.testing import CliRunner

import storage
from node import backfill
from node.cli import make_app
from storage import migrations
from storage.catalogue import Catalogue, Level, Narrowing
from storage.database import Database, SchemaMismatch
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.records import DeliveryState, StudyState
from storage.refusals import Refusals
from storage.schema import Base, make_engine
from storage.tallies import Tallies
from tests.support_exams import STUDY, as_file, exam
from tests.support_postgres import Postgres

for module in pkgutil.iter_modules(storage.__path__):
    importlib.import_module(f"storage.{module.name}")

#: A database as the software wrote it when its schema had the number 1, with one exam in it.
FIRST = Path(__file__).with_name("first_schema.sql")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    if request.param == "sqlite":
        made = make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        made = make_engine(server.new_database(tmp_path.name))
    yield made
    made.dispose()


def described(engine: Engine) -> dict[str, Any]:
    """Every table as the database itself describes it, without defaults."""
    found = sa.inspect(engine)
    tables = [name for name in found.get_table_names() if name != "alembic_version"]
    return {
        name: {
            "columns": {
                each["name"]: (str(each["type"]), getattr(each["type"], "collation", None), each["nullable"])
                for each in found.get_columns(name)
            },
            "primary key": found.get_pk_constraint(name)["constrained_columns"],
            "foreign keys": sorted(
                (each["constrained_columns"], each["referred_table"], each["referred_columns"])
                for each in found.get_foreign_keys(name)
            ),
            "unique": sorted(each["column_names"] for each in found.get_unique_constraints(name)),
            "indexes": sorted((each["name"], each["column_names"], each["unique"]) for each in found.get_indexes(name)),
        }
        for name in tables
    }


def test_the_last_step_ends_at_what_the_code_says(engine: Engine) -> None:
    """Whoever changes the tables adds a step: scripts/new_revision.py."""
    migrations.upgrade(engine)
    walked = described(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
        sa.MetaData().reflect(connection)
        reflected = sa.MetaData()
        reflected.reflect(connection)
        reflected.drop_all(connection)
    Base.metadata.create_all(engine)
    said = described(engine)
    assert sorted(walked) == sorted(said)
    for table in said:
        assert walked[table] == said[table], f"{table}: the steps end at another table than the code says"


def as_of_the_first(engine: Engine) -> None:
    """The first schema's database with its rows, on either kind of database."""
    script = FIRST.read_text()
    if engine.dialect.name == "sqlite":
        with sqlite3.connect(str(engine.url.database)) as connection:
            connection.executescript(script)
        connection.close()
        return
    migrations.upgrade(engine, "r0001")
    with sqlite3.connect(":memory:") as origin:
        origin.executescript(script)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE alembic_version"))
            reflected = sa.MetaData()
            reflected.reflect(connection)
            for table in reflected.sorted_tables:
                if table.name != "schema_version":
                    copy(origin, table, connection)
    origin.close()


def copy(origin: sqlite3.Connection, table: sa.Table, connection: sa.Connection) -> None:
    names = [column.name for column in table.columns]
    for row in origin.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall():
        values = dict(zip(names, row, strict=True))
        values = {
            name: bool(value) if isinstance(table.c[name].type, sa.Boolean) else value for name, value in values.items()
        }
        connection.execute(table.insert().values(values))


def rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if name != "alembic_version"]
        return {name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) or 0 for name in names}


def test_an_upgrade_keeps_every_row(engine: Engine, tmp_path: Path) -> None:
    as_of_the_first(engine)
    before, database = rows(engine), Database(engine)
    with pytest.raises(SchemaMismatch, match="mammo-node database upgrade"):
        database.check_schema()
    database.create_schema()
    database.check_schema()
    assert {name: rows(engine)[name] for name in before} == before
    tallies = Tallies(database)
    assert {state: count for state, (count, _) in tallies.studies().items()} == {StudyState.READING: 1}
    assert (tallies.instances()[0], sum(tallies.deliveries().values())) == (before["instance"], before["delivery"])
    study = Index(database).study(STUDY)
    assert study is not None
    assert (study.state, study.revision) == (StudyState.READING, 1)
    assert [each.part for each in Outbox(database).results(STUDY)] == [""]
    assert [each.attempts for each in Outbox(database).deliveries(STUDY, states=[DeliveryState.PENDING])] == [2]
    told = {(each.code, each.unread, each.images) for each in Refusals(database).counts()}
    assert told == {("READER_FAILED", 1, 0), ("IMPLANT", 0, 1)}


def test_what_was_kept_before_there_were_searches_is_found_by_them(engine: Engine, tmp_path: Path) -> None:
    as_of_the_first(engine)
    database, store = Database(engine), ObjectStore(tmp_path / "objects")
    database.create_schema()
    for dataset in exam()[:3]:  # the file of the fourth is lost
        path = store.path(f"aa/{STUDY}/{dataset.SOPInstanceUID}.dcm")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_file(dataset))
    assert backfill.make_findable(Catalogue(database), store) == 3
    assert backfill.make_findable(Catalogue(database), store) == 0
    found = Catalogue(database).find(Level.INSTANCE, Narrowing(any_of={"patient_id": ["P1"]}))
    assert sorted(each.uids[-1] for each in found) == [f"{STUDY}.{number}" for number in (1, 2, 3)]


def test_an_interrupted_upgrade_leaves_the_database_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    as_of_the_first(engine)
    with engine.begin() as connection:  # what the second step fails at, after it has begun
        connection.execute(sa.text("CREATE TABLE found_instance (a INTEGER)"))
    before = described(engine)
    with pytest.raises(sa.exc.DBAPIError):
        migrations.upgrade(engine)
    assert described(engine) == before
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE found_instance"))
    Database(engine).create_schema()


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(engine: Engine) -> None:
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'r9999'"))
    with pytest.raises(SchemaMismatch, match=r"r9999, which is newer .* start the newer mammo-node .* restore"):
        Database(engine).create_schema()


def test_the_software_of_the_first_schema_refuses_the_present_database(engine: Engine) -> None:
    """It compares this number with its own, which is 1."""
    migrations.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version FROM schema_version")) == 2


def test_the_command_makes_and_upgrades_the_database(engine: Engine, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    url = engine.url.render_as_string(hide_password=False)
    config.write_text(f"storage: {{database_url: '{url}', object_folder: objects}}\n")

    def called(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(make_app(arguments), [*arguments, "--config", str(config)])
        return done.exit_code, done.output

    assert called("database", "show") == (
        1,
        f"the database has schema none; this version needs {migrations.latest()}\n",
    )
    assert called("database", "upgrade") == (0, f"schema none → {migrations.latest()}\n")
    assert called("database", "upgrade") == (0, f"schema {migrations.latest()}, as it was\n")
    assert called("database", "show")[0] == 0
