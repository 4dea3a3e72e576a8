"""A published comparison of strategies, and a cohort built from nothing but published numbers to reproduce it.

Larsen M, Aglen CF, Hoff SR, Lund-Hanssen H, Hofvind S. Possible strategies for use of artificial intelligence in
screen-reading of mammograms, based on retrospective data from 122,969 screening examinations. European Radiology 32
(2022) 8238–8246, doi 10.1007/s00330-022-08909-x, table 2 (`ROWS`).

How the cohort is built, and from what:

1. Exams, screen-detected cancers (SDC), consensus and recalls by AI band, and how many SDC one reader keeps in the low
   bands: the same article. The AI's score is the exam's place in the order of suspicion; within a band every sort of
   exam is spread evenly.
2. 205 interval cancers, 92 of them in band 10; 602 SDC and 63 IC in the highest 5.8 %, which is also what one reader
   selects: Larsen et al., Radiology 303 (2022) 502–511, doi 10.1148/radiol.212381, the same exams. Of the others 34.5 %
   lie in bands 1–7: Hovda et al., European Radiology (2025), 1,017,208 exams of the programme.
3. 23.0 % of SDC were positive to one reader only: Martiniussen et al., European Radiology 32 (2022) 6198–6207. Such
   cancers are less often in the AI's highest tenth than those positive to both, 1,180 of 1,446 against 4,070 of 4,340;
   and of interval cancers taken to consensus 273 of 362 were positive to one reader only: poster of the programme at
   the European Congress of Radiology. The odds ratio of the first places the 23 % in the bands.
4. The rest of one reader's 5.8 % are women without cancer, the same share of the consensus in every band. Whether
   an exam was positive to one or both, it was recalled with the same chance: nothing published says otherwise, and it
   makes the recalls of single reading too few.

No consensus, recall or SDC of `ROWS` 1, 2 and 6–10 went in. Of their interval cancers one number did: that bands 1–5
have one in consensus is the difference of rows 7 and 3 to 5, so row 7's is no test. The 602 and 63 of point 2 (80.1 %
and 30.7 %) are from memory and unverified: what could be looked up of that article told only its 653 of 752 and 92 of
205. They bear on row 1 alone, which with 590 and 55 still has 724 SDC (but 71 IC in consensus): so row 1 proves little
of interval cancers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from scipy.optimize import brentq

from ai.cohort import READ, Outcome
from ai.evaluation import strategies
from ai.evaluation.decisions import Assumptions, Replay, meeting
from ai.evaluation.exams import exams
from ai.evaluation.strategies import Variant
from ai.evaluation.tally import sums

EXAMS, SDC, IC = 122_969, 752, 205
_ONE_READER, _DISCORDANT_SDC, _DISCORDANT_IC = 0.058, 0.230, 273 / 362
_BOTH_TO_ONE = (4070 / 270) / (1180 / 266)  # odds of the highest tenth, positive to both against to one


@dataclass(frozen=True, slots=True)
class Band:
    """A range of the AI's score: its quantiles, and what lies in it. met: interval cancers taken to consensus.

    discordant: SDC positive to one reader only, where published; None: by the odds ratio.
    """

    low: float
    high: float
    sdc: int
    ic: int
    met: int
    consensus: int
    recalled: int
    discordant: int | None = None

    @property
    def exams(self) -> int:
        return round(self.high * EXAMS) - round(self.low * EXAMS)


_LOW_IC, _HIGH_IC = round(0.345 * IC), 92
#: 1–5, 6–7, 8–9 and 10. One reader keeps 12 of 17 SDC in 1–5 and 27 of 33 in 1–7.
BANDS = (
    Band(0.0, 0.5, 17, round(_LOW_IC * 5 / 7), 1, 2835, 695, 10),
    Band(0.5, 0.7, 16, round(_LOW_IC * 2 / 7), 2, 2061, 637, 2),
    Band(0.7, 0.899, 66, IC - _LOW_IC - _HIGH_IC, 10, 3089, 1127),
    Band(0.899, 1.0, 653, _HIGH_IC, 33, 2805, 1437),
)
_TOP, _TOP_SDC, _TOP_IC = 0.942, 602, 63


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario of the published table. consensus, recalled, sdc: exams; ic: interval cancers in consensus."""

    number: int
    scenario: str
    variant: Variant
    consensus: int
    recalled: int
    sdc: int
    ic: int | None


def _variant(name: str, **setting: float) -> Variant:
    return Variant(name, tuple(setting.items()))


ROWS = (
    Row(0, "reader 1 + reader 2", _variant("s0"), 10790, 3896, 752, None),
    Row(1, "AI top 5.8 % + reader 1", _variant("s1", t=0.942), 12724, 3357, 721, 77),
    Row(2, "AI band 10 (10.1 %) + reader 1", _variant("s1", t=0.899), 17394, 3412, 729, 100),
    Row(3, "1–5 negative, 6–10 double", _variant("s2", lower=0.5), 7955, 3201, 735, 45),
    Row(4, "1–7 negative, 8–10 double", _variant("s2", lower=0.7), 5894, 2564, 719, 43),
    Row(5, "1–9 negative, 10 double", _variant("s2", lower=0.899), 2805, 1437, 653, 33),
    Row(6, "1–5 negative, 6–10 single", _variant("s3", lower=0.5), 5301, 2669, 651, 28),
    Row(7, "1–5 single, 6–10 double", _variant("s4", lower=0.5), 9683, 3749, 747, 46),
    Row(8, "1–7 single, 8–10 double", _variant("s4", lower=0.7), 8880, 3614, 746, 45),
    Row(9, "1–5 negative, 6–7.5 single, above double", _variant("s6", lower=0.5, middle=0.75), 6934, 3028, 731, 44),
    Row(10, "1–5 negative, 6–7.5 double, above single", _variant("s6r", lower=0.5, middle=0.75), 6322, 2842, 655, 29),
)


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A published row and the same from the cohort built here."""

    row: Row
    consensus: int
    recalled: int
    sdc: int
    ic: int


def reproduce() -> list[Reproduced]:
    """Every row of the published table, decided anew by this software's strategies. Meetings never held dismiss."""
    found = exams(cohort()).exams
    replay = Replay(found, meeting(found, Assumptions()))
    whole, _ = sums(replay, [strategies.decided(row.variant, replay) for row in ROWS], 0, 0)
    return [
        Reproduced(row, *(round(float(each[name])) for name in ("called", "recall_lo", "recall_sdc_lo", "called_ic")))
        for row, each in zip(ROWS, whole, strict=True)
    ]


def cohort() -> pl.DataFrame:
    """The cohort's table; each exam is of its own woman, for no article says how the exams belong together."""
    single = _single_share()
    parts: list[pl.DataFrame] = []
    for band, discordant in zip(_segments(), _discordant(), strict=True):
        parts.append(_ordered(band, list(_sorts(band, discordant, single))))
    table = pl.concat(parts).with_row_index("rank")
    return table.select(
        (pl.lit("published-") + pl.col("rank").cast(pl.String)).alias("exam_id"),
        (pl.lit("woman-") + pl.col("rank").cast(pl.String)).alias("woman_id"),
        pl.lit(1, pl.Int64).alias("round"),
        pl.lit(date(2018, 12, 31)).alias("study_date"),
        pl.lit(READ).alias("gate"),
        *("r1", "r2", "consensus_held", "recalled", "outcome"),
        (pl.col("rank") / EXAMS).alias("ai_score"),
    )


def _segments() -> tuple[Band, ...]:
    """The bands, the last in two: below the highest 5.8 % and within it."""
    *lower, last = BANDS
    share = (1 - _TOP) / (last.high - last.low)
    top = Band(
        _TOP,
        1.0,
        _TOP_SDC,
        _TOP_IC,
        round(last.met * _TOP_IC / last.ic),
        _TOP_SDC + round((last.consensus - last.sdc) * share),
        _TOP_SDC + round((last.recalled - last.sdc) * share),
    )
    rest = {name: getattr(last, name) - getattr(top, name) for name in ("sdc", "ic", "met", "consensus", "recalled")}
    return (*lower, Band(last.low, _TOP, **rest), top)


def _discordant() -> Sequence[int]:
    """SDC of each segment that were positive to one reader only."""
    known = sum(band.discordant or 0 for band in BANDS)
    total, high = round(_DISCORDANT_SDC * SDC), BANDS[-1].sdc

    def odds(low: float) -> float:
        return (high - total + low) / (SDC - high - low) * low / (total - low) - _BOTH_TO_ONE

    low = round(brentq(odds, known, SDC - high - 1))
    upper = round((total - low) * _TOP_SDC / high)
    return (*(band.discordant or 0 for band in BANDS[:2]), low - known, total - low - upper, upper)


def _single_share() -> float:
    """Of women without cancer taken to consensus, the share positive to the first reader."""
    consensus, met = sum(band.consensus for band in BANDS), sum(band.met for band in BANDS)
    sdc, ic = SDC * (1 - _DISCORDANT_SDC / 2), met * (1 - _DISCORDANT_IC / 2)
    return (_ONE_READER * EXAMS - sdc - ic) / (consensus - SDC - met)


def _sorts(band: Band, discordant: int, single: float) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Number of exams of each sort, and what a row of it says. Only SDC among the cancers are recalled."""
    others, recalled = band.consensus - band.sdc - band.met, band.recalled - band.sdc
    for outcome, count, one, again in (
        (Outcome.SDC, band.sdc, discordant, band.sdc),
        (Outcome.IC, band.met, round(band.met * _DISCORDANT_IC), 0),
        (Outcome.NONE, others, round(others * 2 * (1 - single)), recalled),
    ):
        for (r1, r2), size in {(2, 2): count - one, (2, 1): one - one // 2, (1, 2): one // 2}.items():
            yes = round(again * size / count) if count else 0
            if (r1, r2) == (1, 2):  # what rounding left
                yes = again - sum(round(again * part / count) for part in (count - one, one - one // 2))
            row = {"r1": r1, "r2": r2, "consensus_held": True, "outcome": outcome}
            yield yes, row | {"recalled": True}
            yield size - yes, row | {"recalled": False}
    negative = {"r1": 1, "r2": 1, "consensus_held": False, "recalled": False}
    yield band.ic - band.met, negative | {"outcome": Outcome.IC}
    yield band.exams - band.consensus - band.ic + band.met, negative | {"outcome": Outcome.NONE}


def _ordered(band: Band, sorts: Sequence[tuple[int, Mapping[str, object]]]) -> pl.DataFrame:
    """The band's exams in the order of suspicion, each sort spread evenly."""
    sizes = [size for size, _ in sorts]
    if min(sizes) < 0 or sum(sizes) != band.exams:
        raise ValueError(f"the published numbers of {band} do not fit together: {sizes}")
    rows = pl.DataFrame([row for _, row in sorts])
    place = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes if size])
    return rows[np.repeat(np.arange(len(sizes)), sizes)[np.argsort(place, kind="stable")]]
