"""Counts that nobody has to count: exact at every moment, whatever is added, moved, removed or undone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState, ResultObject, StoredReading, StudyState
from storage.schema import DeliveryRow, InstanceRow, ReadingRow, ResultObjectRow, StudyRow, make_engine
from storage.schema_traffic import ForwardRow
from storage.tallies import Tallies, TallyRow
from tests.support_index import received
from tests.support_postgres import Postgres

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path}/node.sqlite")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        engine = make_engine(server.new_database(f"tallies{tmp_path.name}"))  # type: ignore[attr-defined]
    made = Database(engine)
    made.create_schema()
    yield made
    engine.dispose()


def live(database: Database, study: str, *, images: int = 2) -> None:
    """An exam comes, is read, and its result delivered to one of two destinations."""
    index, outbox = Index(database), Outbox(database)
    for number in range(images):
        image = received(study, NOW, number, size_bytes=1000)
        assert index.add_instance(image, lambda _views: NOW, forward_to=["archive"])
    assert index.close_study(study, NOW) == 1
    reading = StoredReading(
        study_instance_uid=study, revision=1, reading_json="{}", category="NEGATIVE", previews={}, saved_at=NOW
    )
    assert outbox.save_reading(reading)
    result = ResultObject(
        sop_instance_uid=f"{study}.99",
        sop_class_uid="1.2",
        study_instance_uid=study,
        series_instance_uid=f"{study}.98",
        revision=1,
        kind="summary_sc",
        options="",
        part="",
        path="x",
        sha256="",
        size_bytes=500,
        created_at=NOW,
        error="",
    )
    deliveries = [
        Delivery(
            sop_instance_uid=result.sop_instance_uid,
            study_instance_uid=study,
            revision=1,
            kind="summary_sc",
            destination=name,
            state=state,
            attempts=0,
            due_at=NOW,
            last_status=None,
            last_error="",
            delivered_at=None,
        )
        for name, state in (("pacs", DeliveryState.DELIVERED), ("other", DeliveryState.PENDING))
    ]
    outbox.add_results([result], deliveries)
    index.advance(study, 1, {StudyState.READING: StudyState.ANSWERED})


def agree(database: Database) -> None:
    """With what a count of every row says."""
    tallies = Tallies(database)
    with database.transaction() as session:

        def by(*columns: sa.ColumnElement[str]) -> Counter[tuple[str, ...]]:
            found = session.execute(sa.select(*columns, sa.func.count()).group_by(*columns))
            return Counter({tuple(row[:-1]): row[-1] for row in found})

        states = by(StudyRow.state)  # type: ignore[arg-type]
        deliveries = by(DeliveryRow.destination, DeliveryRow.state)  # type: ignore[arg-type]
        forwards = by(ForwardRow.destination, ForwardRow.state)  # type: ignore[arg-type]
        readings = by(ReadingRow.category)  # type: ignore[arg-type]
        sizes = [
            session.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(row.size_bytes), 0))).one()
            for row in (InstanceRow, ResultObjectRow)
        ]
    assert {(str(state),): count for state, (count, _) in tallies.studies().items()} == states
    assert tallies.deliveries() == deliveries
    assert tallies.forwards() == forwards
    assert {(category,): count for category, count in tallies.readings().items()} == readings
    assert tallies.instances() == tuple(sizes[0])
    assert tallies.kept_bytes() == sizes[0][1] + sizes[1][1]


def test_the_tally_agrees_with_a_count_through_a_studys_life(database: Database) -> None:
    tallies, index = Tallies(database), Index(database)
    assert (tallies.studies(), tallies.deliveries(), tallies.kept_bytes()) == ({}, {}, 0)
    for number in range(18):
        live(database, f"1.2.{number}")
    agree(database)
    assert tallies.kept_bytes() == 18 * 2500
    late = received("1.2.3", NOW + timedelta(hours=1), 7)
    assert index.add_instance(late, lambda _views: NOW)
    assert not index.add_instance(late, lambda _views: NOW), "what is not kept is not counted"
    assert tallies.studies()[StudyState.RECEIVING][0] == 1
    with database.engine.begin() as connection:
        connection.execute(sa.update(ForwardRow).values(state="DELIVERED"))
    gone = [
        each
        for each in index.expired(datetime.now(UTC) + timedelta(days=1), 5)
        if index.forget(each, datetime.now(UTC) + timedelta(days=1))
    ]
    assert len(gone) == 5
    agree(database)
    assert tallies.add_up() > 200
    agree(database)
    assert tallies.add_up() == 0


def test_the_oldest_of_each_state_is_told(database: Database) -> None:
    for number, hours in enumerate((3, 1, 2)):
        image = received(f"1.2.{number}", NOW + timedelta(hours=hours))
        Index(database).add_instance(image, lambda _views: NOW + timedelta(days=1))
    assert Tallies(database).studies() == {StudyState.RECEIVING: (3, NOW + timedelta(hours=1))}


def test_what_is_undone_is_not_counted(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            Index(database.joining(session)).add_instance(received("1.2.3", NOW), lambda _views: NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Tallies(database).studies() == {}
    assert Tallies(database).instances() == (0, 0)


def test_adding_up_beside_those_who_count_loses_nothing(database: Database) -> None:
    """Two that add up, as when the lead changes, and two that write."""
    ended = threading.Event()

    def add_up() -> None:
        while not ended.is_set():
            Tallies(database).add_up()

    def write(worker: int) -> None:
        for number in range(10):
            live(database, f"1.{worker}.{number}")

    adding = [threading.Thread(target=add_up) for _ in range(2)]
    writing = [threading.Thread(target=write, args=(worker,)) for worker in (1, 2)]
    for thread in adding + writing:
        thread.start()
    for thread in writing:
        thread.join()
    ended.set()
    for thread in adding:
        thread.join()
    agree(database)
    assert Tallies(database).instances() == (40, 40_000)
    with database.transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(TallyRow)) < 40 * 8
