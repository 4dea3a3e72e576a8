"""A week in numbers: each exam once, by its latest reading; the same at the command line and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai.findings import Category
from node import drift
from node.errors import BadQuery
from node.holdings import Holdings
from node.week import week, week_of
from storage.cohort import CohortImport, ExamFacts
from storage.database import Database
from storage.drift import DriftAction, DriftEvent
from storage.records import Refusal
from storage.schema import make_engine
from tests.support_readings import read_exam, unread_exam
from tests.support_screening import keep_reading
from tests.support_web import web

READ = replace(read_exam(), heat_maps=())
ALARM = DriftEvent(
    at=datetime.now(UTC),
    action=DriftAction.RAISED,
    stratum="v / m / 1",
    name="V / M / 1",
    chart="location up",
    detail="scores are higher",
)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Holdings]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'index.sqlite'}"))
    database.create_schema()
    yield Holdings.of(database)
    database.engine.dispose()


def fill(held: Holdings) -> None:
    """Three NEGATIVE exams, one SUSPICIOUS, and one that was not read for two reasons."""
    for number, (category, band) in enumerate([(Category.NEGATIVE, 3)] * 3 + [(Category.SUSPICIOUS, 10)]):
        reading = replace(READ, study_instance_uid=f"1.2.{number}", category=category, band=band)
        keep_reading(held.index, held.outbox, reading, "20260101")
    unread = replace(unread_exam(), study_instance_uid="1.2.9", stratum=READ.stratum)
    refusals = [Refusal("BREAST_IMPLANT", "1.2.9.1", False), Refusal("VIEWS_MISSING", "", False)]
    keep_reading(held.index, held.outbox, unread, "20260101", [*refusals, Refusal("REPEAT", "1.2.9.2", True)])


def test_a_week_counts_each_exam_once(held: Holdings) -> None:
    fill(held)
    found = week(held.database, None, datetime.now(UTC))
    assert found.exams == 5
    assert found.categories == {"NEGATIVE": 3, "INDETERMINATE": 0, "SUSPICIOUS": 1, "NOT_READ": 1}
    assert (found.bands[2], found.bands[9], sum(found.bands)) == (3, 1, 4)
    assert found.ruled_out == 0.75
    (stratum,) = found.strata
    assert (stratum.stratum, stratum.exams, stratum.not_read, stratum.flagged) == (str(READ.stratum), 5, 1, 0.25)
    assert {line.code: line.exams for line in found.not_read} == {"BREAST_IMPLANT": 1, "VIEWS_MISSING": 1}
    assert found.to_reading.median_s is not None
    assert found.to_last_result.median_s is None, "nothing was delivered"
    before = week(held.database, None, datetime.now(UTC) - timedelta(days=7))
    assert (before.exams, before.ruled_out, before.to_reading.p95_s) == (0, None, None)


def test_overrides_are_where_people_decided_otherwise(held: Holdings) -> None:
    fill(held)
    facts = [
        ExamFacts(study_instance_uid="1.2.0", r1=2, r2=1, recalled=False, ai_visible=True),
        ExamFacts(study_instance_uid="1.2.1", r1=3, r2=3, recalled=True, ai_visible=False),
        ExamFacts(study_instance_uid="1.2.3", r1=1, r2=1, recalled=False),
        ExamFacts(study_instance_uid="1.2.2", outcome="NONE"),
        ExamFacts(study_instance_uid="9.9", r1=5, r2=5, recalled=True),
    ]
    now = datetime.now(UTC)
    taken = CohortImport(at=now, file="d.csv", sha256="0" * 64, rows=5, added=5, changed=0, skipped=0)
    held.cohort.save(facts, taken)
    found = week(held.database, None, now).overrides
    assert (found.decided, found.ai_visible) == (3, 1)
    assert (found.negative_marked, found.negative_recalled, found.suspicious_not_recalled) == (2, 1, 1)


def test_alarms_stand_until_a_person_clears_them_with_a_reason(held: Holdings) -> None:
    held.drift.add(ALARM)
    held.drift.add(replace(ALARM, stratum="other", name="Other"))
    with pytest.raises(Exception, match="--by"):
        drift.clear(held.drift, "V / M", by="", reason="x")
    with pytest.raises(Exception, match="no alarm stands"):
        drift.clear(held.drift, "nobody", by="A", reason="x")
    drift.clear(held.drift, "v / m", by="A. Physicist", reason="new detector, calibrated")
    found = week(held.database, None, datetime.now(UTC))
    assert [each.action for each in found.alarms] == ["RAISED", "RAISED", "CLEARED"], "the history is only added to"
    assert [each.name for each in found.standing] == ["Other"]
    assert found.alarms[-1].by == "A. Physicist"


def test_weeks_are_iso_weeks_of_local_time() -> None:
    name, since, until = week_of("2026-W01", datetime.now(UTC))
    assert (name, since.date().isoformat(), until.date().isoformat()) == ("2026-W01", "2025-12-29", "2026-01-05")
    assert week_of(None, datetime(2026, 11, 25, 12, tzinfo=UTC))[0] == "2026-W48"
    for wrong in ("2026-W54", "2026-11-25", "last"):
        with pytest.raises(BadQuery, match="an ISO week, as 2026-W48"):
            week_of(wrong, datetime.now(UTC))


def test_the_week_is_served_as_json_without_patients(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        held = Holdings.of(served.node.database)
        fill(held)
        root = served.base.removesuffix("/dicom-web")
        answer = served.get(f"{root}/monitor")
        found = answer.json
        assert (answer.status, found["exams"], found["bands"][2]) == (200, 5, 3)
        assert datetime.fromisoformat(found["since"]) < datetime.now(UTC)
        assert "1.2.9" not in json.dumps(found)
        assert served.get(f"{root}/monitor?week=2026-W60").status == 400
