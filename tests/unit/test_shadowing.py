"""A calibration in the shadow: the live score placed by it, kept beside the live answer, with no model at work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ai.findings import Reading
from ai.placing import SEVERAL_SYSTEMS
from ai.reasons import Caution, CautionCode
from node.audit.auditor import Auditor
from node.calibrations import Calibrations, served_model
from node.config import Config
from node.in_force import in_force
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms
from node.pipeline.shadowing import Shadowing
from node.readers import Readers
from node.routing import Router
from node.settings import ReadingSettings
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine
from storage.shadows import Answers, Shadows
from tests.support_audit import told
from tests.support_commands import printed
from tests.support_exams import settings
from tests.support_readings import ALGORITHM, read_exam, unread_exam
from tests.support_screening import keep_reading

MODEL = served_model(ReadingSettings())
OURS = replace(ALGORITHM, weights_sha256=MODEL.weights_sha256)
#: Read with the shipped calibration, of a system that it knows.
STRATUM = next(iter(MODEL.calibration.windows["all"].strata))
LIVE = read_exam(
    algorithm=OURS, stratum=STRATUM, score=0.2, band=7, percentile=66.0, score_scale="screening", heat_maps=()
)


@pytest.fixture
def proposal(tmp_path: Path) -> Path:
    """From a table of scores that lie twice as high as those of the shipped calibration."""
    scores = np.random.default_rng(1).beta(2, 3, 1000)
    system = f'{STRATUM.manufacturer},{STRATUM.manufacturer_model_name},"{STRATUM.software_versions}"'
    header = "ai_score,manufacturer,manufacturer_model_name,software_versions"
    (tmp_path / "scores.csv").write_text("\n".join([header, *(f"{score},{system}" for score in scores)]))
    out = tmp_path / "p.json"
    printed("calibrate", "--csv", tmp_path / "scores.csv", "--out", out, "--config", written(tmp_path))
    return out


def written(folder: Path, **sections: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(json.dumps({"reading": {"calibration_folder": "calibration"}, **sections}))
    return path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(make_engine(f"sqlite:///{tmp_path / 'index.sqlite'}"))
    made.create_schema()
    yield made
    made.engine.dispose()


def shadowed(database: Database, folder: Path, reading: Reading, calibration: Path | str) -> list[Answers]:
    """What is kept after the reading's job in the shadow has run."""
    reads = {"calibration_folder": str(folder / "calibration")}
    config: Config = settings(folder, reading=reads, shadow={"calibration": str(calibration)})
    keep_reading(Index(database), Outbox(database), reading, "20260101")
    router = Router(config)
    rooms = Rooms(
        config=config,
        database=database,
        store=ObjectStore(folder / "objects"),
        router=router,
        readers=Readers(router),
        audit=Auditor(config),
        jobs=None,  # type: ignore[arg-type]  # no exam waits, so nothing is enqueued
    )
    job = Job(stage=Stage.SHADOW, study_instance_uid=reading.study_instance_uid, revision=1, number=1)
    Shadowing(rooms).read(job)
    return list(Shadows(database).answers())


def test_the_live_score_is_placed_by_the_shadows_calibration(
    database: Database, tmp_path: Path, proposal: Path
) -> None:
    (found,) = shadowed(database, tmp_path, LIVE, proposal)
    assert (found.live_category, found.live_band, found.live_percentile) == ("NEGATIVE", 7, 66.0)
    assert (found.category, found.percentile) == ("NEGATIVE", pytest.approx(18, abs=4))
    assert "proposal" in found.shadow
    assert Outbox(database).results(LIVE.study_instance_uid) == []
    assert Outbox(database).deliveries() == []


def test_promoted_it_counts_under_a_version_of_its_own_and_rolled_back_it_does_not(
    tmp_path: Path, proposal: Path
) -> None:
    path = written(tmp_path, shadow={"calibration": "p.json"})
    reading = ReadingSettings(calibration_folder=tmp_path / "calibration")
    for command, version in (
        ("promote", f"{MODEL.calibration.version}+site.1"),
        ("rollback", MODEL.calibration.version),
    ):
        printed("shadow", command, "--by", "A. Lead", "--reason", "agreed", "--config", path)
        assert in_force(reading).calibration.version == version
    history = Calibrations(tmp_path / "calibration").history()
    assert [(entry.action, entry.by) for entry in history] == [("promote", "A. Lead"), ("rollback", "A. Lead")]
    assert proposal.is_file()
    audited = told(tmp_path / "mammo-node-data" / "audit", "Security Alert: Software Configuration")
    assert [each.text.partition(" ")[0] for each in audited] == ["calibration", "promote", "rollback"]
    assert audited[1].root.xpath("ActiveParticipant/@UserName") == ["mammo-node", "A. Lead"]
    assert audited[1].text.endswith(": agreed")


def test_what_the_calibration_cannot_place_is_left_out_and_what_was_not_read_stays_so(
    database: Database, tmp_path: Path, proposal: Path
) -> None:
    mixed = replace(LIVE, cautions=(Caution(CautionCode.NO_REFERENCE_POPULATION, detail=SEVERAL_SYSTEMS),))
    assert shadowed(database, tmp_path, mixed, proposal) == []
    unread = unread_exam(algorithm=OURS, study_instance_uid="1.2.3")
    (found,) = shadowed(database, tmp_path, unread, proposal)
    assert (found.live_category, found.category, found.band) == ("NOT_READ", "NOT_READ", None)
