"""Clocks that jump: nothing waits for an hour that comes twice, and nothing is taken from the living."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node import completeness
from node.housekeeping import Clock
from node.settings import CompletenessSettings
from storage.database import Database
from storage.index import Index
from storage.schema import make_engine
from tests.support_index import received

NOW = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
    database.create_schema()
    yield Index(database)
    database.engine.dispose()


def receive(index: Index, number: int, received_at: datetime, due_at: datetime) -> str:
    study = f"1.2.{number}"
    assert index.add_instance(received(study, received_at), lambda _views: due_at)
    return study


def test_an_exam_received_before_the_clock_was_set_back_waits_no_longer_than_any_other(index: Index) -> None:
    settings = CompletenessSettings(quiet_s=60)
    longest = completeness.longest_wait(settings)
    wrong = receive(index, 1, NOW + timedelta(hours=1), NOW + timedelta(hours=1, seconds=60))
    right = receive(index, 2, NOW, NOW + timedelta(seconds=50))
    assert index.due_studies(NOW + timedelta(seconds=61)) == [right]
    assert index.hasten_all(NOW + longest) == 1
    assert sorted(index.due_studies(NOW + longest)) == sorted([wrong, right])
    assert index.hasten_all(NOW + longest) == 0


def test_a_clock_that_is_set_back_is_noticed_once_and_one_that_runs_or_is_put_right_is_not() -> None:
    wall, steady = [1000.0], [5.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = 1030.0, 35.0
    assert not clock.went_back()
    wall[0] -= 0.5
    assert not clock.went_back(), "a correction"
    wall[0] -= 3600
    assert clock.went_back()
    assert not clock.went_back()
    wall[0] += 7200
    assert not clock.went_back(), "set forward, everything is due sooner, which harms nothing"
