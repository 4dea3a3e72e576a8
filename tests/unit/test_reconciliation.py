"""Received = answered: what the ledger says of a day, and what it does not take for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from node import reconciliation
from node.books import Books
from node.config import Config
from node.intake import Accepted, Outcome
from node.reconciliation import Answer, Bookkeeper, Day, judge, reconcile
from storage.database import Database
from storage.forwards import Forwards
from storage.index import Index
from storage.ledger import Item, Ledger, Standing, Transfer
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState, ResultObject, StoredReading, StudyState
from storage.schema import make_engine
from tests.support_exams import settings
from tests.support_index import received

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
STUDY = "1.2.3"
ANSWERED = Standing(
    study_instance_uid=STUDY,
    instances=4,
    to_read=4,
    last_to_read_at=NOW - timedelta(hours=3),
    state=StudyState.ANSWERED,
    revision=1,
    changed_at=NOW - timedelta(hours=2),
    category="NOT_READ",
    read_at=NOW - timedelta(hours=2.5),
    delivered=2,
)


@pytest.mark.parametrize(
    ("changes", "answer", "why"),
    [
        ({}, Answer.ANSWERED, ""),
        ({"to_read": 0, "last_to_read_at": None, "state": StudyState.STORED}, Answer.STORED, ""),
        ({"state": None}, Answer.UNANSWERED, "not in the index"),
        ({"state": StudyState.HELD}, Answer.UNANSWERED, "needs a person"),
        ({"state": StudyState.UNDELIVERED}, Answer.UNANSWERED, "needs a person"),
        ({"state": StudyState.READING, "changed_at": NOW - timedelta(minutes=59)}, Answer.WAITING, "READING"),
        ({"state": StudyState.READING, "changed_at": NOW - timedelta(minutes=61)}, Answer.UNANSWERED, "READING"),
        ({"state": StudyState.DELIVERING, "changed_at": NOW - timedelta(days=1)}, Answer.UNANSWERED, "DELIVERING"),
        ({"read_at": None}, Answer.UNANSWERED, "has no reading"),
        ({"read_at": NOW - timedelta(hours=4)}, Answer.UNANSWERED, "came after its reading"),
        ({"delivered": 0}, Answer.UNANSWERED, "not all delivered"),
        ({"undelivered": 1}, Answer.UNANSWERED, "not all delivered"),
        ({"not_forwarded": 3}, Answer.UNANSWERED, "3 instances were not forwarded"),
        ({"state": StudyState.STORED, "to_read": 0, "not_forwarded": 1}, Answer.UNANSWERED, "not forwarded"),
    ],
)
def test_a_state_alone_is_not_believed(changes: dict[str, Any], answer: Answer, why: str) -> None:
    line = judge(replace(ANSWERED, **changes), NOW)
    assert (line.answer, why in line.why, bool(line.why)) == (answer, True, bool(why))


class Kept:
    """A node's records without a node."""

    def __init__(self, folder: Path) -> None:
        self.config: Config = settings(folder)
        self.database = Database(make_engine(self.config.storage.database_url))
        self.database.create_schema()
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.ledger, self.forwards = Ledger(self.database), Forwards(self.database)

    def instance(self, study: str, number: int, at: datetime = NOW, *, to_read: bool = True, **changes: Any) -> None:
        self.index.add_instance(received(study, at, number, to_read=to_read), lambda _views: at, **changes)

    def answer(self, study: str, *, delivered: bool = True) -> None:
        """Read, reported and sent, by the records."""
        revision = self.index.close_study(study, NOW, anyway=True)
        assert revision is not None
        self.index.advance(study, revision, {StudyState.READING: StudyState.ANSWERED})
        reading = {"reading_json": "{}", "category": "NEGATIVE", "previews": {}, "saved_at": NOW + timedelta(seconds=9)}
        self.outbox.save_reading(StoredReading(study_instance_uid=study, revision=revision, **reading))
        uid = f"{study}.9.{revision}"
        of = {"sop_instance_uid": uid, "study_instance_uid": study, "revision": revision, "kind": "summary_sc"}
        texts = dict.fromkeys(("sop_class_uid", "series_instance_uid", "options", "part", "path", "sha256"), "x")
        made = ResultObject(**of, **texts, size_bytes=1, created_at=NOW)
        state = DeliveryState.DELIVERED if delivered else DeliveryState.PENDING
        self.outbox.add_results([made], [Delivery(**of, destination="pacs", state=state, attempts=1, due_at=NOW)])

    def day(self, now: datetime = NOW) -> Day:
        return reconcile(self.config, self.database, NOW.astimezone().date(), now)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.database.engine.dispose()


def accepted(study: str, outcome: Outcome = Outcome.STORED) -> Accepted:
    return Accepted(outcome, study, f"{study}.0")


def test_a_day_in_which_all_is_answered_balances(kept: Kept) -> None:
    for number in (1, 2):
        kept.instance("1.1", number)
    kept.answer("1.1")
    kept.instance("1.2", 1, to_read=False)
    found = kept.day()
    assert found.balanced
    assert found.answers == {"answered": 2, "stored only": 1}


def test_each_way_to_stay_unanswered_is_listed_and_the_rest_is_not(kept: Kept) -> None:
    kept.instance("1.1", 1)
    kept.answer("1.1")
    kept.instance("1.2", 1)  # waits
    kept.instance("1.3", 1)
    kept.answer("1.3", delivered=False)
    kept.instance("1.4", 1)
    kept.answer("1.4")
    kept.instance("1.4", 2, NOW + timedelta(seconds=20))  # late: the exam is to be read again
    kept.instance("1.5", 1, forward_to=["far"])
    kept.answer("1.5")
    (lost,) = kept.forwards.deliveries()
    kept.forwards.save(replace(lost, state=DeliveryState.FAILED))
    kept.instance("1.6", 1, NOW - timedelta(days=2))  # another day's
    soon, later = kept.day(NOW + timedelta(minutes=1)), kept.day(NOW + timedelta(hours=2))
    assert [line.study_instance_uid for line in soon.waiting] == ["1.2", "1.4"]
    assert [line.study_instance_uid for line in soon.unanswered] == ["1.3", "1.5"]
    assert [line.study_instance_uid for line in later.unanswered] == ["1.2", "1.3", "1.4", "1.5"]
    assert not soon.balanced
    assert later.answers == {"answered": 1, "unanswered": 5}


def test_what_was_answered_as_stored_and_is_not_held_is_missing(kept: Kept) -> None:
    kept.instance("1.1", 1, to_read=False)
    kept.ledger.begin(transfer(), [item("1.1.1"), item("1.1.2"), item("1.1.3", outcome="refused", why="full")])
    assert kept.day().missing == ("1.1.2",)
    assert not kept.day().balanced


def test_what_retention_may_have_deleted_is_not_missed(kept: Kept) -> None:
    kept.ledger.begin(transfer(), [item("1.1.2")])
    kept.config = settings("/x", storage={"retention_days": 1})
    assert kept.day(NOW + timedelta(hours=1)).missing == ("1.1.2",)
    assert kept.day(NOW + timedelta(days=2)).missing == ()


def test_passages_are_written_down_with_what_became_of_each_instance(kept: Kept) -> None:
    counted: list[tuple[str, str]] = []
    books = Books(kept.ledger, lambda *what: counted.append(what))
    passage = books.passage("C-STORE", "assoc-7", "ROOM1", "10.1.2.3")
    passage.kept("1.1.1", accepted("1.1"), 0)
    passage.kept("1.1.1", accepted("1.1", Outcome.DUPLICATE), 0)
    passage.kept("1.1.2", accepted("1.1", Outcome.KEPT_ASIDE), 0xB000)
    passage.refused("Lind^Astrid", 0xC000, "no UID")
    books.passage("C-STORE", "echo-only", "ROOM1", "10.1.2.3").ended("released")
    today = (datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1))
    (open_,) = kept.ledger.transfers(*today)
    assert (open_.transfer.name, open_.transfer.ending) == ("assoc-7", "")
    passage.ended("aborted")
    (found,) = kept.ledger.transfers(*today)
    assert (found.transfer.calling_ae_title, found.transfer.ending) == ("ROOM1", "aborted")
    assert found.counts == {"stored": 1, "duplicate": 1, "kept aside": 1, "refused": 1}
    assert kept.ledger.reasons(*today) == {
        ("duplicate", 0, "duplicate"): 1,
        ("kept aside", 0xB000, "kept aside"): 1,
        ("refused", 0xC000, "no UID"): 1,
    }
    assert counted == [("C-STORE", each) for each in ("stored", "duplicate", "kept aside", "refused")]


def test_what_comes_after_the_end_is_written_all_the_same(kept: Kept) -> None:
    """The connection may close while the last instance is being kept."""
    passage = Books(kept.ledger).passage("C-STORE", "a", "ROOM1", "")
    passage.kept("1.1.1", accepted("1.1"), 0)
    passage.ended("connection lost")
    passage.kept("1.1.2", accepted("1.1"), 0)
    (found,) = kept.ledger.transfers(NOW, datetime.now(UTC) + timedelta(hours=1))
    assert found.counts == {"stored": 2}


def test_a_node_that_died_left_passages_open_and_the_next_one_ends_them(kept: Kept) -> None:
    kept.ledger.begin(transfer(), [item("1.1.1")])
    assert kept.ledger.close_open(NOW, "the node ended") == 1
    assert kept.ledger.close_open(NOW, "again") == 0
    (found,) = kept.ledger.transfers(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert found.transfer.ending == "the node ended"


def test_of_several_workers_only_what_is_open_for_more_than_a_day_is_ended(kept: Kept) -> None:
    """The others are at work; an association that ends after all says so itself."""
    kept.ledger.begin(transfer(), [item("1.1.1")])
    began_at = transfer().began_at
    assert kept.ledger.close_open(NOW, "the node ended", began_before=began_at) == 0
    assert kept.ledger.close_open(NOW, "the node ended", began_before=began_at + timedelta(seconds=1)) == 1


def test_a_database_that_does_not_answer_costs_no_association_its_answer(kept: Kept, tmp_path: Path) -> None:
    passage = Books(kept.ledger).passage("C-STORE", "a", "ROOM1", "")
    kept.database.engine.dispose()
    file = tmp_path / "node.sqlite"
    file.rename(tmp_path / "away")
    file.mkdir()
    with capture_logs() as logged:
        passage.kept("1.1.1", accepted("1.1"), 0)
        passage.refused("1.1.2", 0xA700, "no database")
    assert [line["event"] for line in logged] == ["ledger not written"] * 2
    file.rmdir()
    (tmp_path / "away").rename(file)
    passage.ended("released")
    (found,) = kept.ledger.transfers(NOW, datetime.now(UTC) + timedelta(hours=1))
    assert found.counts == {"stored": 1, "refused": 1}, "what waited is written when it answers again"


def test_a_day_is_closed_once_after_it_and_old_lines_go(kept: Kept) -> None:
    kept.instance("1.1", 1)
    kept.ledger.begin(replace(transfer(), began_at=NOW - timedelta(days=900)), [item("1.1.7")])
    keeper = Bookkeeper(kept.config, kept.database)
    midnight = reconciliation.span(NOW.astimezone().date())[1]
    with capture_logs() as logged:
        keeper.keep(midnight + timedelta(minutes=30))  # its last exams have not had their hour
        keeper.keep(midnight + timedelta(hours=2))
        keeper.keep(midnight + timedelta(hours=3))
    days = [(line["day"], line["log_level"], line["unanswered"]) for line in logged]
    day = NOW.astimezone().date()
    assert days == [(str(day - timedelta(days=1)), "info", []), (str(day), "error", ["1.1"])]
    assert kept.ledger.transfers(NOW - timedelta(days=1000), NOW + timedelta(days=1)) == []


def test_a_day_is_that_of_this_machines_zone() -> None:
    begins, ends = reconciliation.span(date(2026, 3, 4))
    assert (begins.hour, begins.minute, begins.astimezone().date()) == (0, 0, date(2026, 3, 4))
    assert ends.astimezone().date() == date(2026, 3, 5)


def transfer() -> Transfer:
    return Transfer(service="C-STORE", name="a", calling_ae_title="ROOM1", address="", began_at=NOW)


def item(uid: str, outcome: str = "stored", why: str = "") -> Item:
    return Item(at=NOW, sop_instance_uid=uid, study_instance_uid="1.1", outcome=outcome, status=0, why=why)
