"""A cohort table as training exams: labels, women kept apart, boxes, and what cannot be used, told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmwrite
from typer.testing import CliRunner

from ai import cohort
from ai.bundle import Bundle
from ai.exam import ImageLaterality
from ai.phantom import ExamSpec, Identity, LesionKind, simulate_exam
from ai.training.table import labels, part_of, prepare
from node.cli import make_app

R, L = ImageLaterality.RIGHT, ImageLaterality.LEFT


def row(**changes: object) -> dict[str, Any]:
    return {"outcome": "NONE", "cancer_side": None, "r1": None, "r2": None, **changes}


@pytest.mark.parametrize(
    ("changes", "weight", "expected"),
    [
        ({}, 0.0, {R: 0, L: 0}),
        ({"outcome": "SDC", "cancer_side": "L"}, 0.0, {R: 0, L: 1}),
        ({"outcome": "IC", "cancer_side": "B"}, 0.0, {R: 1, L: 1}),
        ({"outcome": "NEXT", "cancer_side": "L"}, 0.0, {R: 0, L: 0}),
        ({"outcome": "SDC"}, 0.0, {}),
        ({"r1": 3, "r2": 1}, 0.4, {R: 0.1, L: 0.1}),
        ({"r1": 5, "r2": 1, "r1_right": 1, "r1_left": 5}, 0.4, {R: 0.0, L: 0.2}),
        ({"outcome": "SDC", "cancer_side": "R", "r1": 5, "r2": 5}, 0.2, {R: 1.0, L: 0.2}),
        ({"outcome": "IC", "cancer_side": "R", "r1": 1, "r2": 1}, 0.2, {R: 0.8, L: 0.0}),
    ],
)
def test_a_label_is_the_outcome_softened_by_what_the_readers_saw(
    changes: Mapping[str, object], weight: float, expected: Mapping[ImageLaterality, float]
) -> None:
    assert labels(row(**changes), weight) == pytest.approx(expected)


@given(st.text(min_size=1), st.integers(0, 5))
def test_a_woman_is_in_one_part_only_and_always_the_same(woman: str, seed: int) -> None:
    assert part_of(woman, seed) == part_of(woman, seed) in ("training", "tuning", "test")


def test_the_parts_have_their_shares() -> None:
    parts = [part_of(f"w{number}", 7) for number in range(4000)]
    assert parts.count("training") / 4000 == pytest.approx(0.7, abs=0.03)
    assert parts.count("test") / 4000 == pytest.approx(0.15, abs=0.03)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's table of nine exams and their coarse images; one is not readable, and of one there is no image."""
    folder = tmp_path_factory.mktemp("site")
    rows = []
    for number in range(9):
        cancer = number % 3 == 0
        spec = ExamSpec(
            name="x",
            seed=number,
            identity=Identity(patient_id=f"P{number}", patient_name="X^Y"),
            lesions=(LesionKind.SPICULATED_MASS,) if cancer else (),
            implant=number == 7,
            pitch_mm=0.2,
        )
        exam = simulate_exam(spec)
        place = folder / f"e{number}"
        if number != 8:
            place.mkdir()
            for dataset in exam.datasets:
                dcmwrite(place / f"{dataset.SOPInstanceUID}.dcm", dataset, enforce_file_format=True)
        rows.append(_row(folder, number, exam, cancer=cancer))
    cohort.write(pl.DataFrame(rows, infer_schema_length=None), folder / "cohort.csv")
    return folder


def _row(folder: Path, number: int, exam: Any, *, cancer: bool) -> dict[str, object]:
    boxes = [
        {
            "sop_instance_uid": instance.sop_instance_uid,
            "box": [box.left, box.top, box.right, box.bottom],
            "finding_type": box.finding_type,
        }
        for instance in exam.instances
        for box in instance.truth.boxes
    ]
    (folder / f"e{number}.json").write_text(json.dumps(boxes))
    return {
        "exam_id": f"e{number}",
        "woman_id": f"w{number}",
        "round": 1,
        "study_date": "2025-03-12",
        "r1": 3 if cancer else 1,
        "r2": 2 if cancer else 1,
        "recalled": cancer,
        "outcome": "SDC" if cancer else "NONE",
        "cancer_side": str(next(iter(exam.malignant_sides))) if cancer else None,
        "images": f"e{number}",
        "boxes": f"e{number}.json" if number < 6 else None,
    }


def test_images_become_what_the_network_sees_with_boxes_in_their_places(site: Path, tmp_path: Path) -> None:
    rows = cohort.read(site / "cohort.csv", ["images", "outcome"])
    prepared = prepare(rows, site, seed=7, reader_weight=0.0, cache=tmp_path)
    exams = [exam for part in prepared.parts.values() for exam in part]
    assert len(exams) == 7
    assert all(len(exam.views) == 4 for exam in exams)
    with_boxes = [exam for exam in exams if exam.cancer and exam.drawn]
    assert with_boxes, "no exam with drawn cancer"
    for exam in with_boxes:
        for view in exam.views:
            for (left, top, right, bottom), _, _ in view.boxes:
                column, line = int((left + right) / 2), int((top + bottom) / 2)
                assert view.mask[line, column], "a lesion lies outside the breast"
    weak = [exam for exam in exams if exam.cancer and not exam.drawn]
    assert [exam.woman_id for exam in weak] == ["w6"], "a cancer without a boxes file is only weakly labelled"


def test_what_cannot_be_used_is_told_with_its_reason(site: Path, tmp_path: Path) -> None:
    rows = cohort.read(site / "cohort.csv", ["images", "outcome"])
    prepared = prepare(rows, site, seed=7, reader_weight=0.0, cache=tmp_path)
    reasons = {refusal.exam_id: refusal.why for refusal in prepared.refusals}
    assert set(reasons) == {"e7", "e8"}
    assert "BREAST_IMPLANT" in reasons["e7"]
    assert reasons["e8"] == "no images where the table says"


def test_the_command_gives_a_bundle_whose_card_says_what_it_was_made_of(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    arguments = ["train", str(site / "cohort.csv"), "--out", str(out), "--steps", "2", "--seed", "2", "--json"]
    done = CliRunner().invoke(make_app(arguments), arguments)
    assert done.exit_code == 1, f"two exams could not be used: {done.output}"
    card = json.loads(done.stdout)["card"]
    assert "7 exams of 7 women" in card["training_data"]
    assert "Not for clinical use" in card["labelling"]
    assert card["performance"]
    assert Bundle.load(out).card.weights_sha256 == card["weights_sha256"]
    assert {refusal["exam_id"] for refusal in json.loads(done.stdout)["refusals"]} == {"e7", "e8"}
