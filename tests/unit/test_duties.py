"""What is done by the clock: when it is time, who does it, and what is told of how it went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node import upkeep
from node.config import Config
from node.duties import Duty, Round
from node.holdings import Holdings
from storage.database import Database
from storage.duties import Duties
from storage.schema import make_engine
from tests.support_exams import settings


class Lead:
    leads = True


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
    found.create_schema()
    yield found
    found.engine.dispose()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return settings(tmp_path)


def told(config: Config, database: Database) -> dict[Duty, upkeep.DutyLine]:
    return {line.duty: line for line in upkeep.upkeep(config, Holdings.of(database)).duties}


def attention(config: Config, database: Database, *, running: bool = True) -> list[str]:
    return list(upkeep.attention(upkeep.upkeep(config, Holdings.of(database)), [], running=running))


def test_a_duty_nobody_has_done_is_done_at_once_and_again_when_it_is_time(database: Database) -> None:
    rounds: list[datetime] = []
    now = datetime.now(UTC)

    def do(at: datetime) -> int:
        rounds.append(at)
        return 3

    sweep = Round(Duty.SWEEP, do, Duties(database))
    sweep.turn(now)
    sweep.turn(now)
    assert len(rounds) == 1
    begun_anew = Round(Duty.SWEEP, do, Duties(database))
    begun_anew.turn(now + timedelta(hours=1))
    assert len(rounds) == 1, "a process that is started anew goes on from when it was done last"
    Round(Duty.SWEEP, do, Duties(database)).turn(now + timedelta(hours=25))
    assert len(rounds) == 2, "a node that is started anew every day has its daily round too"


def test_only_the_one_that_leads_does_it(database: Database) -> None:
    leader, rounds = Lead(), []
    duty = Round(Duty.RECONCILER, lambda _now: rounds.append(1) or 0, Duties(database), leader)
    leader.leads = False
    duty.turn(datetime.now(UTC))
    assert rounds == []
    leader.leads = True
    duty.turn(datetime.now(UTC))
    assert rounds == [1]


def test_status_tells_when_it_was_done_and_what_it_found_last(config: Config, database: Database) -> None:
    assert told(config, database)[Duty.RECONCILER].ago_s is None
    duties, now = Duties(database), datetime.now(UTC)
    duties.done(Duty.RECONCILER, now - timedelta(seconds=100), 2)
    duties.done(Duty.RECONCILER, now - timedelta(seconds=70), 0)
    line = told(config, database)[Duty.RECONCILER]
    assert (line.found, line.last_found, line.finds) == (0, 2, "jobs that were missing, asked for again")
    assert 70 <= line.ago_s < 90
    assert 100 <= line.last_found_ago_s < 120
    assert attention(config, database) == []


def test_a_duty_that_fails_is_told_until_it_succeeds(config: Config, database: Database) -> None:
    broken = [True]

    def do(_now: datetime) -> int:
        if broken[0]:
            raise ZeroDivisionError
        return 0

    Round(Duty.BOOKS, do, Duties(database)).turn(datetime.now(UTC))
    assert attention(config, database) == ["the duty 'books' fails (ZeroDivisionError): see the log"]
    broken[0] = False
    Round(Duty.BOOKS, do, Duties(database)).turn(datetime.now(UTC))
    assert attention(config, database) == []


def test_a_duty_that_nobody_does_any_more_is_told_while_a_node_runs(config: Config, database: Database) -> None:
    Duties(database).done(Duty.RECONCILER, datetime.now(UTC) - timedelta(hours=1), 0)
    (sentence,) = attention(config, database)
    assert sentence.startswith("the duty 'reconciler' was last done 36")
    assert attention(config, database, running=False) == [], "that no node runs is told elsewhere"


def test_duties_that_this_configuration_does_not_give_have_no_line(tmp_path: Path, database: Database) -> None:
    without = settings(tmp_path)
    kept = without.storage.model_copy(update={"retention_days": 30})
    assert Duty.RETENTION not in told(without, database)
    assert Duty.RETENTION in told(without.model_copy(update={"storage": kept}), database)
    assert Duty.HALF_WRITTEN not in told(without, database), "a node alone clears them when it starts"
