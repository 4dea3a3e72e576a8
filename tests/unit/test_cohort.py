"""The cohort table: read whole and typed, or refused with every fault named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai import cohort
from ai.cohort import COLUMNS, CohortError, Outcome

HEADER = "exam_id,woman_id,round,study_date,r1,r2,consensus_held,recalled,outcome,gate,ai_score"
GOOD = (
    "e1,w1,1,2024-01-10,1,1,false,false,NONE,READ,0.1",
    "e2,w1,2,2026-01-12,2,3,true,true,SDC,READ,0.97",
    "e3,w2,1,2024-02-01,1,2,true,false,IC,BREAST_IMPLANT,",
)


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "cohort.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def refused(path: Path) -> CohortError:
    with pytest.raises(CohortError) as told:
        cohort.read(path)
    return told.value


def test_a_good_table_is_read_with_types(tmp_path: Path) -> None:
    read = cohort.read(table(tmp_path, *GOOD))
    assert read.height == 3
    assert read["study_date"][1] == date(2026, 1, 12)
    assert read["r2"].to_list() == [1, 3, 2]
    assert read["recalled"].to_list() == [False, True, False]
    assert read["outcome"].to_list() == [Outcome.NONE, Outcome.SDC, Outcome.IC]
    assert read["ai_score"].to_list() == [0.1, 0.97, None]


@pytest.mark.parametrize("name", ["cohort.csv", "cohort.parquet"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    read = cohort.read(table(tmp_path, *GOOD))
    cohort.write(read, tmp_path / name)
    assert cohort.read(tmp_path / name).equals(read)


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("woman_id", "", "a text"),
        ("round", "0", "a whole number from 1 up"),
        ("round", "1.5", "a whole number from 1 up"),
        ("study_date", "10.01.2024", "a date, YYYY-MM-DD"),
        ("study_date", "2024-02-30", "a date, YYYY-MM-DD"),
        ("r1", "6", "a whole number from 1 to 5"),
        ("r1", "two", "a whole number from 1 to 5"),
        ("recalled", "yes", "true or false"),
        ("outcome", "sdc", "SDC, IC, NEXT, NONE"),
        ("gate", "read it", "READ, or the code of the reason why not"),
        ("ai_score", "nan", "a number"),
        ("ai_score", "inf", "a number"),
        ("ai_score", "0,7", "a number"),
    ],
)
def test_a_bad_value_is_named_with_line_column_and_what_is_allowed(
    tmp_path: Path, column: str, value: str, allowed: str
) -> None:
    values = dict(zip(HEADER.split(","), GOOD[0].split(","), strict=True)) | {column: value}
    row = ",".join(f'"{each}"' for each in values.values())
    error = refused(table(tmp_path, GOOD[2], row))
    (fault,) = error.faults
    assert (fault.line, fault.column, fault.value, fault.allowed) == (3, column, value, allowed)
    assert f"line 3, {column}" in str(error)


@pytest.mark.parametrize(
    ("changed", "line", "column"),
    [
        (("e1,w9,1,2024-01-10,1,1,false,false,NONE,READ,0.1",), 5, "exam_id"),
        (("e4,w1,2,2028-01-10,1,1,false,false,NONE,READ,0.1",), 5, "round"),
        (("e4,w1,3,2025-01-10,1,1,false,false,NONE,READ,0.1",), 5, "study_date"),
        (("e4,w4,1,2025-01-10,1,1,false,false,SDC,READ,0.1",), 5, "recalled"),
        (("e4,w4,1,2025-01-10,1,1,false,false,NONE,READ,",), 5, "ai_score"),
    ],
)
def test_rows_that_contradict_each_other_are_named(
    tmp_path: Path, changed: tuple[str, ...], line: int, column: str
) -> None:
    (fault,) = refused(table(tmp_path, *GOOD, *changed)).faults
    assert (fault.line, fault.column) == (line, column)


def test_a_readers_score_is_the_higher_of_both_breasts(tmp_path: Path) -> None:
    header = "exam_id,woman_id,round,study_date,r1,r1_right,r1_left"
    (fault,) = refused(table(tmp_path, "e1,w1,1,2024-01-10,1,1,3", header=header)).faults
    assert fault.column == "r1"


def test_every_fault_is_kept_and_the_first_are_told(tmp_path: Path) -> None:
    rows = [f"e{n},w{n},1,2024-01-10,9,1,false,false,NONE,READ,0.1" for n in range(50)]
    error = refused(table(tmp_path, *rows))
    assert len(error.faults) == 50
    assert str(error).endswith("and 30 more")


def test_an_unknown_column_is_refused_with_those_there_are(tmp_path: Path) -> None:
    text = str(refused(table(tmp_path, GOOD[0] + ",x", header=HEADER + ",recaled")))
    assert "'recaled'" in text
    assert "recalled" in text


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    assert "woman_id is missing" in str(refused(table(tmp_path, "e1", header="exam_id,round,study_date")))
    with pytest.raises(CohortError, match="images is missing"):
        cohort.read(table(tmp_path, *GOOD), needed=["images"])


def test_a_needed_column_needs_a_value_in_every_row(tmp_path: Path) -> None:
    with pytest.raises(CohortError) as told:
        cohort.read(table(tmp_path, GOOD[2]), needed=["ai_score"])
    assert told.value.faults[0].column == "ai_score"


@pytest.mark.parametrize(
    "content", [b"", b"exam_id,woman_id\n1,2,3,4\n", b"\xff\xfe\x00", b'exam_id\n"unfinished'], ids=repr
)
def test_what_is_no_table_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(content)
    assert str(path) in str(refused(path))


@given(st.dictionaries(st.sampled_from(list(COLUMNS)), st.text(max_size=8), min_size=1))
def test_any_text_is_either_read_or_refused(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    pl.DataFrame({name: [value] for name, value in values.items()}).write_csv(path)
    try:
        cohort.read(path)
    except CohortError as error:
        told = str(error)
    else:
        return
    assert str(path) in told


def test_every_column_says_what_it_means_and_allows() -> None:
    assert [name for name, column in COLUMNS.items() if not (column.meaning and column.kind.allowed)] == []
