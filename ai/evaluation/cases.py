"""A cohort table as the report needs it: who was read and followed up, and where each exam stands in its stratum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai.cohort import READ, Outcome
from ai.evaluation.exams import MINIMUM, numbered, systems, windows

Flags = NDArray[np.bool_]

#: The kinds of cancer that everything is told of.
SDC, BOTH = "SDC", "SDC + IC"

#: A table without these cannot be evaluated; their values may be missing in rows, which are counted.
NEEDED = ("outcome", "ai_score")


@dataclass(frozen=True, slots=True)
class Flow:
    """What became of every row (STARD's flow). outcomes: of the evaluated; cancers_not_read: SDC and IC among those.

    not_read: reason → exams; small_stratum: read, but of a stratum with too few exams for thresholds. ai_visible:
    of the evaluated, those whose readers saw the AI's result, as far as the table tells.
    """

    exams: int
    women: int
    first_date: str
    last_date: str
    not_read: Mapping[str, int]
    cancers_not_read: int
    read: int
    no_outcome: int
    small_stratum: int
    evaluated: int
    evaluated_women: int
    outcomes: Mapping[str, int]
    ai_visible: int


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The evaluated exams: read, followed up, of a stratum with thresholds; arrays of n, `table` their rows.

    position: share of the stratum's read exams that score lower, 0–1. women: number of the woman.
    """

    table: pl.DataFrame
    flow: Flow
    women: NDArray[np.int64]
    strata: NDArray[np.str_]
    score: NDArray[np.float64]
    position: NDArray[np.float64]
    sdc: Flags
    ic: Flags

    @property
    def cancer(self) -> Flags:
        """Screen-detected or interval cancer."""
        return self.sdc | self.ic

    @property
    def everywhere(self) -> Flags:
        """Every exam."""
        return np.ones(len(self.score), bool)

    def kinds(self) -> Mapping[str, tuple[Flags, Flags]]:
        """Kind of cancer → (positive, counted): for SDC alone, interval cancers are neither positive nor negative."""
        return {SDC: (self.sdc, ~self.ic), BOTH: (self.cancer, self.everywhere)}

    def flags(self, name: str, least: int) -> tuple[Flags, Flags]:
        """(the reader's score is there, it is at or above `least`), of a column that may be missing."""
        column = _or_null(self.table, name, pl.Int64())
        return column.is_not_null().to_numpy(), (column >= least).fill_null(False).to_numpy()

    def recalled(self) -> tuple[Flags, Flags]:
        """(it is told whether the woman was recalled, she was)."""
        column = _or_null(self.table, "recalled", pl.Boolean())
        return column.is_not_null().to_numpy(), column.fill_null(False).to_numpy()


def cases(table: pl.DataFrame) -> Cases:
    """The cases of a checked table (`ai.cohort.read`) that has NEEDED's columns. Raises ValueError: there are none."""
    gate = _or_null(table, "gate", pl.String()).fill_null(READ)
    read = ((gate == READ) & table["ai_score"].is_not_null()).to_numpy()
    strata = systems(table).to_numpy().astype(str)
    score = np.where(read, table["ai_score"].cast(pl.Float64).fill_null(float("nan")).to_numpy(), np.nan)
    number = numbered(strata)
    position = windows(score, number, read).place(score, number)
    known = table["outcome"].is_not_null().to_numpy()
    placed = ~np.isnan(position)
    chosen = read & known & placed
    if not chosen.any():
        raise ValueError(f"no exam has an outcome and an AI score, in a stratum of {MINIMUM} read exams or more")
    rows = table.filter(pl.Series(chosen))
    return Cases(
        table=rows,
        flow=_flow(table, gate, read, known & read & ~placed, rows),
        women=numbered(rows["woman_id"].to_numpy()),
        strata=strata[chosen],
        score=score[chosen],
        position=position[chosen],
        sdc=(rows["outcome"] == Outcome.SDC).to_numpy(),
        ic=(rows["outcome"] == Outcome.IC).to_numpy(),
    )


def _flow(table: pl.DataFrame, gate: pl.Series, read: Flags, small: Flags, rows: pl.DataFrame) -> Flow:
    unread = table.filter(pl.Series(~read))
    reasons = pl.Series("reason", gate.filter(pl.Series(~read))).replace({READ: "NO_SCORE"})
    counts = dict(reasons.value_counts(sort=True).iter_rows())
    return Flow(
        exams=table.height,
        women=table["woman_id"].n_unique(),
        first_date=str(table["study_date"].min()),
        last_date=str(table["study_date"].max()),
        not_read=counts,
        cancers_not_read=unread.filter(pl.col("outcome").is_in([Outcome.SDC, Outcome.IC])).height,
        read=int(read.sum()),
        no_outcome=table.filter(pl.Series(read) & pl.col("outcome").is_null()).height,
        small_stratum=int(small.sum()),
        evaluated=rows.height,
        evaluated_women=rows["woman_id"].n_unique(),
        ai_visible=int(_or_null(rows, "ai_visible", pl.Boolean()).fill_null(False).sum()),
        outcomes={each: rows.filter(pl.col("outcome") == each).height for each in Outcome},
    )


def _or_null(table: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    return table[name] if name in table.columns else pl.Series(name, [None] * table.height, dtype=dtype)
