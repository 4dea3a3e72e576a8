"""Decisions and outcomes into the node, and its readings out as a cohort table, by the commands themselves."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ai import cohort
from ai.findings import BreastChange, PriorComparison
from node.errors import ConfigError
from node.pseudonyms import Pseudonyms
from storage.cohort import ExamFacts
from tests.support_cohort import NOW, Node, kept, reading
from tests.support_readings import ALGORITHM, R


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with kept(tmp_path) as made:
        for number, accession in enumerate(("A1", "A2", "A2"), start=1):
            date = f"20{20 + 2 * number}0110"
            made.exam(f"1.2.{number}", reading(0.1 * number), patient="X", date=date, accession=accession)
        yield made


def test_decisions_come_first_and_outcomes_years_later(node: Node) -> None:
    assert node.take("exam_id,r1,r2,consensus_held,recalled,ai_visible", "1.2.1,1,2,true,false,false") == {
        "rows": 1,
        "added": 1,
        "changed": 0,
        "skipped": 0,
    }
    assert node.take("exam_id,outcome,cancer_side", "1.2.1,IC,L")["changed"] == 1
    assert node.facts("1.2.1") == ExamFacts(
        study_instance_uid="1.2.1",
        r1=1,
        r2=2,
        consensus_held=True,
        recalled=False,
        ai_visible=False,
        outcome="IC",
        cancer_side="L",
    )
    assert node.take("exam_id,outcome", "1.2.1,IC") == {"rows": 1, "added": 0, "changed": 0, "skipped": 0}
    assert [each.rows for each in node.held.cohort.imports()] == [1, 1, 1]


def test_what_is_left_empty_stays_and_what_is_told_replaces(node: Node) -> None:
    node.take("exam_id,r1,r2", "1.2.1,1,2")
    node.take("exam_id,r1,r2", "1.2.1,,3")
    assert (node.facts("1.2.1").r1, node.facts("1.2.1").r2) == (1, 3)


def test_a_readers_score_is_the_higher_of_her_breasts(node: Node) -> None:
    node.take("exam_id,r1_right,r1_left", "1.2.1,1,4")
    assert node.facts("1.2.1").r1 == 4


def test_an_exam_is_also_named_by_an_accession_number_of_its_own(node: Node) -> None:
    node.take("accession_number,r1", "A1,3")
    assert node.facts("1.2.1").r1 == 3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["exam_id,r1", "1.2.1,6"], "line 2, r1: '6' is not allowed; allowed: a whole number from 1 to 5"),
        (["exam_id,recalled", "1.2.1,yes"], "line 2, recalled: 'yes' is not allowed; allowed: true or false"),
        (["exam_id,r1", "1.2.2,1", "9.9,1"], "line 3, exam_id: '9.9' is not allowed; allowed: that of one study"),
        (["accession_number,r1", "A2,1"], "line 2, accession_number: 'A2' is not allowed; allowed: that of one study"),
        (["exam_id,r1", ",1"], "line 2, exam_id: '' is not allowed; allowed: a value in exam_id"),
        (
            ["exam_id,r1", "1.2.1,1", "1.2.1,1"],
            "line 3, exam_id: '1.2.1' is not allowed; allowed: an exam that no other",
        ),
        (
            ["exam_id,recalled,outcome", "1.2.1,false,SDC"],
            "line 2, recalled: 'false' is not allowed; allowed: true, where",
        ),
        (["exam_id,reader", "1.2.1,1"], "unknown column 'reader'; allowed: exam_id, accession_number, r1"),
        (["exam_id", "1.2.1"], "the file tells nothing"),
        (["r1", "1"], "a column exam_id or accession_number is needed"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_taken(node: Node, lines: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        node.take(*lines)
    assert told in str(error.value)
    assert node.held.cohort.facts() == {}
    assert node.held.cohort.imports() == []


def test_a_row_that_contradicts_what_was_told_before_is_named(node: Node) -> None:
    node.take("exam_id,recalled", "1.2.1,false", "1.2.2,true")
    with pytest.raises(ConfigError, match="line 3, recalled: 'false' is not allowed; allowed: true, where the outcome"):
        node.take("exam_id,outcome", "1.2.2,SDC", "1.2.1,SDC")


def test_rows_of_exams_elsewhere_are_skipped_when_asked(node: Node) -> None:
    assert node.take("exam_id,r1", "9.9,1", "1.2.1,1", skip_unknown=True) == {
        "rows": 2,
        "added": 1,
        "changed": 0,
        "skipped": 1,
    }


def test_the_export_joins_readings_decisions_and_outcomes_under_pseudonyms(node: Node) -> None:
    node.exam("1.2.9", reading(None), patient="Y", date="20260202")
    node.take("exam_id,r1,r2,consensus_held,recalled,outcome", "1.2.1,1,1,false,false,NONE", "1.2.2,2,1,true,true,SDC")
    assert node.export().left_out == {}
    table = cohort.read(node.folder / "cohort.csv")
    rows = {row["exam_id"]: row for row in table.iter_rows(named=True)}
    assert [rows[f"1.2.{i}"]["round"] for i in (1, 2, 3)] == [1, 2, 3]
    assert len({rows[f"1.2.{i}"]["woman_id"] for i in (1, 2, 3)}) == 1
    assert rows["1.2.9"]["woman_id"] != rows["1.2.1"]["woman_id"]
    assert (rows["1.2.2"]["ai_score"], rows["1.2.2"]["prior_ai_score"]) == pytest.approx((0.2, 0.1))
    assert (rows["1.2.2"]["ai_score_left"], rows["1.2.2"]["prior_ai_score_left"]) == pytest.approx((0.1, 0.05))
    assert (rows["1.2.2"]["outcome"], rows["1.2.2"]["recalled"], rows["1.2.3"]["outcome"]) == ("SDC", True, None)
    assert (rows["1.2.9"]["gate"], rows["1.2.9"]["ai_score"]) == ("BREAST_IMPLANT", None)
    content = (node.folder / "cohort.csv").read_text()
    fields = {value for line in csv.reader(content.splitlines()) for value in line}
    assert not fields & {"X", "Y", "NIN", "A1", "A2"}


def test_pseudonyms_are_the_nodes_own_and_stay_the_same(node: Node) -> None:
    key = node.folder / "objects" / ".pseudonym-key"
    one = Pseudonyms(key).of("X", "NIN")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Pseudonyms(key).of("X", "NIN") == one
    assert Pseudonyms(node.folder / "other-key").of("X", "NIN") != one
    made = Pseudonyms(key)
    assert (
        len({made.of("X", "NIN"), made.of("XN", "IN"), made.of("NIN", "X"), made.of_study("X"), made.of("X", "")}) == 5
    )
    key.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes; allowed: 32"):
        Pseudonyms(key)


def test_scores_of_one_model_only_and_a_prior_as_the_reading_saw_it(node: Node) -> None:
    newer = replace(ALGORITHM, weights_sha256="ff" * 32)
    later = NOW + timedelta(days=1)
    seen = PriorComparison(
        study_instance_uid="1.2.3",
        study_date="20260110",
        algorithm=newer,
        score=0.77,
        breasts=(BreastChange(image_laterality=R, prior_probability=0.77, probability=0.8),),
    )
    node.exam("1.2.8", reading(0.9, started_at=later, algorithm=newer, prior=seen), patient="X", date="20280110")
    found = node.export("cohort.parquet")
    assert found.left_out == {"read by another model or strategy": 3}
    assert "ffffffff" in found.model
    (row,) = pl.read_parquet(node.folder / "cohort.parquet").iter_rows(named=True)
    assert (row["exam_id"], row["round"], row["prior_ai_score"], row["prior_ai_score_right"]) == (
        "1.2.8",
        1,
        0.77,
        0.77,
    )


def test_exams_that_cannot_be_rounds_are_left_out_and_counted(node: Node) -> None:
    node.exam("1.2.10", reading(0.5), patient="X", date="20240110")
    node.exam("1.2.11", reading(0.5), patient="Z", date="")
    node.exam("1.2.12", None, patient="Z", date="20240110")
    assert node.export().left_out == {"another exam of the same woman and day": 1, "without a study date": 1}
    assert cohort.read(node.folder / "cohort.csv").height == 3


def test_the_commands_take_in_list_and_export(node: Node) -> None:
    decisions = node.file("exam_id,r1", "1.2.1,2")
    assert "1 exams told of for the first time" in node.run("import", decisions)
    assert "decisions.csv" in node.run("imports")
    assert [each["rows"] for each in json.loads(node.run("imports", "--json"))] == [1]
    told = json.loads(node.run("export", node.folder / "cohort.csv", "--json"))
    assert (told["exams"], told["known"]) == (3, {"r1": 1})
    with pytest.raises(ConfigError, match="line 2, r1: '0' is not allowed"):
        node.run("import", node.file("exam_id,r1", "1.2.1,0"))
