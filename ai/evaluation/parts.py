"""The cohort in parts, and the cancers that ruling out would have missed, one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ai.cohort import Outcome
from ai.evaluation import auc
from ai.evaluation.cases import BOTH, SDC, Cases, Flags
from ai.evaluation.exams import MINIMUM
from ai.evaluation.intervals import Estimate, Share, share_of

#: Cancers, in the order in which they are told.
_CANCERS = (Outcome.SDC, Outcome.IC, Outcome.NEXT)


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the exams. middle, upper: the scores' median and 95th percentile."""

    kind: str
    name: str
    exams: int
    sdc: int
    ic: int
    area_sdc: Estimate
    area_both: Estimate
    ruled_out: Share
    missed_sdc: Share
    missed_ic: Share
    flagged: Share
    middle: float
    upper: float


@dataclass(frozen=True, slots=True)
class Missed:
    """A cancer whose exam would have been ruled out; under her pseudonym."""

    woman_id: str
    exam_id: str
    study_date: str
    round: int
    stratum: str
    outcome: str
    ai_score: float
    percentile: float
    r1: int | None
    r2: int | None
    recalled: bool | None


def strata(found: Cases, rule_out: float, flag: float) -> tuple[Stratum, ...]:
    """By system, by round, by year; of parts with as many exams as thresholds need."""
    rounds = np.where((found.table["round"] == 1).to_numpy(), "first round", "later rounds")
    years = found.table["study_date"].dt.year().cast(pl.String).to_numpy().astype(str)
    kinds = {"system": found.strata, "round": rounds, "year": years}
    return tuple(
        _stratum(found, (kind, str(name)), names == name, rule_out, flag)
        for kind, names in kinds.items()
        for name, exams in zip(*np.unique(names, return_counts=True), strict=True)
        if exams >= MINIMUM
    )


def _stratum(found: Cases, what: tuple[str, str], chosen: Flags, rule_out: float, flag: float) -> Stratum:
    def area(positive: Flags, counted: Flags) -> Estimate:
        rows = chosen & counted
        return auc.delong(found.score[rows], positive[rows], found.women[rows]).estimate

    def of(rows: Flags, what: Flags) -> Share:
        return share_of(what[chosen & rows], found.women[chosen & rows])

    below = found.position < rule_out
    middle, upper = np.quantile(found.score[chosen], (0.5, 0.95))
    return Stratum(
        kind=what[0],
        name=what[1],
        exams=int(chosen.sum()),
        sdc=int(found.sdc[chosen].sum()),
        ic=int(found.ic[chosen].sum()),
        area_sdc=area(*found.kinds()[SDC]),
        area_both=area(*found.kinds()[BOTH]),
        ruled_out=of(found.everywhere, below),
        missed_sdc=of(found.sdc, below),
        missed_ic=of(found.ic, below),
        flagged=of(found.everywhere, found.position >= flag),
        middle=float(middle),
        upper=float(upper),
    )


def ruled_out_cancers(found: Cases, rule_out: float) -> tuple[Missed, ...]:
    """Every cancer, of the next round too, whose exam stands below `rule_out`; by outcome, the lowest first."""
    kind = found.table["outcome"].replace_strict(list(_CANCERS), range(len(_CANCERS)), default=-1).to_numpy()
    chosen = np.flatnonzero((kind >= 0) & (found.position < rule_out))
    order = chosen[np.lexsort((found.position[chosen], kind[chosen]))]
    rows = found.table[order].to_dicts()
    return tuple(
        Missed(
            woman_id=row["woman_id"],
            exam_id=row["exam_id"],
            study_date=str(row["study_date"]),
            round=row["round"],
            stratum=str(stratum),
            outcome=row["outcome"],
            ai_score=float(score),
            percentile=100 * float(position),
            r1=row.get("r1"),
            r2=row.get("r2"),
            recalled=row.get("recalled"),
        )
        for row, stratum, score, position in zip(
            rows, found.strata[order], found.score[order], found.position[order], strict=True
        )
    )
