"""A cohort table as arrays that strategies decide on: what the readers, the consensus and the AI said of each exam.

Thresholds are quantiles. t.q of a stratum is the lowest score below which at least the share q of its reference
window lies, so A(t.q), a score at or above it, is the same as a share below the score (`position`) of q or more. A
stratum with fewer than MINIMUM exams in its window has no thresholds: its exams follow the readers, as those that the
gate refused do. The rise of a score since the prior is that of its percentile in the window, and its threshold is a
quantile of the window's rises: so nothing depends on the scale of the AI's scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai.cohort import READ, Outcome

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

#: What a table must hold; rows without one of these values are left out, and counted.
NEEDED = ("r1", "r2", "consensus_held", "recalled", "outcome", "ai_score")
#: Exams that a reference window must have before its upper percentile means anything.
MINIMUM = 100
#: A column that may be added to a table: the AI's percentile of each exam as it was told, 0–100 (see `exams`).
PERCENTILE = "ai_percentile"
_SYSTEM = ("manufacturer", "manufacturer_model_name", "software_versions")
_EXACT = 1e-9


@dataclass(frozen=True)
class Exams:
    """Arrays of n exams. women, strata, days: numbers of woman, stratum and day from 0 up.

    r1, r2: scores 1–5. held, recalled: the consensus as it was. sdc, ic: the outcome. follows_ai: read by the AI, of
    a stratum with thresholds; all others follow the readers. position: share of the stratum's reference window below
    the AI's score, 0–1, NaN where it has none. change: the same of the score's rise since the prior, NaN without a
    prior. right_side: what was flagged is the breast with the cancer; also where the table does not say.
    """

    women: NDArray[np.int64]
    strata: NDArray[np.int64]
    days: NDArray[np.int64]
    r1: NDArray[np.int64]
    r2: NDArray[np.int64]
    held: Flags
    recalled: Flags
    sdc: Flags
    ic: Flags
    follows_ai: Flags
    position: Numbers
    change: Numbers
    right_side: Flags

    def __len__(self) -> int:
        return len(self.women)

    @cached_property
    def p1(self) -> Flags:
        """The first reader's score is positive: 2 or more."""
        return self.r1 >= 2

    @cached_property
    def p2(self) -> Flags:
        """The second reader's."""
        return self.r2 >= 2

    @cached_property
    def either(self) -> Flags:
        """P1 ∨ P2: what double reading takes to consensus."""
        return self.p1 | self.p2

    @cached_property
    def cancer(self) -> Flags:
        """Screen-detected or interval cancer."""
        return self.sdc | self.ic

    def at(self, quantile: float) -> Flags:
        """A(t.quantile): the AI's score is at or above that threshold of its stratum; never where it has none."""
        return self.position >= quantile - _EXACT

    def below(self, quantile: float) -> Flags:
        """The AI's score is below the threshold; never where it has none."""
        return self.position < quantile - _EXACT

    def chosen(self, rows: Flags) -> Exams:
        """Only these exams, thresholds as they are."""
        parts = {each.name: getattr(self, each.name)[rows] for each in fields(self)}
        parts["women"] = numbered(parts["women"])
        return Exams(**parts)


@dataclass(frozen=True, slots=True)
class Stratum:
    """A stratum's name, its exams, and how many of them are its reference window."""

    name: str
    exams: int
    reference: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Exams that strategies can be compared on. table: their rows. left_out: column → rows without a value in it."""

    exams: Exams
    table: pl.DataFrame
    strata: tuple[Stratum, ...]
    left_out: Mapping[str, int]


def missing_columns(table: pl.DataFrame) -> list[str]:
    """Those of `NEEDED` that a table does not have."""
    return [name for name in NEEDED if name not in table.columns]


def exams(table: pl.DataFrame, *, reference: int = 0) -> Cohort:
    """A checked table (`ai.cohort.read` with NEEDED's columns) as arrays.

    reference: the first so many read exams of each stratum, by date, are its window; 0: all of them. Where the table
    has a column `PERCENTILE`, that is the position, and thresholds are percentiles as the AI told them; the rise since
    the prior stays that of the table's windows. Raises ValueError where no row can be used.
    """
    rows, left_out = _usable(table)
    if rows.is_empty():
        raise ValueError(f"no exam has {', '.join(NEEDED)}")
    names = systems(rows)
    strata = numbered(names.to_numpy())
    read = (_column(rows, "gate", READ) == READ).fill_null(True).to_numpy() & rows["ai_score"].is_not_null().to_numpy()
    window = _window(rows["study_date"], strata, read, reference)
    score = np.where(read, _values(rows, "ai_score"), np.nan)
    position = windows(score, strata, window).place(score, strata)
    if PERCENTILE in rows.columns:
        position = np.where(read, _values(rows, PERCENTILE) / 100, np.nan)
    change = np.where(read, _change(rows, strata, window), np.nan)
    found = Exams(
        women=numbered(rows["woman_id"].to_numpy()),
        strata=strata,
        days=numbered(rows["study_date"].to_numpy()),
        r1=rows["r1"].to_numpy(),
        r2=rows["r2"].to_numpy(),
        held=rows["consensus_held"].to_numpy(),
        recalled=rows["recalled"].to_numpy(),
        sdc=(rows["outcome"] == Outcome.SDC).to_numpy(),
        ic=(rows["outcome"] == Outcome.IC).to_numpy(),
        follows_ai=~np.isnan(position),
        position=position,
        change=windows(change, strata, window).place(change, strata),
        right_side=_right_side(rows),
    )
    told = [
        Stratum(str(name), int((strata == number).sum()), int((window & (strata == number)).sum()))
        for number, name in enumerate(sorted(set(names)))
    ]
    return Cohort(found, rows, tuple(told), left_out)


def _usable(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows with all that is needed. An exam that the AI did not read needs no score."""
    read = (_column(table, "gate", READ) == READ).fill_null(True)
    lacking = {name: table[name].is_null() & (read if name == "ai_score" else True) for name in NEEDED}
    left_out = {name: int(missing.sum()) for name, missing in lacking.items() if missing.any()}
    rows = table.filter(~pl.any_horizontal(*(pl.lit(each) for each in lacking.values())))
    return rows, left_out


def _column(table: pl.DataFrame, name: str, absent: str) -> pl.Series:
    return table[name] if name in table.columns else pl.Series(name, [absent] * table.height, dtype=pl.String)


def systems(rows: pl.DataFrame) -> pl.Series:
    """The stratum of each row in words."""
    parts = [pl.col(name).fill_null("") for name in _SYSTEM if name in rows.columns]
    if not parts:
        return pl.Series("stratum", ["all exams"] * rows.height)
    return rows.select(pl.concat_str(parts, separator=" / ").alias("stratum"))["stratum"]


def numbered(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """For each value its number among the different ones, from 0 up."""
    return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)


def _window(dates: pl.Series, strata: NDArray[np.int64], read: Flags, reference: int) -> Flags:
    """Which exams are their stratum's reference window."""
    if reference == 0:
        return read
    frame = pl.DataFrame({"stratum": strata, "date": dates, "read": read})
    first = pl.col("date").rank("ordinal").over("stratum") <= reference
    frame = frame.with_row_index().filter("read").filter(first)
    window = np.zeros(len(read), bool)
    window[frame["index"].to_numpy()] = True
    return window


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Values of the reference windows, and the stratum of each."""

    values: Numbers
    strata: NDArray[np.int64]

    def place(self, values: Numbers, strata: NDArray[np.int64]) -> Numbers:
        """Share of its stratum's window below each value; NaN for NaN, and where the window is too small."""
        place = np.full(len(values), np.nan)
        for stratum in range(int(strata.max()) + 1):
            ordered = np.sort(self.values[self.strata == stratum])
            mine = (strata == stratum) & ~np.isnan(values)
            if len(ordered) >= MINIMUM:
                place[mine] = np.searchsorted(ordered, values[mine], side="left") / len(ordered)
        return place


def windows(values: Numbers, strata: NDArray[np.int64], window: Flags) -> Windows:
    """The windows of exams with these values; window: which of them belong to the window of their stratum."""
    known = window & ~np.isnan(values)
    return Windows(values[known], strata[known])


def _change(rows: pl.DataFrame, strata: NDArray[np.int64], window: Flags) -> Numbers:
    """The rise since the prior, in percentiles: of the breast that rose more where both are told, else of the exam."""
    exam = _rise(rows, ("ai_score",), strata, window)
    breasts = _rise(rows, ("ai_score_right", "ai_score_left"), strata, window)
    return np.where(np.isnan(breasts), exam, breasts)


def _rise(rows: pl.DataFrame, names: Sequence[str], strata: NDArray[np.int64], window: Flags) -> Numbers:
    """The highest rise of these scores; NaN where one of them or of the prior's is not told."""
    if not {each for name in names for each in (name, f"prior_{name}")} <= set(rows.columns):
        return np.full(rows.height, np.nan)
    reference = windows(
        np.concatenate([_values(rows, name) for name in names]),
        np.tile(strata, len(names)),
        np.tile(window, len(names)),
    )
    now = [reference.place(_values(rows, name), strata) for name in names]
    before = [reference.place(_values(rows, f"prior_{name}"), strata) for name in names]
    rises: Numbers = np.max(np.subtract(now, before), axis=0)
    return rises


def _values(rows: pl.DataFrame, name: str) -> Numbers:
    return np.asarray(rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), float)


def _right_side(rows: pl.DataFrame) -> Flags:
    """Whether the breast that was flagged has the cancer: by the positive readers, where none is by the AI."""
    cancer = _column(rows, "cancer_side", "B").fill_null("B").to_numpy()
    by_ai = _on_side(rows, "ai_score", cancer, 0.0)
    readers = [_on_side(rows, reader, cancer, 2.0) & (rows[reader] >= 2).to_numpy() for reader in ("r1", "r2")]
    positive = ((rows["r1"] >= 2) | (rows["r2"] >= 2)).to_numpy()
    return np.where(positive, readers[0] | readers[1], by_ai)


def _on_side(rows: pl.DataFrame, name: str, cancer: NDArray[np.generic], floor: float) -> Flags:
    """The side that `name` scores higher (both where equal), or from `floor` up where that is more, has the cancer."""
    if not {f"{name}_right", f"{name}_left"} <= set(rows.columns):
        return np.ones(rows.height, bool)
    right, left = (rows[f"{name}_{side}"].cast(pl.Float64).to_numpy() for side in ("right", "left"))
    told = ~(np.isnan(right) | np.isnan(left))
    flagged = {"R": right >= left, "L": left >= right}
    if floor:
        flagged = {"R": right >= floor, "L": left >= floor}
    fits: Flags = ((cancer != "L") & flagged["R"]) | ((cancer != "R") & flagged["L"]) | ~told
    return fits
