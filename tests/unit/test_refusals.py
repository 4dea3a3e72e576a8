"""What kept exams from being read, counted over all that is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ai.reasons import ReasonCode
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Refusal, StoredReading
from storage.refusals import Refusals
from storage.schema import make_engine
from tests.support_index import received

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
    database.create_schema()
    yield database
    database.engine.dispose()


def exam(database: Database, number: int, category: str, *refusals: Refusal, revision: int = 1) -> None:
    """A study with a saved reading; each a day after the one before."""
    study, at = f"1.2.{number}", NOW + timedelta(days=number)
    Index(database).add_instance(received(study, at), lambda _views: at)
    stored = StoredReading(
        study_instance_uid=study,
        revision=revision,
        reading_json="{}",
        category=category,
        previews={},
        saved_at=at + timedelta(hours=revision),
    )
    assert Outbox(database).save_reading(stored, refusals)


def reason(code: str, image: str = "") -> Refusal:
    return Refusal(code, image, left_out=False)


def left_out(code: str, image: str) -> Refusal:
    return Refusal(code, image, left_out=True)


def six_exams(database: Database) -> None:
    exam(database, 1, "NEGATIVE")
    exam(database, 2, "NEGATIVE", left_out("FOR_PROCESSING", "a"), left_out("FOR_PROCESSING", "b"))
    exam(database, 3, "NOT_READ", reason("VIEWS_MISSING"), reason("BREAST_IMPLANT", "c"), reason("BREAST_IMPLANT", "d"))
    exam(database, 4, "NOT_READ", reason("VIEWS_MISSING"), left_out("FOR_PROCESSING", "e"))
    exam(database, 5, "NOT_READ", reason("PATIENT_SEX"))
    exam(database, 6, "NOT_READ", reason("VIEWS_MISSING"), reason("PIXEL_DATA_SHORT", "f"))
    exam(database, 6, "SUSPICIOUS", left_out("REPEAT", "f"), revision=2)


def test_each_exam_counts_by_its_latest_reading(database: Database) -> None:
    six_exams(database)
    refusals = Refusals(database)
    assert refusals.exams() == (6, 3)
    counts = {count.code: (count.unread, count.exams, count.images) for count in refusals.counts()}
    assert counts == {
        "VIEWS_MISSING": (2, 2, 0),
        "BREAST_IMPLANT": (1, 1, 2),
        "PATIENT_SEX": (1, 1, 0),
        "FOR_PROCESSING": (0, 2, 3),
        "REPEAT": (0, 1, 1),
    }
    first = refusals.counts()[0]
    assert (first.code, first.first, first.last) == (
        "VIEWS_MISSING",
        NOW + timedelta(days=3, hours=1),
        NOW + timedelta(days=4, hours=1),
    )


def test_a_span_of_time(database: Database) -> None:
    six_exams(database)
    since = NOW + timedelta(days=4)
    assert Refusals(database).exams(since) == (3, 2)
    assert {count.code for count in Refusals(database).counts(since)} == {
        "VIEWS_MISSING",
        "PATIENT_SEX",
        "FOR_PROCESSING",
        "REPEAT",
    }


def test_a_refusal_told_twice_is_kept_once_and_goes_with_its_study(database: Database) -> None:
    exam(database, 1, "NOT_READ", reason("NO_IMAGES"), reason("NO_IMAGES"))
    assert [count.exams for count in Refusals(database).counts()] == [1]
    with database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE study SET state = 'ANSWERED'")
    assert Index(database).forget("1.2.1", NOW + timedelta(days=400)) != []
    assert Refusals(database).counts() == []
    assert Refusals(database).exams() == (0, 0)


def test_every_code_fits_its_column() -> None:
    assert max(map(len, ReasonCode)) <= 32


def test_the_command_tells_them_with_what_to_do(database: Database, tmp_path: Path) -> None:
    six_exams(database)
    settings = {
        "node": {"port": 0},
        "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
        "destinations": {"results": {"type": "folder", "folder": "results", "results": ["measurement_sr"]}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))

    def run(*options: str) -> str:
        command = [sys.executable, "-m", "node.cli", "exams", "--refusals", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = json.loads(run("--json"))
    assert (told["answered"], told["unread"]) == (6, 3)
    assert [each["reason"] for each in told["reasons"]][:2] == ["VIEWS_MISSING", "BREAST_IMPLANT"]
    assert told["reasons"][0]["share"] == pytest.approx(2 / 6)
    assert told["reasons"][0]["since"] == (NOW + timedelta(days=3, hours=1)).isoformat()
    for each in told["reasons"]:
        assert (each["sentence"], each["advice"]) == (
            ReasonCode(each["reason"]).sentence,
            ReasonCode(each["reason"]).advice,
        )
    text = run()
    assert "6 exams answered, 3 of them not read (50.0%)" in text
    assert ReasonCode.BREAST_IMPLANT.advice in " ".join(text.split())
    assert json.loads(run("--json", "--since", "2026-12-24"))["answered"] == 0
