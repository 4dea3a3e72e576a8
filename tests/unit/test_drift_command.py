"""`mammo-node drift` on tables: what it says of each stratum, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from node.errors import ConfigError
from tests.support_commands import printed

HEADER = "ai_score,manufacturer,manufacturer_model_name,software_versions,gate"


def table(path: Path, scores: np.ndarray, version: str = "1", gate: str = "READ") -> Path:
    path.write_text("\n".join([HEADER, *(f"{score},Vendor A,X,{version},{gate}" for score in scores)]))
    return path


def drift(*arguments: object, status: int = 0) -> str:
    return printed("drift", *arguments, status=status)


def test_an_unchanged_table_makes_no_alarm_and_a_shifted_one_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    reference = table(tmp_path / "reference.csv", rng.random(2000))
    same, other = table(tmp_path / "same.csv", rng.random(800)), table(tmp_path / "other.csv", rng.random(800) ** 2)
    assert "no chart alarms" in drift(same, "--reference", reference)
    told = drift(other, "--reference", reference, status=1)
    assert "Vendor A / X / 1: 800 exams, 0 not read" in told
    assert "scores are lower than those of the reference window (location down)" in told
    (stratum,) = json.loads(drift(other, "--reference", reference, "--json", status=1))["strata"]
    assert stratum["report"]["shares"][0]["what"] == "ruled out"
    assert stratum["report"]["shares"][0]["found"] > 0.78


def test_another_software_version_is_told_and_compared_with_nothing(tmp_path: Path) -> None:
    scores = np.random.default_rng(2).random(300)
    reference = table(tmp_path / "reference.csv", scores)
    told = drift(table(tmp_path / "new.csv", scores, "2"), "--reference", reference, status=1)
    assert "the software is another: the reference has 1" in told


def test_a_table_without_strata_of_any_column_is_compared_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(
            "\n".join(["id,pred1", *(f"1,{each}" for each in np.sort(rng.random(900)))])
        )
    given = (tmp_path / "b.csv", "--reference", tmp_path / "a.csv", "--score-column", "pred1")
    assert "ALARM" in drift(*given, status=1), "sorted rows are no stream of exams"
    assert "no chart alarms" in drift(*given, "--unordered")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id\n1", "ai_score is no column; allowed: id"),
        (f"{HEADER}\n2,A,X,1,", "line 2: ai_score: value '2'"),
        ("ai_score\n0.5", "200"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_place(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "given.csv").write_text(content)
    with pytest.raises(ConfigError, match=said):
        drift(tmp_path / "given.csv", "--reference", tmp_path / "given.csv")
