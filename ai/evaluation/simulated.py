"""A screening programme that never was: women, rounds, readers, consensus meetings, cancers, and an AI.

With the usual parameters a large cohort has about the published rates of BreastScreen Norway: 0.6 % screen-detected
and 0.17 % interval cancers, consensus on 9 % and recall of 3 %; 23 % of screen-detected cancers positive to one reader
only; 87 % of them, and 45 % of interval cancers, in the AI's highest tenth. Nothing else in it is measured on anybody:
it shows what the commands do, and says nothing of any model or programme. `ai.evaluation.drawn_rounds` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai.cohort import COLUMNS, READ


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of lesion: its share of the cancers that show, and the share of those that each reader sees."""

    share: float
    reader_1: float
    reader_2: float


KINDS: Mapping[str, Kind] = {
    "mass": Kind(0.40, 0.83, 0.81),
    "spiculated_mass": Kind(0.22, 0.93, 0.92),
    "calcification_cluster": Kind(0.23, 0.74, 0.76),
    "architectural_distortion": Kind(0.08, 0.62, 0.58),
    "asymmetry": Kind(0.07, 0.60, 0.62),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What is simulated. Shares and chances are of an exam, 0–1; correlations are of hidden normal values, 0–1.

    shown, hidden: exams with a cancer that shows, and with one that hardly does and surfaces before the next round.
    false_positive: of a reader, on exams without cancer. hidden_seen: hidden cancers that a reader marks.
    readers_alike, readers_alike_on_cancer: correlation of the two readers. ai_alike: of the AI with what is hard or
    easy for both. stability: of a breast's score from round to round. strength, spread: of the AI's signal of a cancer
    that shows (in standard deviations of a healthy breast), hidden_strength, hidden_spread of one that hardly does.
    growth: of the signal in the round before the cancer is there, subtracted; in the same unit, lognormal about this.
    not_read: exams that the gate refuses. systems: makes of mammography system, each with a score scale of its own.
    """

    exams: int = 20_000
    rounds: int = 4
    systems: int = 2
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)
    shown: float = 0.0065
    hidden: float = 0.0011
    hidden_seen: float = 0.11
    false_positive: float = 0.053
    readers_alike: float = 0.72
    readers_alike_on_cancer: float = 0.50
    ai_alike: float = 0.35
    stability: float = 0.60
    strength: float = 2.50
    spread: float = 0.75
    hidden_strength: float = 0.95
    hidden_spread: float = 1.40
    growth: float = 1.6
    not_read: float = 0.01

    def __post_init__(self) -> None:
        if min(self.exams, self.rounds, self.systems) < 1:
            raise ValueError("exams, rounds and systems: allowed: 1 or more")


def named(rows: pl.DataFrame) -> pl.DataFrame:
    """Drawn rows as a cohort table, its columns in their order."""
    read, system = pl.col("read"), pl.col("system").cast(pl.String)
    scores = [name for name in COLUMNS if "ai_score" in name]
    table = rows.with_columns(
        (pl.lit("exam-") + pl.int_range(pl.len()).cast(pl.String).str.zfill(7)).alias("exam_id"),
        (pl.lit("woman-") + pl.col("woman").cast(pl.String).str.zfill(7)).alias("woman_id"),
        (pl.lit(date(2016, 1, 4)) + pl.duration(days=pl.col("day"))).alias("study_date"),
        pl.lit("Simulated").alias("manufacturer"),
        (pl.lit("System ") + system).alias("manufacturer_model_name"),
        pl.lit("1.0").alias("software_versions"),
        pl.when(read).then(pl.lit(READ)).otherwise(pl.lit("BREAST_IMPLANT")).alias("gate"),
        pl.lit(False).alias("ai_visible"),
        pl.col("cancer_side").replace("", None),
        *(pl.when(read | pl.lit(name.startswith("prior"))).then(pl.col(name)).alias(name) for name in scores),
    )
    return table.select(name for name in COLUMNS if name in table.columns)


def shares(programme: Programme) -> NDArray[np.float64]:
    """Each kind's share of the cancers that show, summing to 1."""
    given = np.array([kind.share for kind in programme.kinds.values()])
    found: NDArray[np.float64] = given / given.sum()
    return found
