"""Which of the node's readings tell how a stratum's scores lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ai.findings import Reading
from ai.placing import OTHER_SCALE, SEVERAL_SYSTEMS
from ai.reasons import Caution, CautionCode
from node.calibration_samples import Period, Sample, chosen, of_readings
from node.calibrations import served_model
from node.holdings import Holdings
from node.settings import ReadingSettings
from storage.database import Database
from storage.schema import make_engine
from tests.support_readings import ALGORITHM, read_exam, unread_exam
from tests.support_screening import keep_reading

MODEL = served_model(ReadingSettings())
OURS = replace(ALGORITHM, weights_sha256=MODEL.weights_sha256)
READ = read_exam(algorithm=OURS, score_scale="screening")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Holdings]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'index.sqlite'}"))
    database.create_schema()
    yield Holdings.of(database)
    database.engine.dispose()


def keep(held: Holdings, *readings: Reading) -> None:
    """Each on a later day than the one before, from the first of January."""
    for number, reading in enumerate(readings, start=1):
        named = replace(reading, study_instance_uid=f"1.2.{number}", heat_maps=())
        keep_reading(held.index, held.outbox, named, f"202601{number:02d}")


def taken(held: Holdings, since: str = "", until: str = "", most: int = 100) -> Sample:
    return of_readings(held, MODEL, "screening", Period(since, until), most)


def cautious(detail: str) -> tuple[Caution, ...]:
    return (Caution(CautionCode.NO_REFERENCE_POPULATION, detail=detail),)


def test_only_readings_of_this_model_and_strategy_on_one_system_are_taken(held: Holdings) -> None:
    keep(
        held,
        READ,
        unread_exam(algorithm=OURS),
        replace(READ, algorithm=ALGORITHM),
        replace(READ, strategy="with_priors"),
        replace(READ, cautions=cautious(SEVERAL_SYSTEMS)),
        replace(READ, cautions=cautious("")),
        replace(READ, cautions=cautious(OTHER_SCALE)),
    )
    found = taken(held)
    assert [exam.name for exam in found.exams] == ["1.2.7", "1.2.6", "1.2.1"]
    assert found.left_out == {
        "not read": 1,
        "read by another model": 1,
        "read with another strategy": 1,
        "images of more than one system": 1,
    }
    assert found.source == "readings stored in this node"


def test_scores_of_several_scales_are_not_mixed_the_newest_counts(held: Holdings) -> None:
    weighted = replace(READ, score_scale="with_priors, change_weight 0.5")
    keep(held, READ, weighted, READ, weighted)
    found = taken(held)
    assert found.scale == "with_priors, change_weight 0.5"
    assert [exam.name for exam in found.exams] == ["1.2.4", "1.2.2"]
    assert found.left_out == {"read with other options of the strategy": 2}


def test_the_latest_revision_counts(held: Holdings) -> None:
    keep(held, READ)
    again = replace(READ, study_instance_uid="1.2.1", revision=2, score=0.77, heat_maps=())
    keep_reading(held.index, held.outbox, again, "20260101")
    assert [exam.score for exam in taken(held).exams] == [0.77]


def test_period_and_number_choose_the_newest(held: Holdings) -> None:
    keep(held, *[READ] * 6)
    assert [exam.study_date for exam in taken(held, most=2).exams] == ["20260106", "20260105"]
    assert [exam.study_date for exam in taken(held, "20260102", "20260104").exams] == [
        "20260104",
        "20260103",
        "20260102",
    ]


def test_the_datas_hash_tells_other_data_apart(held: Holdings) -> None:
    keep(held, READ, replace(READ, score=0.5))
    whole = taken(held)
    assert whole.data_sha256 == taken(held).data_sha256
    assert whole.data_sha256 != taken(held, most=1).data_sha256


def test_strata_are_chosen_by_a_part_of_their_text(held: Holdings) -> None:
    keep(held, READ)
    exams = taken(held).exams
    assert chosen(exams, []) == chosen(exams, ["hologic", "none"]) == list(exams)
    assert chosen(exams, ["2.0"]) == []
