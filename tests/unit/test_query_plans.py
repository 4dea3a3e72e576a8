"""What is asked all day looks at few rows, on both databases, however many exams there are.

The databases are filled as years leave them, nearly all exams finished, and know it (ANALYZE): an empty one tells
nothing of what is read of a full one. What is counted is the work that is done, not what a plan promises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from node import overview, search
from node.examinations import scheduled
from node.holdings import Holdings
from node.query import Key, Matching
from node.search import Search
from storage.catalogue import Catalogue, Level
from storage.database import Database
from storage.figures import Figures
from storage.forwards import Forwards
from storage.index import Index
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.records import DeliveryState, StudyState
from storage.schema import make_engine
from storage.tallies import Tallies
from storage.worklist import Worklist
from tests.support_many import ROOT, fill
from tests.support_postgres import Postgres

EXAMS, OPEN = 8000, 400  # one in so many is not finished
#: Rows that a question may look at, and steps of SQLite's machine, of which each row costs some: to list a page of a
#: hundred exams with what each tells takes a good part of them, to read any table or index whole far more.
ROWS, STEPS = EXAMS // 8, 2 * EXAMS
NOW = datetime(2026, 11, 25, tzinfo=UTC)
UID = f"{ROOT}.{EXAMS // 3}"


def found(keys: list[Key]) -> Callable[[Database], object]:
    asked = Search(level=Level.STUDY, keys=tuple(keys), matching=Matching(combined=True), limit=101, offset=0)
    return lambda database: search.search(Catalogue(database), asked)


def page(database: Database, *states: StudyState) -> list[overview.ExamLine]:
    return overview.exam_lines(Holdings.of(database), states, 100)


ASKED: dict[str, Callable[[Database], object]] = {
    "the first page of exams": lambda database: page(database, *StudyState),
    "exams in a state": lambda database: page(database, StudyState.ANSWERED),
    "exams that wait": lambda database: page(database, StudyState.DELIVERING, StudyState.HELD),
    "exams to be read": lambda database: Index(database).studies([StudyState.READING, StudyState.REPORTING]),
    "exams due too late": lambda database: Index(database).hasten_all(datetime.now(UTC) + timedelta(days=1)),
    "an exam's images": lambda database: Index(database).instances(UID),
    "an exam's history": lambda database: Index(database).events(UID),
    "an exam's reading": lambda database: Outbox(database).reading(UID),
    "an exam's results": lambda database: Outbox(database).results(UID),
    "an exam's deliveries": lambda database: Outbox(database).deliveries(UID, revision=1),
    "exams that are whole": lambda database: Index(database).due_studies(NOW),
    "exams by state": lambda database: Tallies(database).studies(),
    "exams whose results waited too long": lambda database: Index(database).expired(NOW, 100),
    "readings by category": lambda database: Tallies(database).readings(),
    "bytes kept": lambda database: Tallies(database).kept_bytes(),
    "instances forwarded": lambda database: Tallies(database).forwards(),
    "a week's exams": lambda database: Ledger(database).standings(NOW - timedelta(days=7), NOW),
    "deliveries by destination": lambda database: Tallies(database).deliveries(),
    "the oldest delivery": lambda database: Figures(database).oldest_deliveries(),
    "the oldest commitment": lambda database: Figures(database).oldest_uncommitted(),
    "the last errors": lambda database: Figures(database).last_errors(),
    "pending deliveries": lambda database: Outbox(database).deliveries(states=[DeliveryState.PENDING]),
    "deliveries that a job waits for": lambda database: Outbox(database).deliveries(
        states=[DeliveryState.PENDING, DeliveryState.UNCOMMITTED]
    ),
    "instances that a job waits for": lambda database: Forwards(database).queued(),
    "studies not forwarded": lambda database: Forwards(database).failed_studies(),
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
    """A full database."""
    if request.param == "sqlite":
        made = make_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'node.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        made = make_engine(server.new_database("plans"))
        sa.event.listen(made, "connect", _on_a_fast_disk)
    Database(made).create_schema()
    fill(Database(made), EXAMS, OPEN)
    yield made
    made.dispose()


def _on_a_fast_disk(connection: Any, _record: object) -> None:
    """A table of this size would be read whole for a hundred rows of it; one a hundred times as large would not."""
    connection.execute("SET random_page_cost = 1.1")
    connection.commit()


def too_much(engine: Engine, ask: Callable[[Database], object]) -> str:
    """What it did, where that was more than it may do; else nothing."""
    if engine.dialect.name == "sqlite":
        steps = steps_of(engine, ask)
        return f"{steps} steps" if steps > STEPS else ""
    plans = {statement: plan for statement, plan in plans_of(engine, ask) if rows_of(plan) > ROWS}
    return "\n".join(f"{rows_of(plan)} rows: {statement}\n{json.dumps(plan)}" for statement, plan in plans.items())


def steps_of(engine: Engine, ask: Callable[[Database], object]) -> int:
    """Steps that SQLite's machine makes."""
    steps = [0]

    def hundred() -> None:
        steps[0] += 100

    def watched(connection: Any, _record: object, _proxy: object) -> None:
        connection.set_progress_handler(hundred, 100)

    sa.event.listen(engine, "checkout", watched)
    try:
        ask(Database(engine))
    finally:
        sa.event.remove(engine, "checkout", watched)
    return steps[0]


def plans_of(engine: Engine, ask: Callable[[Database], object]) -> list[tuple[str, Any]]:
    """Each statement that PostgreSQL gets, and how it was carried out."""
    said: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        said.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        ask(Database(engine))
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert said, "it asks the database nothing: this test would see nothing"
    explain = "EXPLAIN (ANALYZE, FORMAT JSON) "
    with engine.connect() as connection:
        return [(each, connection.exec_driver_sql(explain + each, values).scalar()) for each, values in said]


def rows_of(plan: Any) -> int:
    """Rows that were looked at in a plan and everything below it, those that were of no use too."""
    if isinstance(plan, list):
        return sum(map(rows_of, plan))
    node = plan.get("Plan", plan)
    each = sum(node.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter"))
    return int(each * node.get("Actual Loops", 1)) + rows_of(node.get("Plans", []))


@pytest.mark.parametrize("name", ASKED)
def test_few_rows_are_looked_at(engine: Engine, name: str) -> None:
    assert not too_much(engine, ASKED[name])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT accession_number FROM study WHERE accession_number = 'x'",
        "SELECT state, count(*) FROM study GROUP BY state",
        "SELECT sum(size_bytes) FROM instance",
    ],
)
def test_what_looks_at_everything_is_seen(engine: Engine, statement: str) -> None:
    def ask(database: Database) -> None:
        with database.transaction() as session:
            session.execute(sa.text(statement)).all()

    assert too_much(engine, ask)
