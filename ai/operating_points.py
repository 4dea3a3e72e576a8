"""Where a site draws its lines, stratum by stratum; and proposals of where to draw them.

From outcomes: of n exams with cancer, the k-th lowest score is a rule-out point below which the population's share of
cancers is a Beta(k, n + 1 − k) variable, whatever the scores' distribution (Wilks, Annals of Mathematical Statistics
1941, 91–96). The largest k is taken whose share stays within the limit at the stated confidence: the same as the exact
binomial (Clopper-Pearson) bound on k − 1 misses of n, without any search over thresholds that would make it too good.
The flag point is found the same way among exams without cancer. Where a stratum has too few cancers for the limit, the
points are quantiles, which say how many exams are ruled out and flagged, and nothing of misses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import beta

from ai.calibration import Calibration, OperatingPoints, ReferenceWindow, matched
from ai.findings import Stratum
from ai.proposals import FEWEST, share_below

Floats = NDArray[np.float64]

#: Points are kept to this part of a percent, each on its safe side.
_DECIMALS = 1e4
#: The version that stands for the points in the site's settings.
CONFIGURED = "config"


class Basis(StrEnum):
    """What a point was found from."""

    LABELS = "labels"
    QUANTILES = "quantiles"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StratumPoints(_Form):
    """The points of one stratum. window_sha256: of the reference window on whose percentiles they stand."""

    stratum: Stratum
    points: OperatingPoints
    window_sha256: str


class SitePoints(_Form):
    """The points of a site: of the strata that have their own, and everybody else's."""

    version: str = CONFIGURED
    default: OperatingPoints = OperatingPoints()
    strata: tuple[StratumPoints, ...] = ()

    def of(self, stratum: Stratum) -> OperatingPoints:
        """The points that an exam of this stratum is judged by."""
        wanted = matched(stratum)
        own = (each.points for each in self.strata if matched(each.stratum) == wanted)
        return next(own, self.default)

    def on(self, calibration: Calibration) -> SitePoints:
        """The points for this calibration: where it has another window than they were made for, the safer ones.

        Percentiles of two windows are not the same, so from there on the lower of a stratum's own points and everybody
        else's counts: it rules out no more than either, until somebody proposes and applies points anew.
        """
        return self.model_copy(update={"strata": tuple(self._on(each, calibration) for each in self.strata)})

    def _on(self, each: StratumPoints, calibration: Calibration) -> StratumPoints:
        name = calibration.window_of(each.stratum)
        if name is not None and window_sha256(calibration.windows[name]) == each.window_sha256:
            return each
        own, usual = each.points, self.default
        safer = OperatingPoints(
            rule_out_percentile=min(own.rule_out_percentile, usual.rule_out_percentile),
            flag_percentile=min(own.flag_percentile, usual.flag_percentile),
        )
        return each.model_copy(update={"points": safer})


def window_sha256(window: ReferenceWindow) -> str:
    """What tells one window from another."""
    return hashlib.sha256(window.model_dump_json(exclude={"strata"}).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LabelledExam:
    """An exam with its outcome: cancer, None where that is not known."""

    stratum: Stratum
    score: float
    cancer: bool | None


class Limits(_Form):
    """What is asked for. misses: largest share of cancers ruled out, 0–1. flagged: share of exams without cancer."""

    misses: float = Field(default=0.02, gt=0, lt=1)
    flagged: float = Field(default=0.03, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)


class Point(_Form):
    """One point. basis: what it was found from. bound: what holds at the stated confidence, as a share; what, in words.

    missed, of: cancers below the rule-out point, or exams without cancer at the flag point or above, in the data.
    """

    percentile: float
    basis: Basis
    bound: float
    what: str
    missed: int | None = None
    of: int | None = None


class StratumPointsProposal(_Form):
    """A stratum's points. needed: cancers from which on the rule-out point could be found from labels."""

    stratum: Stratum
    window: str
    window_sha256: str
    exams: int
    cancers: int
    needed: int
    rule_out: Point
    flag: Point


class PointsProposal(_Form):
    """What a person may apply. calibration_version: on whose percentiles the points stand; based_on: the points before.

    misses_are: the outcomes that count as cancer.
    """

    format: Literal[1] = 1
    made_at: datetime
    made_by: str
    software_version: str
    source: str
    data_sha256: str
    weights_sha256: str
    calibration_version: str
    based_on: str
    limits: Limits
    misses_are: str
    strata: tuple[StratumPointsProposal, ...]


def propose(
    exams: Sequence[LabelledExam], calibration: Calibration, limits: Limits, usual: OperatingPoints
) -> StratumPointsProposal:
    """The points of one stratum's exams. usual: the quantiles where labels do not reach.

    Raises ValueError for fewer than `FEWEST` exams, or for a stratum without a window of its own.
    """
    stratum = exams[0].stratum
    window = calibration.window_of(stratum)
    if window is None:
        raise ValueError(f"{stratum} has no reference window; calibrate first")
    if len(exams) < FEWEST:
        raise ValueError(f"{len(exams)} exams are too few: at least {FEWEST} are needed")
    places = np.array([calibration.percentile(exam.score, window) for exam in exams])
    cancer = np.sort(places[[exam.cancer is True for exam in exams]])
    healthy = np.sort(places[[exam.cancer is False for exam in exams]])
    learnt_from = calibration.windows[window].exams
    flag = _flag(healthy, learnt_from, limits)
    rule_out = _rule_out(cancer, learnt_from, limits, usual.rule_out_percentile)
    return StratumPointsProposal(
        stratum=stratum,
        window=window,
        window_sha256=window_sha256(calibration.windows[window]),
        exams=len(exams),
        cancers=len(cancer),
        needed=needed(limits),
        rule_out=rule_out.model_copy(update={"percentile": min(rule_out.percentile, flag.percentile)}),
        flag=flag,
    )


def needed(limits: Limits) -> int:
    """Cancers from which on not one missed shows that misses stay within the limit."""
    return math.ceil(math.log(1 - limits.confidence) / math.log(1 - limits.misses))


def rank_within(count: int, share: float, confidence: float) -> int:
    """The largest k for which the share below the k-th lowest of `count` is at most `share`, at that confidence.

    0 where there is none.
    """
    ranks = np.arange(1, count + 1)
    chances = np.asarray(beta.cdf(share, ranks, count + 1 - ranks))
    return int(np.sum(chances >= confidence))  # the chance falls with the rank


def adopted(proposal: PointsProposal, current: SitePoints, version: str) -> SitePoints:
    """The site's points with the proposal's, each the only ones of its stratum."""
    taken = {matched(each.stratum) for each in proposal.strata}
    kept = tuple(each for each in current.strata if matched(each.stratum) not in taken)
    new = tuple(
        StratumPoints(
            stratum=each.stratum,
            window_sha256=each.window_sha256,
            points=OperatingPoints(rule_out_percentile=each.rule_out.percentile, flag_percentile=each.flag.percentile),
        )
        for each in proposal.strata
    )
    return SitePoints(version=version, default=current.default, strata=(*kept, *new))


def by_stratum(exams: Iterable[LabelledExam]) -> list[list[LabelledExam]]:
    """The exams of each stratum, those with most exams first."""
    found: dict[tuple[str, str, str], list[LabelledExam]] = {}
    for exam in exams:
        found.setdefault(matched(exam.stratum), []).append(exam)
    return sorted(found.values(), key=len, reverse=True)


def _rule_out(cancer: Floats, window: int, limits: Limits, usual: float) -> Point:
    rank = rank_within(len(cancer), limits.misses, limits.confidence)
    if not rank:
        low, high = share_below(window, usual)
        what = f"exams ruled out, {low:.1%}–{high:.1%}; how many cancers are missed is not known"
        return Point(percentile=usual, basis=Basis.QUANTILES, bound=high, what=what)
    percentile = math.floor(float(cancer[rank - 1]) * _DECIMALS) / _DECIMALS
    return Point(
        percentile=percentile,
        basis=Basis.LABELS,
        bound=float(beta.ppf(limits.confidence, rank, len(cancer) + 1 - rank)),
        what="of cancers missed, at most",
        missed=int(np.sum(cancer < percentile)),
        of=len(cancer),
    )


def _flag(healthy: Floats, window: int, limits: Limits) -> Point:
    rank = rank_within(len(healthy), limits.flagged, limits.confidence)
    if not rank:
        usual = 100 * (1 - limits.flagged)
        low, high = (1 - share for share in reversed(share_below(window, usual)))
        what = f"of exams flagged, {low:.1%}–{high:.1%}"
        return Point(percentile=usual, basis=Basis.QUANTILES, bound=high, what=what)
    above = math.floor(float(healthy[-rank]) * _DECIMALS + 1) / _DECIMALS
    percentile = min(100.0, above)
    return Point(
        percentile=percentile,
        basis=Basis.LABELS,
        bound=float(beta.ppf(limits.confidence, rank, len(healthy) + 1 - rank)),
        what="of exams without cancer flagged, at most",
        missed=int(np.sum(healthy >= percentile)),
        of=len(healthy),
    )
