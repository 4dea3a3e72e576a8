"""What is asked all day finds its rows by an index, on both databases, however many exams there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from node import search
from node.examinations import scheduled
from node.query import Key, Matching
from node.search import Search
from storage.catalogue import Catalogue, Level
from storage.database import Database
from storage.figures import Figures
from storage.forwards import Forwards
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, StudyState
from storage.schema import Base, make_engine
from storage.tallies import Tallies
from storage.worklist import Worklist
from tests.support_postgres import Postgres

#: Tables that grow with every exam.
GROWING = frozenset(
    {"study", "instance", "reading", "result_object", "delivery", "forward", "event", "refusal"}
    | {"found_study", "found_series", "found_instance", "expected_exam", "performed_step"}
)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
UID = "1.2.3"


def found(keys: list[Key]) -> Callable[[Database], object]:
    asked = Search(level=Level.STUDY, keys=tuple(keys), matching=Matching(combined=True), limit=101, offset=0)
    return lambda database: search.search(Catalogue(database), asked)


ASKED: dict[str, Callable[[Database], object]] = {
    "the first page of exams": lambda database: Index(database).studies(limit=100),
    "exams in a state": lambda database: Index(database).studies([StudyState.ANSWERED], 100),
    "an exam's images": lambda database: Index(database).instances(UID),
    "an exam's history": lambda database: Index(database).events(UID),
    "an exam's reading": lambda database: Outbox(database).reading(UID),
    "an exam's results": lambda database: Outbox(database).results(UID),
    "an exam's deliveries": lambda database: Outbox(database).deliveries(UID, revision=1),
    "exams that are whole": lambda database: Index(database).due_studies(NOW),
    "exams by state": lambda database: Tallies(database).studies(),
    "exams whose results waited too long": lambda database: Index(database).expired(NOW),
    "deliveries by destination": lambda database: Tallies(database).deliveries(),
    "the oldest delivery": lambda database: Figures(database).oldest_deliveries(),
    "the oldest commitment": lambda database: Figures(database).oldest_uncommitted(),
    "the last errors": lambda database: Figures(database).last_errors(),
    "pending deliveries": lambda database: Outbox(database).deliveries(states=[DeliveryState.PENDING]),
    "instances to forward": lambda database: Forwards(database).waiting(),
    "the oldest to forward": lambda database: Forwards(database).oldest(),
    "the day's list": lambda database: Worklist(database).lines(*scheduled.bounds(NOW.date())),
    "steps that are whole": lambda database: Worklist(database).whole(),
    "search by patient": found([Key("00100020", "LO", ("P1",))]),
    "search by accession": found([Key("00080050", "SH", ("A1",))]),
    "search by date": found([Key("00080020", "DA", ("20261125",))]),
    "search by study": found([Key("0020000D", "UI", (UID,))]),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An empty database. PostgreSQL reads small tables whole, unless it is told that this is dear."""
    if request.param == "sqlite":
        made = make_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'node.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        made = make_engine(server.new_database("plans"))
        sa.event.listen(made, "connect", _no_whole_tables)
    Database(made).create_schema()
    yield made
    made.dispose()


def _no_whole_tables(connection: Any, _record: object) -> None:
    connection.execute("SET enable_seqscan = off")
    connection.commit()


def asked_of(engine: Engine, ask: Callable[[Database], object]) -> list[tuple[str, Any]]:
    """Statements that the database gets, with their values."""
    said: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            said.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        ask(Database(engine))
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return said


def read_whole(engine: Engine, statement: str, values: Any) -> list[str]:
    """Lines of the plan that read a table, not an index of it, from end to end."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{statement}", values).all()
    if sqlite:
        lines = [str(row[3]) for row in plan]
        scans = [line for line in lines if line.startswith("SCAN ") and "INDEX" not in line]
    else:
        scans = [str(row[0]).strip() for row in plan if "Seq Scan on" in str(row[0])]
    return [line for line in scans if GROWING & {re.sub(r"_\d+$", "", word) for word in line.split()}]


@pytest.mark.parametrize("name", ASKED)
def test_no_table_that_grows_is_read_whole(engine: Engine, name: str) -> None:
    statements = asked_of(engine, ASKED[name])
    assert statements, "it asks the database nothing: this test would see nothing"
    whole = {statement: lines for each in statements if (lines := read_whole(engine, *each)) for statement in [each[0]]}
    assert not whole, whole


def test_a_table_that_is_read_whole_is_seen(engine: Engine) -> None:
    assert set(Base.metadata.tables) >= GROWING
    assert read_whole(engine, "SELECT accession_number FROM study WHERE accession_number = 'x'", ())
