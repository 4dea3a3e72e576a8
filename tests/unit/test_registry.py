"""A registry's diagnoses become each exam's outcome."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from node import registry
from node.errors import ConfigError
from node.registry import FollowUp, Linked
from tests import support_cohort
from tests.support_cohort import Node, reading

LATE = date(2030, 1, 1)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Woman X has exams a1, a2, a3 in January 2022, 2024 and 2026; Y one in 2022."""
    with support_cohort.kept(tmp_path) as made:
        for number, year in enumerate((2022, 2024, 2026), start=1):
            made.exam(f"1.{number}", reading(0.1), patient="X", date=f"{year}0110")
        made.exam("1.9", reading(0.1), patient="Y", date="20220110")
        yield made


def link(node: Node, *rows: str, until: date = LATE, header: str = "patient_id,diagnosis_date,cancer_side") -> Linked:
    return registry.linked(node.held, node.file(header, *rows, name="registry.csv"), FollowUp(until))


def outcomes(node: Node) -> list[str | None]:
    facts = node.held.cohort.facts()
    return [facts[study].outcome if study in facts else None for study in ("1.1", "1.2", "1.3", "1.9")]


def recalled(node: Node, *studies: str) -> None:
    every = ("1.1", "1.2", "1.3", "1.9")
    node.take("exam_id,recalled", *(f"{each},{str(each in studies).lower()}" for each in every))


@pytest.mark.parametrize(
    ("recalls", "diagnosed", "expected"),
    [
        ((), None, ["NONE", "NONE", "NONE", "NONE"]),
        (("1.2",), "2024-02-01", ["NEXT", "SDC", "NONE", "NONE"]),
        ((), "2024-02-01", ["NONE", "IC", "NONE", "NONE"]),
        (("1.1",), "2023-05-01", ["IC", "NONE", "NONE", "NONE"]),
        (("1.3",), "2026-01-10", ["NONE", "NEXT", "SDC", "NONE"]),
        ((), "2027-12-31", ["NONE", "NONE", "IC", "NONE"]),
        ((), "2028-06-01", ["NONE", "NONE", "NONE", "NONE"]),
        ((), "2021-06-01", ["NONE", "NONE", "NONE", "NONE"]),
    ],
    ids=[
        "none",
        "after a recall it is screen-detected, and next-round of the round before",
        "without a recall it is an interval cancer, however soon",
        "long after a recall too",
        "on the day of an exam it is of that exam",
        "within two years of the last exam",
        "later than the interval",
        "before the first exam",
    ],
)
def test_the_outcome_follows_from_recall_and_date(
    node: Node, recalls: tuple[str, ...], diagnosed: str | None, expected: list[str]
) -> None:
    recalled(node, *recalls)
    link(node, *([f"X,{diagnosed},L"] if diagnosed else []))
    assert outcomes(node) == expected
    sides = {each.cancer_side for each in node.held.cohort.facts().values() if each.outcome not in (None, "NONE")}
    assert sides <= {"L"}


def test_who_was_not_followed_for_long_enough_is_told_nothing_of(node: Node) -> None:
    recalled(node)
    found = link(node, "X,2022-05-01,R", until=date(2025, 1, 1))
    assert outcomes(node) == ["IC", None, None, "NONE"]
    assert found.untold == {"not followed for long enough": 2}
    assert link(node, "X,2022-05-01,R").outcomes == {"NONE": 3, "IC": 1}


def test_a_cancer_soon_after_an_exam_whose_recall_is_unknown_is_told_nothing_of(node: Node) -> None:
    found = link(node, "X,2022-02-01,R")
    assert outcomes(node) == [None, "NONE", "NONE", "NONE"]
    assert list(found.untold) == ["diagnosed soon after, and whether she was recalled is not told"]


def test_women_of_elsewhere_are_counted_and_kept_nowhere(node: Node) -> None:
    recalled(node)
    assert link(node, "Stranger,2022-02-01,R", "X,2022-02-01,R").taken.skipped == 1
    kept = b"".join(path.read_bytes() for path in node.folder.glob("node.sqlite*"))
    assert b"registry.csv" in kept
    assert b"Stranger" not in kept


def test_one_id_of_two_issuers_needs_the_issuer(node: Node) -> None:
    node.exam("1.20", reading(0.1), patient="X", date="20220301", issuer="OTHER")
    recalled(node)
    with pytest.raises(ConfigError, match="line 2, issuer_of_patient_id: '' is not allowed; allowed: an issuer"):
        link(node, "X,2022-04-01,R")
    link(node, "X,2022-04-01,R,OTHER", header="patient_id,diagnosis_date,cancer_side,issuer_of_patient_id")
    assert outcomes(node)[0] == "NONE"


def test_a_bad_row_is_named(node: Node) -> None:
    with pytest.raises(ConfigError, match=r"line 3, diagnosis_date: '1\.2\.2022' is not allowed; allowed: a date"):
        link(node, "X,2022-02-01,R", "Y,1.2.2022,L")
    assert node.held.cohort.imports() == []


def test_the_command_says_what_came_of_it(node: Node) -> None:
    recalled(node)
    file = node.file("patient_id,diagnosis_date", "X,2022-02-01", name="registry.csv")
    told = node.run("outcomes", file, "--followed-until", "2025-01-01")
    assert "1 diagnoses, 0 of women not held here" in told
    assert "outcomes told of 2 exams" in told
    assert "not told yet, not followed for long enough: 2" in told
