"""Do the scores mean what they say? Observed cancers beside the scores, by how suspicious the AI found the exams."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai.evaluation.intervals import Share, share

#: Where the bins end, as percentiles of the scores: most cancers are among the last few percent.
EDGES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 100)


@dataclass(frozen=True, slots=True)
class Bin:
    """Exams between two percentiles of the scores. predicted: their mean score; observed: share with cancer."""

    low: float
    high: float
    predicted: float
    observed: Share


@dataclass(frozen=True, slots=True)
class Reliability:
    """The curve, and what sums it up; the sums are NaN where the scores are not all from 0 to 1: then no probability.

    ece: expected calibration error, the mean distance of predicted and observed over the bins, by their exams.
    brier: mean squared distance of score and outcome; brier_of_prevalence: the same of a score that is the same for
    everybody, the share with cancer. expected_to_observed: cancers that the scores promise, to those there were.
    """

    bins: tuple[Bin, ...]
    ece: float
    brier: float
    brier_of_prevalence: float
    expected_to_observed: float


def reliability(scores: NDArray[np.float64], cancer: NDArray[np.bool_]) -> Reliability:
    """Of scores on any scale. Bins that ties leave empty are not there."""
    cuts = np.unique(np.quantile(scores, np.array(EDGES) / 100)) if len(scores) else np.zeros(0)
    number = np.searchsorted(cuts, scores, side="right").clip(1, max(1, len(cuts) - 1))
    bins = tuple(_bin(scores, cancer, number == each) for each in np.unique(number))
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return Reliability(bins, math.nan, math.nan, math.nan, math.nan)
    prevalence = float(cancer.mean())
    distances = [abs(each.predicted - each.observed.value) * each.observed.of for each in bins]
    return Reliability(
        bins=bins,
        ece=sum(distances) / len(scores),
        brier=float(np.mean((scores - cancer) ** 2)),
        brier_of_prevalence=prevalence * (1 - prevalence),
        expected_to_observed=float(scores.sum() / cancer.sum()) if cancer.any() else math.nan,
    )


def _bin(scores: NDArray[np.float64], cancer: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> Bin:
    mine = scores[chosen]
    low, high = (float(np.mean(scores < mine.min())) * 100, float(np.mean(scores <= mine.max())) * 100)
    return Bin(low, high, float(mine.mean()), share(int(cancer[chosen].sum()), len(mine)))
