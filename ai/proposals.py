"""A new reference window for a stratum, from scores of exams without any outcome, and how sure it is.

A proposal aligns quantiles: it brings the shares of exams that are ruled out, flagged, and in each band back to what
they are meant to be. It knows nothing of cancers: an equal share ruled out is not an equal number missed.

Uncertainty needs no assumption on how scores are distributed. The share of the population below the k-th lowest of n
scores is a Beta(k, n + 1 − k) variable, which gives the shares that will result; and the order statistics that the
binomial distribution picks hold the population's own quantile (David & Nagaraja, Order Statistics, 2003, 7.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import beta, binom

from ai.calibration import ALL, Calibration, OperatingPoints, ReferenceWindow, band, matched
from ai.findings import Stratum

#: Of the stated intervals.
CONFIDENCE = 0.95
#: Fewer scores say nothing of the highest percentiles.
FEWEST = 200
_TOP_TENTH = 90.0
_BANDS = range(1, 11)


@dataclass(frozen=True, slots=True)
class ScoredExam:
    """An exam as calibration sees it. name: what it is told by in the data's hash. study_date: YYYYMMDD or ""."""

    name: str
    stratum: Stratum
    score: float
    study_date: str = ""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Threshold(_Form):
    """The score at a percentile; the population's own lies between low and high, at `CONFIDENCE`."""

    percentile: float
    score: float
    low: float
    high: float


class Share(_Form):
    """A share of the stratum's exams, 0–1: now, as proposed, and where it will come to lie, at `CONFIDENCE`."""

    what: str
    current: float
    proposed: float
    low: float
    high: float


class StratumProposal(_Form):
    """A stratum's window. current_window: where its exams are placed now. bands: share of each of 1–10, 0–1."""

    stratum: Stratum
    exams: int
    first_study_date: str
    last_study_date: str
    window: ReferenceWindow
    current_window: str
    current_bands: tuple[float, ...]
    proposed_bands: tuple[float, ...]
    thresholds: tuple[Threshold, ...]
    shares: tuple[Share, ...]


class Proposal(_Form):
    """What a person may apply: who made it, when, from what, for which model, on which calibration it stands.

    scale: of the scores (see `ai.reading`). pooled: the window of all strata together, borrowed by every other one
    where the calibration that this stands on is of another scale. data_sha256: of the scores it was made from.
    """

    format: Literal[1] = 1
    made_at: datetime
    made_by: str
    software_version: str
    source: str
    data_sha256: str
    model_name: str
    model_version: str
    weights_sha256: str
    scale: str
    based_on: str
    confidence: float = CONFIDENCE
    pooled: ReferenceWindow
    strata: tuple[StratumProposal, ...]


def by_stratum(exams: Iterable[ScoredExam]) -> dict[tuple[str, str, str], list[ScoredExam]]:
    """The exams of each stratum, those with most exams first."""
    found: dict[tuple[str, str, str], list[ScoredExam]] = {}
    for exam in exams:
        found.setdefault(matched(exam.stratum), []).append(exam)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def propose(exams: Sequence[ScoredExam], current: Calibration, points: OperatingPoints) -> StratumProposal:
    """The window of one stratum's exams. Raises ValueError for fewer than `FEWEST`."""
    if len(exams) < FEWEST:
        raise ValueError(f"{len(exams)} exams are too few: at least {FEWEST} are needed")
    scores, stratum = np.sort([exam.score for exam in exams]), exams[0].stratum
    window = ReferenceWindow.of(scores, [stratum])
    own = current.window_of(stratum)
    before = _percentiles(scores, current.windows[own or ALL])
    dates = sorted(exam.study_date for exam in exams if exam.study_date)
    wanted = (points.rule_out_percentile, _TOP_TENTH, points.flag_percentile)
    return StratumProposal(
        stratum=stratum,
        exams=len(exams),
        first_study_date=dates[0] if dates else "",
        last_study_date=dates[-1] if dates else "",
        window=window,
        current_window=own or f"{ALL} (borrowed)",
        current_bands=_bands(before),
        proposed_bands=_bands(_percentiles(scores, window)),
        thresholds=tuple(threshold(scores, percentile) for percentile in wanted),
        shares=_shares(scores, before, _percentiles(scores, window), points),
    )


def threshold(scores: NDArray[np.floating[Any]], percentile: float) -> Threshold:
    """The score at a percentile of ascending scores, with its interval."""
    count, share = len(scores), percentile / 100
    tail = (1 - CONFIDENCE) / 2
    below, above = np.asarray(binom.ppf([tail, 1 - tail], count, share))
    low, high = np.clip([below - 1, above], 0, count - 1).astype(int)
    found = float(np.percentile(scores, percentile))
    return Threshold(percentile=percentile, score=found, low=float(scores[low]), high=float(scores[high]))


def share_below(count: int, percentile: float) -> tuple[float, float]:
    """Where the population's share below the percentile of `count` scores lies, 0–1, at `CONFIDENCE`."""
    rank = (count - 1) * percentile / 100 + 1
    tail = (1 - CONFIDENCE) / 2
    low, high = np.asarray(beta.ppf([tail, 1 - tail], rank, count + 1 - rank))
    return float(low), float(high)


def adopted(current: Calibration, proposal: Proposal, version: str) -> Calibration:
    """The calibration with the proposal's windows, each the only one of its stratum.

    Windows on another scale cannot stand beside them: then only the proposal's are left.
    """
    taken = {matched(each.stratum) for each in proposal.strata}
    kept: Mapping[str, ReferenceWindow] = current.windows
    if current.scale != proposal.scale:
        kept = {ALL: proposal.pooled}
    left = {name: _without(window, taken) for name, window in kept.items()}
    windows = {name: window for name, window in left.items() if window.strata or name == ALL}
    new = {str(each.stratum): each.window for each in proposal.strata}
    return Calibration(version=version, scale=proposal.scale, windows={**windows, **new})


def _without(window: ReferenceWindow, taken: set[tuple[str, str, str]]) -> ReferenceWindow:
    left = tuple(stratum for stratum in window.strata if matched(stratum) not in taken)
    return window.model_copy(update={"strata": left})


def _percentiles(scores: NDArray[np.floating[Any]], window: ReferenceWindow) -> NDArray[np.float64]:
    return np.array([window.percentile(float(score)) for score in scores])


def _bands(percentiles: NDArray[np.float64]) -> tuple[float, ...]:
    bands = [band(float(percentile)) for percentile in percentiles]
    return tuple(bands.count(number) / len(bands) for number in _BANDS)


def _shares(
    scores: NDArray[np.floating[Any]],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    points: OperatingPoints,
) -> tuple[Share, ...]:
    rule_out, flag = points.rule_out_percentile, points.flag_percentile
    low, high = share_below(len(scores), rule_out)
    current, proposed = float(np.mean(before < rule_out)), float(np.mean(after < rule_out))
    found = [Share(what="below the rule-out point", current=current, proposed=proposed, low=low, high=high)]
    for what, percentile in (("top 10 %", _TOP_TENTH), ("flagged", flag)):
        low, high = share_below(len(scores), percentile)
        current, proposed = float(np.mean(before >= percentile)), float(np.mean(after >= percentile))
        found.append(Share(what=what, current=current, proposed=proposed, low=1 - high, high=1 - low))
    return tuple(found)
