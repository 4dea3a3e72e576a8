"""The cohort table: a row an exam, with what the readers said, what became of the woman, and what the AI said.

CSV (UTF-8, comma, a header line) or Parquet, the same columns. Nothing is read silently wrong: an unknown column, a
value that is not allowed or rows that contradict each other are all named, and no table is given. Women are known by
pseudonyms; a table holds no name and no identity number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import polars as pl

READ = "READ"
_MOST_TOLD = 20


class Outcome(StrEnum):
    """What became of the woman until her next invitation, or after it."""

    SDC = "SDC"  # screen-detected cancer
    IC = "IC"  # interval cancer
    NEXT = "NEXT"  # cancer found in the next round
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Text:
    """A text. pattern: a regular expression of what it must be; allowed: that in words."""

    pattern: str = r"\S.*"
    allowed: str = "a text"

    @property
    def dtype(self) -> pl.DataType:
        """As it is kept."""
        return pl.String()

    def valid(self, column: pl.Expr) -> pl.Expr:
        """Whether each text may stand here."""
        return column.str.contains(f"^(?:{self.pattern})$")

    def read(self, column: pl.Expr) -> pl.Expr:
        """Each text as it is kept."""
        return column


@dataclass(frozen=True, slots=True)
class Choice(Text):
    """One of a few words."""

    words: tuple[str, ...] = ()

    def valid(self, column: pl.Expr) -> pl.Expr:
        return column.is_in(list(self.words))


def _choice(*words: str) -> Choice:
    return Choice(allowed=", ".join(words), words=words)


@dataclass(frozen=True, slots=True)
class Number(Text):
    """A number from low to high."""

    low: float = float("-inf")
    high: float = float("inf")
    whole: bool = False

    @property
    def dtype(self) -> pl.DataType:
        return pl.Int64() if self.whole else pl.Float64()

    def valid(self, column: pl.Expr) -> pl.Expr:
        value = self.read(column)
        return value.is_not_null() & value.cast(pl.Float64).is_finite() & value.is_between(self.low, self.high)

    def read(self, column: pl.Expr) -> pl.Expr:
        return column.cast(self.dtype, strict=False)


@dataclass(frozen=True, slots=True)
class Flag(Text):
    """true or false."""

    @property
    def dtype(self) -> pl.DataType:
        return pl.Boolean()

    def valid(self, column: pl.Expr) -> pl.Expr:
        return column.is_in(["true", "false"])

    def read(self, column: pl.Expr) -> pl.Expr:
        return column == "true"


@dataclass(frozen=True, slots=True)
class Day(Text):
    """A date, YYYY-MM-DD."""

    @property
    def dtype(self) -> pl.DataType:
        return pl.Date()

    def valid(self, column: pl.Expr) -> pl.Expr:
        return self.read(column).is_not_null()

    def read(self, column: pl.Expr) -> pl.Expr:
        return column.str.to_date("%Y-%m-%d", strict=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. required: the table needs it, and a value in every row."""

    kind: Text
    meaning: str
    required: bool = False


_SCORE = Number(allowed="a whole number from 1 to 5", low=1, high=5, whole=True)
_AI = Number(allowed="a number")
_FLAG = Flag(allowed="true or false")

#: Every column a table may have, in the order in which one is written.
COLUMNS: Mapping[str, Column] = {
    "exam_id": Column(Text(), "the exam: its Study Instance UID, or another name that no other exam has", True),
    "woman_id": Column(Text(), "pseudonym of the woman, the same in every round", True),
    "round": Column(Number(allowed="a whole number from 1 up", low=1, whole=True), "her screening round", True),
    "study_date": Column(Day(allowed="a date, YYYY-MM-DD"), "date of the exam", True),
    "manufacturer": Column(Text(), "of the system, as in the images: part of the stratum"),
    "manufacturer_model_name": Column(Text(), "of the system: part of the stratum"),
    "software_versions": Column(Text(), "of the system: part of the stratum"),
    "gate": Column(
        Text("[A-Z][A-Z0-9_]*", f"{READ}, or the code of the reason why not"),
        f"{READ}, or why the AI did not read the exam; such an exam follows the readers",
    ),
    "r1": Column(_SCORE, "first reader's score, the higher of both breasts; from 2 up is positive"),
    "r2": Column(_SCORE, "second reader's score"),
    "r1_right": Column(_SCORE, "first reader's score of the right breast"),
    "r1_left": Column(_SCORE, "first reader's score of the left breast"),
    "r2_right": Column(_SCORE, "second reader's score of the right breast"),
    "r2_left": Column(_SCORE, "second reader's score of the left breast"),
    "consensus_held": Column(_FLAG, "whether the exam was taken to a consensus meeting"),
    "recalled": Column(_FLAG, "whether the woman was recalled"),
    "outcome": Column(_choice(*Outcome), "screen-detected, interval, next-round cancer, or none"),
    "cancer_side": Column(_choice("R", "L", "B"), "breast with the cancer, B for both"),
    "ai_score": Column(_AI, "the AI's score of the exam; any scale on which more is more suspicious"),
    "prior_ai_score": Column(_AI, "the AI's score of her exam before this one"),
    "ai_score_right": Column(_AI, "the AI's score of the right breast"),
    "ai_score_left": Column(_AI, "the AI's score of the left breast"),
    "prior_ai_score_right": Column(_AI, "the AI's score of the right breast in her exam before this one"),
    "prior_ai_score_left": Column(_AI, "the AI's score of the left breast in her exam before this one"),
    "ai_visible": Column(_FLAG, "whether the readers saw the AI's result when they decided"),
    "images": Column(Text(), "folder or file of the exam's DICOM images, from the table's own folder"),
    "boxes": Column(Text(), "JSON file of drawn lesions, from the table's own folder"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value. line: in a CSV file, the header being line 1; in Parquet the row number + 1."""

    line: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.value!r} is not allowed; allowed: {self.allowed}"


class CohortError(ValueError):
    """A table that cannot be used. faults: every one of them; the message tells the first."""

    def __init__(self, path: Path, faults: Sequence[Fault], complaint: str = "") -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        told = [str(fault) for fault in self.faults[:_MOST_TOLD]]
        more = [f"and {len(faults) - _MOST_TOLD} more"] if len(faults) > _MOST_TOLD else []
        super().__init__("\n".join([*([f"{path}: {complaint}"] if complaint else [f"{path}:"]), *told, *more]))


def read(path: Path, needed: Iterable[str] = ()) -> pl.DataFrame:
    """The table in `path`, checked and typed, its columns in the order of COLUMNS; absent ones are absent.

    needed: columns that the caller cannot do without, with a value in every row. Raises CohortError, OSError.
    """
    table = read_as(path, COLUMNS, needed)
    if faults := [*_contradictions(table), *reader_contradictions(table)]:
        raise CohortError(path, faults)
    return table


def read_as(path: Path, columns: Mapping[str, Column], needed: Iterable[str] = ()) -> pl.DataFrame:
    """A table of other columns, each value checked by itself and typed; in the order of `columns`. Raises as `read`."""
    texts = _texts(path)
    wanted = dict.fromkeys([*(name for name, column in columns.items() if column.required), *needed])
    _check_columns(path, texts.columns, columns, list(wanted))
    if faults := list(_value_faults(texts, columns, set(wanted))):
        raise CohortError(path, faults)
    return texts.select(columns[name].kind.read(pl.col(name)).alias(name) for name in columns if name in texts.columns)


def write(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV, or as Parquet where `path` ends so."""
    ordered = table.select(name for name in COLUMNS if name in table.columns)
    if path.suffix == ".parquet":
        ordered.write_parquet(path)
    else:
        ordered.write_csv(path)


def _texts(path: Path) -> pl.DataFrame:
    """Every value as text without space around it; empty ones null."""
    try:
        if path.suffix == ".parquet":
            raw = pl.read_parquet(path).cast(pl.String)
        else:
            raw = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise CohortError(path, (), f"cannot be read as a table: {str(error).splitlines()[0]}") from error
    stripped = raw.rename(str.strip).select(pl.all().str.strip_chars())
    return stripped.select(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())


def _check_columns(path: Path, names: Sequence[str], columns: Mapping[str, Column], wanted: Sequence[str]) -> None:
    unknown = [name for name in names if name not in columns]
    if unknown:
        known = ", ".join(columns)
        raise CohortError(path, (), f"unknown column {', '.join(map(repr, unknown))}; allowed: {known}")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise CohortError(path, (), f"the column {', '.join(missing)} is missing")


def _value_faults(texts: pl.DataFrame, columns: Mapping[str, Column], wanted: set[str]) -> Iterator[Fault]:
    for name in texts.columns:
        kind, column = columns[name].kind, pl.col(name)
        ok = kind.valid(column) if name in wanted else column.is_null() | kind.valid(column)
        bad = texts.with_row_index("row").filter(~ok.fill_null(False)).select("row", name)
        for row, value in bad.iter_rows():
            yield Fault(row + 2, name, value or "", kind.allowed)


def _contradictions(table: pl.DataFrame) -> Iterator[Fault]:
    """Rows that are each well formed and cannot be true together."""
    rows = table.with_row_index("row")
    for row, value in rows.filter(~pl.col("exam_id").is_first_distinct()).select("row", "exam_id").iter_rows():
        yield Fault(row + 2, "exam_id", value, "a name that no other exam has")
    again = rows.filter(~pl.struct("woman_id", "round").is_first_distinct())
    for row, value in again.select("row", "round").iter_rows():
        yield Fault(row + 2, "round", str(value), "a round that this woman has no other exam of")
    ordered = rows.sort("woman_id", "round")
    backwards = ordered.filter(pl.col("study_date") <= pl.col("study_date").shift().over("woman_id"))
    for row, value in backwards.select("row", "study_date").iter_rows():
        yield Fault(row + 2, "study_date", str(value), "a date after that of the woman's round before")


def reader_contradictions(table: pl.DataFrame) -> Iterator[Fault]:
    """Rows whose own values cannot be true together."""
    rows, has = table.with_row_index("row"), set(table.columns)
    if {"outcome", "recalled"} <= has:
        found = rows.filter((pl.col("outcome") == Outcome.SDC) & ~pl.col("recalled"))
        for row in found["row"]:
            yield Fault(row + 2, "recalled", "false", f"true, where the outcome is {Outcome.SDC}")
    if {"gate", "ai_score"} <= has:
        found = rows.filter((pl.col("gate") == READ) & pl.col("ai_score").is_null())
        for row in found["row"]:
            yield Fault(row + 2, "ai_score", "", f"a number, where the gate is {READ}")
    for reader in ("r1", "r2"):
        sides = [f"{reader}_right", f"{reader}_left"]
        if {reader, *sides} <= has:
            found = rows.filter(pl.col(reader) != pl.max_horizontal(sides))
            for row, value in found.select("row", reader).iter_rows():
                yield Fault(row + 2, reader, str(value), f"the higher of {sides[0]} and {sides[1]}")
