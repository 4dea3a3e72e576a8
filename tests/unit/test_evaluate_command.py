"""`mammo-node evaluate`: what it refuses, by name, and what it says without --json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node.cli import make_app
from node.errors import ConfigError
from tests.support_evaluation import evaluated

HEADER = "exam_id,woman_id,round,study_date,outcome,ai_score"


def command(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(["evaluate"]), ["evaluate", *map(str, arguments)])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["exam_id,woman_id,round,study_date,outcome", "e,w,1,2024-01-01,SDC"], "the column ai_score is missing"),
        ([HEADER, "e,w,1,2024-01-01,CANCER,0.5"], "line 2, outcome: 'CANCER' is not allowed"),
        ([HEADER, "e,w,1,2024-01-01,SDC,0.5"], "100 read exams or more"),
    ],
)
def test_a_table_that_cannot_be_evaluated_is_refused_with_the_reason(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    refused = command(path).exception
    assert isinstance(refused, ConfigError)
    assert str(path) in str(refused)
    assert complaint in str(refused)


def test_a_file_that_is_not_there_or_cannot_be_written_is_named(tmp_path: Path) -> None:
    refused = command(tmp_path / "none.csv").exception
    assert isinstance(refused, ConfigError)
    assert "none.csv" in str(refused)
    table = evaluated(tmp_path, 3000).table
    refused = command(table, "--draws", 0, "--report", tmp_path / "nowhere" / "report.html").exception
    assert isinstance(refused, ConfigError)
    assert "nowhere" in str(refused)


def test_lines_and_margins_are_those_asked_for_and_a_person_is_told_the_misses(tmp_path: Path) -> None:
    asked = ["--rule-out", "62.5", "--flag", "95", "--sensitivity-margin", "3"]
    made = evaluated(tmp_path, 3000, *asked)
    questions = made.told["questions"]
    assert (questions["rule_out"], questions["flag"], questions["sensitivity_margin"]) == (0.625, 0.95, 0.03)
    assert [each["position"] for each in made.told["rule_out"]] == [0.5, 0.625, 0.7, 0.9]
    again = command(made.table, "--draws", 100, "--json", *asked).stdout
    assert json.loads(again)["curves"] == made.told["curves"], "the same table and seed give the same numbers"
    text = command(made.table, "--draws", 0, *asked).stdout
    assert f"{made.told['flow']['evaluated']} of 3000 exams evaluated" in text
