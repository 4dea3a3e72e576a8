"""How often the interval of an area under the curve holds the truth: by area, cancers, and how scores are distributed.

    python benchmarks/coverage.py [--samples 2000] [--seed 1] [--json]

Cancers among 1,000 exams without. Beside it the same without the further exam that tells nothing (DeLong's on the logit
scale with Student's t). Of 2,000 samples the Monte-Carlo error is 0.5 points.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special, stats

from ai.evaluation import auc

Generator = np.random.Generator
_OTHERS = 1000
_CUTS = stats.norm.ppf(np.arange(0.1, 1, 0.1))
AREAS, CANCERS = (0.75, 0.9, 0.95, 0.97), (30, 50, 100, 300)


def _normal(rng: Generator, cancers: int, area: float) -> tuple[np.ndarray, np.ndarray, float]:
    return rng.normal(size=cancers) + _apart(area), rng.normal(size=_OTHERS), area


def _wider(rng: Generator, cancers: int, area: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Cancers' scores twice as spread out as the others'."""
    return 2 * rng.normal(size=cancers) + math.sqrt(5) * special.ndtri(area), rng.normal(size=_OTHERS), area


def _skewed(rng: Generator, cancers: int, area: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Exponential, with a long tail of high scores."""
    return rng.exponential(area / (1 - area), cancers), rng.exponential(size=_OTHERS), area


def _skewed_down(rng: Generator, cancers: int, area: float) -> tuple[np.ndarray, np.ndarray, float]:
    return -rng.exponential(size=cancers), -rng.exponential(area / (1 - area), _OTHERS), area


def _bands(rng: Generator, cancers: int, area: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Only the ten bands of normal scores are told, so most exams tie with others."""
    cancer, other, _ = _normal(rng, cancers, area)
    chances = np.diff(stats.norm.cdf(_CUTS - _apart(area)), prepend=0.0, append=1.0)
    truth = float(np.sum(chances * (np.arange(10) + 0.5) / 10))
    return np.searchsorted(_CUTS, cancer).astype(float), np.searchsorted(_CUTS, other).astype(float), truth


def _apart(area: float) -> float:
    return float(math.sqrt(2) * special.ndtri(area))


Draw = Callable[[Generator, int, float], tuple[np.ndarray, np.ndarray, float]]
SCORES: Mapping[str, Draw] = {
    "normal": _normal,
    "normal, cancers wider": _wider,
    "exponential": _skewed,
    "exponential downwards": _skewed_down,
    "ten bands": _bands,
}


@dataclass(frozen=True)
class Coverage:
    """Shares of the samples: covered; below, above: the whole interval lies so; plain: covered by DeLong's alone."""

    scores: str
    area: float
    cancers: int
    covered: float
    below: float
    above: float
    plain: float


def coverage(scores: str, area: float, cancers: int, samples: int, seed: int) -> Coverage:
    """area: of the scores before they are made bands."""
    rng = np.random.default_rng([seed, cancers, round(1000 * area)])
    positive = np.arange(cancers + _OTHERS) < cancers
    below, above, plain = 0, 0, 0
    for _ in range(samples):
        cancer, other, truth = SCORES[scores](rng, cancers, area)
        found = auc.delong(np.concatenate((cancer, other)), positive)
        below += found.estimate.high < truth
        above += found.estimate.low > truth
        plain += _plainly_covered(found, truth)
    covered = 1 - (below + above) / samples
    return Coverage(scores, area, cancers, covered, below / samples, above / samples, plain / samples)


def _plainly_covered(found: auc.Area, truth: float) -> bool:
    """Cancers being few, nearly all of the variance and so the degrees of freedom are theirs."""
    value = found.estimate.value
    if not 0 < value < 1:
        return False
    half = special.stdtrit(found.positives - 1, 0.975) * found.standard_error / (value * (1 - value))
    return bool(abs(special.logit(value) - special.logit(truth)) <= half)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = [
        coverage(scores, area, cancers, asked.samples, asked.seed)
        for scores in SCORES
        for area in AREAS
        for cancers in CANCERS
    ]
    if asked.json:
        print(json.dumps([asdict(each) for each in found], indent=1))
        return
    table = Table("scores", "area", "cancers", "covered", "too low", "too high", "plain DeLong", box=None)
    for each in found:
        shares = (f"{value:.1%}" for value in (each.covered, each.below, each.above, each.plain))
        table.add_row(each.scores, f"{each.area:g}", f"{each.cancers}", *shares)
    Console().print(table)


if __name__ == "__main__":
    main()
