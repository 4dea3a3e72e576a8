"""The index: what is in it, and state changes that say whether they happened."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState, Instance, Priority, ResultObject, StoredReading, StudyState
from storage.schema import make_engine
from tests.support_index import received

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
STUDY = "1.2.3"


@pytest.fixture
def database(tmp_path: Path):
    engine = make_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    database = Database(engine)
    database.create_schema()
    yield database
    engine.dispose()


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


def instance(number: int, **changes: object) -> Instance:
    kept = {
        "path": f"00/{number}.dcm",
        "sha256": f"{number:064d}",
        "size_bytes": 100,
        "standard_view": "R CC",
        "calling_ae_title": "PACS",
    }
    return received(STUDY, NOW, number, **{**kept, **changes})


def due_now(_views: frozenset[str]) -> datetime:
    return NOW


def result(number: int, revision: int = 1) -> ResultObject:
    return ResultObject(
        sop_instance_uid=f"2.25.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        study_instance_uid=STUDY,
        series_instance_uid="2.25.9",
        revision=revision,
        kind="summary_sc",
        options="{}",
        part="",
        path="00/r.dcm",
        sha256="0" * 64,
        size_bytes=1,
        created_at=NOW,
    )


def delivery(number: int, revision: int = 1) -> Delivery:
    return Delivery(
        sop_instance_uid=f"2.25.{number}",
        study_instance_uid=STUDY,
        revision=revision,
        kind="summary_sc",
        destination="pacs",
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=NOW,
    )


def test_an_instance_is_indexed_once_with_its_study_and_its_history(index: Index) -> None:
    assert index.add_instance(instance(1), due_now)
    assert not index.add_instance(instance(1, sha256="f" * 64), due_now), "a second row under one UID"
    assert index.instance("1.2.3.1") == instance(1)
    study = index.study(STUDY)
    assert study is not None
    assert (study.state, study.revision, study.due_at) == (StudyState.RECEIVING, 0, NOW)
    assert [event.stage for event in index.events(STUDY)] == ["receive"]


def test_completeness_is_asked_with_every_standard_view_present(index: Index) -> None:
    asked: list[frozenset[str]] = []

    def due_at(views: frozenset[str]) -> datetime:
        asked.append(views)
        return NOW

    index.add_instance(instance(1, standard_view="R CC"), due_at)
    index.add_instance(instance(2, standard_view=""), due_at)
    index.add_instance(instance(3, standard_view="L MLO"), due_at)
    assert asked == [{"R CC"}, {"R CC"}, {"R CC", "L MLO"}]


def test_an_instance_that_is_only_stored_opens_no_exam_and_reopens_none(index: Index) -> None:
    index.add_instance(instance(1, to_read=False), due_now)
    assert index.due_studies(NOW) == []
    assert index.study(STUDY).state is StudyState.STORED
    index.add_instance(instance(2), due_now)
    index.close_study(STUDY, NOW)
    index.add_instance(instance(3, to_read=False), due_now)
    assert index.study(STUDY).state is StudyState.READING


def test_a_study_is_as_urgent_as_the_most_urgent_of_its_images_that_are_read(index: Index) -> None:
    index.add_instance(instance(1, to_read=False), due_now, priority=Priority.URGENT)
    index.add_instance(instance(2), due_now, priority=Priority.ARCHIVE)
    assert index.precedence(STUDY) == (Priority.ARCHIVE, NOW), "what is only stored makes nothing urgent"
    index.add_instance(instance(3), due_now, priority=Priority.URGENT)
    index.add_instance(instance(4, received_at=NOW + timedelta(minutes=1)), due_now, priority=Priority.ROUTINE)
    assert index.precedence(STUDY) == (Priority.URGENT, NOW + timedelta(minutes=1))


def test_a_study_is_closed_once_and_only_when_due(index: Index) -> None:
    index.add_instance(instance(1), due_now)
    assert index.close_study(STUDY, NOW - timedelta(seconds=1)) is None
    assert index.close_study(STUDY, NOW) == 1
    assert index.close_study(STUDY, NOW) is None, "closed twice: it would be read twice"
    assert index.study(STUDY).state is StudyState.READING


def test_a_late_image_reopens_and_the_next_close_is_a_new_revision(index: Index) -> None:
    index.add_instance(instance(1), due_now)
    index.close_study(STUDY, NOW)
    index.add_instance(instance(2), due_now)
    moved = index.advance(STUDY, 1, {StudyState.READING: StudyState.REPORTING})
    assert not moved, "revision 1 went on although a later one will answer"
    assert index.close_study(STUDY, NOW) == 2


def test_advance_moves_only_from_the_named_states_of_the_named_revision(index: Index) -> None:
    index.add_instance(instance(1), due_now)
    index.close_study(STUDY, NOW)
    steps = {StudyState.READING: StudyState.REPORTING}
    assert not index.advance(STUDY, 2, steps)
    assert index.advance(STUDY, 1, steps)
    assert not index.advance(STUDY, 1, steps)
    assert index.study(STUDY).state is StudyState.REPORTING


def test_hasten_only_ever_makes_it_sooner_and_only_what_still_receives(index: Index) -> None:
    index.add_instance(instance(1), lambda _: NOW + timedelta(seconds=60))
    index.hasten(STUDY, NOW + timedelta(seconds=90))
    assert index.study(STUDY).due_at == NOW + timedelta(seconds=60)
    index.hasten(STUDY, NOW + timedelta(seconds=1))
    assert index.study(STUDY).due_at == NOW + timedelta(seconds=1)
    index.close_study(STUDY, NOW + timedelta(seconds=1))
    index.hasten(STUDY, NOW)
    assert index.study(STUDY).due_at is None


def test_failures_begin_again_with_the_next_stage_and_job_numbers_never_do(index: Index) -> None:
    index.add_instance(instance(1), due_now)
    index.close_study(STUDY, NOW)
    assert [index.count_failure(STUDY) for _ in range(3)] == [1, 2, 3]
    assert [index.next_job(STUDY) for _ in range(2)] == [1, 2]
    index.advance(STUDY, 1, {StudyState.READING: StudyState.REPORTING})
    assert index.count_failure(STUDY) == 1
    assert index.next_job(STUDY) == 3


def test_a_reading_is_saved_once_per_revision(index: Index, outbox: Outbox) -> None:
    index.add_instance(instance(1), due_now)
    stored = StoredReading(
        study_instance_uid=STUDY,
        revision=1,
        reading_json='{"a": 1}',
        category="NEGATIVE",
        previews={"1.2.3.1": "00/p.png"},
        saved_at=NOW,
    )
    assert outbox.save_reading(stored)
    assert not outbox.save_reading(stored)
    assert outbox.reading(STUDY) == outbox.reading(STUDY, 1) == stored
    assert outbox.reading(STUDY, 2) is None


def test_a_newer_revision_supersedes_what_was_not_delivered(index: Index, outbox: Outbox) -> None:
    index.add_instance(instance(1), due_now)
    outbox.add_results([result(1), result(2)], [delivery(1), delivery(2)])
    outbox.add_results([result(1)], [delivery(1)])  # a rerun adds nothing
    done = outbox.deliveries(STUDY)[0]
    outbox.save_delivery(Delivery(**{**_fields(done), "state": DeliveryState.DELIVERED, "delivered_at": NOW}))
    outbox.add_results([result(3, revision=2)], [delivery(3, revision=2)])
    states = {item.sop_instance_uid: item.state for item in outbox.deliveries(STUDY)}
    assert states == {
        "2.25.1": DeliveryState.DELIVERED,
        "2.25.2": DeliveryState.SUPERSEDED,
        "2.25.3": DeliveryState.PENDING,
    }
    assert outbox.is_own_result("2.25.1")
    assert not outbox.is_own_result("1.2.3.1")


def test_only_settled_studies_expire_and_a_forgotten_one_leaves_nothing(index: Index, outbox: Outbox) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    index.add_instance(instance(1), due_now)
    assert index.expired(later) == [], "an exam that nobody has answered for yet"
    assert index.forget(STUDY, later) == []
    index.close_study(STUDY, NOW)
    outbox.add_results([result(1)], [delivery(1)])
    index.advance(STUDY, 1, {StudyState.READING: StudyState.ANSWERED})
    assert index.expired(NOW) == []
    assert index.expired(later) == [STUDY]
    assert sorted(index.forget(STUDY, later)) == ["00/1.dcm", "00/r.dcm"]
    assert index.study(STUDY) is None
    assert (index.instances(STUDY), index.events(STUDY), outbox.deliveries(STUDY)) == ([], [], [])
    assert index.add_instance(instance(1), due_now), "the study may come again"


def _fields(record: Delivery) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_nothing_of_a_failed_transaction_stays(database: Database, index: Index) -> None:
    def refuse(_views: frozenset[str]) -> datetime:
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        index.add_instance(instance(1), refuse)
    assert index.instance("1.2.3.1") is None
    assert index.study(STUDY) is None


def test_a_womans_earlier_studies_are_found_by_an_index_and_not_by_looking_at_all(database: Database) -> None:
    asked = "SELECT * FROM study WHERE patient_id = 'A' AND issuer_of_patient_id = 'NIN' AND study_date < '20260301'"
    with database.engine.connect() as connection:
        plan = " ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}"))
    assert "USING INDEX ix_study_patient_id_issuer_of_patient_id_study_date" in plan
    assert "SCAN" not in plan


def test_who_writes_goes_in_turn_also_when_one_of_them_fails(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with suppress(RuntimeError), database.writing():
            entered.set()
            leave.wait(20)
            order.append("first")
            raise RuntimeError

    def second() -> None:
        with database.writing():
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    assert order == []
    leave.set()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]


def test_many_associations_index_at_the_same_time(index: Index) -> None:
    def add(first: int) -> None:
        for number in range(first, 80, 8):
            index.add_instance(instance(number + 1), lambda _views: NOW)

    threads = [threading.Thread(target=add, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(index.instances(STUDY)) == 80
