"""From unknown equipment to a calibration of its own: the node's readings, `mammo-node calibrate`, and a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from pydicom.dataset import Dataset

from ai import cohort
from ai.bundle import DEMO
from ai.calibration import Calibration
from ai.findings import Category, Reading
from ai.reasons import CautionCode
from node import calibration_samples
from node.app import Node
from node.errors import ConfigError
from storage.index import Index
from storage.outbox import Outbox
from tests.support_exams import grained
from tests.support_screening import ROOT, Screening, keep_reading, round_of, said, screening_config, screening_node

OWN = Calibration.model_validate_json((DEMO / "calibration.json").read_text()).version


def low(number: int, study_date: str, **elements: object) -> list[Dataset]:
    """An exam that the shipped model finds little in."""
    return grained(round_of(number, study_date, **elements))


def calibrate(folder: Path, *arguments: str, status: int = 0) -> str:
    """`mammo-node calibrate` with the folder's config.yaml; what it printed."""
    command = [sys.executable, "-m", "node.cli", "calibrate", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def configure(folder: Path) -> None:
    """The same settings as a file, for the command line."""
    config = screening_config(folder).model_dump(mode="json", include={"node", "storage", "destinations", "reading"})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def keep(node: Node, like: Reading, scores: np.ndarray) -> None:
    """As many exams in the node's records, read as `like` was but with these scores."""
    with node.database.transaction() as session:
        joined = node.database.joining(session)
        for number, score in enumerate(scores):
            reading = replace(like, study_instance_uid=f"{ROOT}.9.{number}", score=float(score), heat_maps=())
            keep_reading(Index(joined), Outbox(joined), reading, "20260201")


def unknown_equipment(screening: Screening) -> Reading:
    reading = screening.read(*low(801, "20260301", PatientID="A"))
    assert reading.category is Category.INDETERMINATE
    assert reading.calibration_version == OWN
    assert [caution.code for caution in reading.cautions] == [CautionCode.NO_REFERENCE_POPULATION]
    for report in screening.reports(f"{ROOT}.801"):
        assert "No reference population for this equipment, so not called negative" in said(report)
        assert "exams like this one" not in said(report)
    return reading


def test_a_stratum_gets_a_calibration_of_its_own_from_the_nodes_readings(tmp_path: Path) -> None:
    config = screening_config(tmp_path)
    configure(tmp_path)
    with screening_node(config, tmp_path) as screening:
        like = unknown_equipment(screening)
        keep(screening.node, like, np.random.default_rng(1).uniform(like.score or 0, 1, 250))
    assert "251 exams, too few" in calibrate(tmp_path, status=1)
    told = json.loads(calibrate(tmp_path, "--least", "200", "--since", "20260101", "--json"))
    (stratum,) = told["proposal"]["strata"]
    assert (stratum["exams"], stratum["current_window"]) == (251, "all (borrowed)")
    assert told["proposal"]["source"] == "readings stored in this node since 20260101"
    assert told["too_few"] == told["left_out"] == {}
    assert calibrate(tmp_path, "apply", told["file"], "--by", "A. Physicist", "--reason", "new room").startswith(
        f"calibration {OWN}+site.1 counts"
    )
    with screening_node(config, tmp_path) as screening:
        reading = screening.read(*low(802, "20260302", PatientID="B"))
        assert reading.calibration_version == f"{OWN}+site.1"
        assert (reading.category, reading.cautions) == (Category.NEGATIVE, ())
        assert reading.algorithm.parameters == (f"reference window: {reading.stratum}",)
        for report in screening.reports(f"{ROOT}.802"):
            assert f"calibration {OWN}+site.1" in said(report)
    calibrate(tmp_path, "revert", OWN, "--by", "A. Physicist", "--reason", "trial over")
    history = json.loads(calibrate(tmp_path, "history", "--json"))
    assert history["counts"] == OWN
    assert [entry["action"] for entry in history["history"]] == ["apply", "revert"]


HEADER = "ai_score,manufacturer,manufacturer_model_name,software_versions"


def test_a_table_makes_a_proposal_that_a_person_can_read(tmp_path: Path) -> None:
    configure(tmp_path)
    scores = np.random.default_rng(2).beta(1, 6, 1000)
    rows = [f"{score},Vendor A,X,2.0" for score in scores] + ["0.5,Vendor B,Y,1"]
    (tmp_path / "scores.csv").write_text("\n".join([HEADER, *rows]))
    told = calibrate(tmp_path, "--csv", "scores.csv", "--out", "p.json")
    for part in (
        "Vendor A / X / 2.0: 1000 exams; now placed in window all (borrowed)",
        "Vendor B / Y / 1: 1 exams, too few for a proposal",
        "below the rule-out point",
        "67.1–72.8 %",
        "proposed  10.0 %",
        "mammo-node calibrate apply p.json --by NAME --reason TEXT",
    ):
        assert part in told
    made = json.loads((tmp_path / "p.json").read_text())
    assert len(made["data_sha256"]) == len(made["weights_sha256"]) == 64
    assert (made["format"], made["based_on"], made["source"]) == (1, OWN, "table scores.csv")
    assert not (tmp_path / "mammo-node-data" / "calibration").exists(), "a proposal changes nothing"


def test_a_cohort_table_is_such_a_table(tmp_path: Path) -> None:
    columns = {
        "exam_id": ["1.2.3", "1.2.4"],
        "woman_id": ["w1", "w2"],
        "round": [1, 1],
        "study_date": [date(2026, 3, 1), date(2026, 3, 2)],
        "manufacturer": ["Vendor A", "Vendor A"],
        "manufacturer_model_name": ["X", "X"],
        "software_versions": ["2.0", "2.0"],
        "gate": ["READ", "BREAST_IMPLANT"],
        "ai_score": [0.25, None],
    }
    cohort.write(pl.DataFrame(columns), tmp_path / "cohort.csv")
    found = calibration_samples.of_table(tmp_path / "cohort.csv")
    assert [(exam.name, exam.score, exam.study_date) for exam in found.exams] == [("1.2.3", 0.25, "20260301")]
    assert found.left_out == {"not read": 1}


@pytest.mark.parametrize(
    ("rows", "said_of_it"),
    [
        ("ai_score,manufacturer\n0.1,A", "has no column manufacturer_model_name, software_versions"),
        (HEADER, "or no row"),
        (f"{HEADER}\n0.1,A,X,1\n1.5,A,X,1", "line 3: ai_score: value '1.5' is not allowed; allowed: 0 to 1"),
        (f"{HEADER}\nnone,A,X,1", "line 2: ai_score: value 'none'"),
        (f"{HEADER}\nnan,A,X,1", "line 2: ai_score: value 'nan'"),
        (f"{HEADER},score_scale\n0.1,A,X,1,screening\n0.1,A,X,1,other", "score_scale has 2 values"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, rows: str, said_of_it: str) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(rows)
    with pytest.raises(ConfigError) as refused:
        calibration_samples.of_table(table)
    assert said_of_it in str(refused.value)
    assert "scores.csv" in str(refused.value)
