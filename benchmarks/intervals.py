"""Whether the intervals hold what they say, and how often non-inferiority is claimed where it is not so.

    python benchmarks/intervals.py [--samples 4000] [--seed 1] [--json]

coverage: share of simulated samples whose 95 % interval holds the truth. error: share of samples in which a way that
is worse by just the margin is called no worse at 2.5 %. Each with its own Monte-Carlo error, ±.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special, stats

from ai.evaluation import auc
from ai.evaluation.bootstrap import resampled
from ai.evaluation.inferiority import Pairs, mcnemar, non_inferior_paired, non_inferior_unpaired, pair_effect, paired
from ai.evaluation.intervals import clopper_pearson, share_of, wilson

Generator = np.random.Generator


@dataclass(frozen=True)
class Rate:
    """How often it happened in `samples` samples; error: one standard error of that."""

    what: str
    rate: float
    error: float
    samples: int


def rate(what: str, happened: Iterator[bool]) -> Rate:
    found = np.array(list(happened))
    return Rate(what, float(found.mean()), float(found.std() / math.sqrt(len(found))), len(found))


def _exams(rng: Generator, cancers: int, others: int, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores whose true area is `area`."""
    positive = np.arange(cancers + others) < cancers
    return rng.normal(size=cancers + others) + positive * math.sqrt(2) * special.ndtri(area), positive


def area_covered(rng: Generator, cancers: int, others: int, area: float) -> bool:
    scores, positive = _exams(rng, cancers, others, area)
    found = auc.delong(scores, positive).estimate
    return found.low <= area <= found.high


def _rounds(rng: Generator, women: int, share: float, area: float, alike: float) -> tuple[np.ndarray, ...]:
    """Scores, labels and women of exams of up to three rounds; a woman's scores share `alike` of their variance."""
    of = np.repeat(np.arange(women), rng.integers(1, 4, women))
    positive = rng.random(women)[of] < share
    own = math.sqrt(alike) * rng.normal(size=women)[of] + math.sqrt(1 - alike) * rng.normal(size=len(of))
    return own + positive * math.sqrt(2) * special.ndtri(area), positive, of


def clustered_area_covered(rng: Generator, women: int, share: float, area: float, alike: float) -> bool:
    found = auc.delong(*_rounds(rng, women, share, area, alike)).estimate
    return found.low <= area <= found.high


def bootstrap_covered(rng: Generator, women: int, share: float, area: float, alike: float) -> bool:
    scores, positive, of = _rounds(rng, women, share, area, alike)
    found = auc.bootstrapped(scores, positive, resampled(of, 400, int(rng.integers(1 << 31))), of)
    return found.low <= area <= found.high


def difference_covered(rng: Generator, cancers: int, others: int, areas: tuple[float, float]) -> bool:
    shared, positive = rng.normal(size=cancers + others), np.arange(cancers + others) < cancers
    scores = [
        0.6 * shared + 0.8 * rng.normal(size=len(shared)) + positive * math.sqrt(2) * special.ndtri(area)
        for area in areas
    ]
    found = auc.delong_difference(*scores, positive).estimate
    return found.low <= areas[0] - areas[1] <= found.high


def share_covered(rng: Generator, of: int, interval: Callable[[int, int], tuple[float, float]]) -> bool:
    """The truth anew each time: at one truth a share's coverage jumps with it, for counts are whole."""
    truth = rng.uniform(0.005, 0.5)
    low, high = interval(int(rng.binomial(of, truth)), of)
    return low <= truth <= high


def clustered_share_covered(rng: Generator, women: int, truth: float, alike: float) -> bool:
    own = stats.beta.rvs(truth * (1 / alike - 1), (1 - truth) * (1 / alike - 1), size=women, random_state=rng)
    of = np.repeat(np.arange(women), rng.integers(1, 5, women))
    found = share_of(rng.random(len(of)) < own[of], of)
    return found.low <= truth <= found.high


@cache
def _paired_shown(gained: int, lost: int, of: int, margin: float) -> bool:
    return non_inferior_paired(Pairs(0, gained, lost, of - gained - lost), margin).shown


def paired_error(rng: Generator, of: int, discordant: float, margin: float) -> bool:
    """discordant: share of exams in which one way alone is positive; the new way is worse by just the margin."""
    chances = [(discordant - margin) / 2, (discordant + margin) / 2, 1 - discordant]
    gained, lost, _ = rng.multinomial(of, chances)
    return _paired_shown(int(gained), int(lost), of, margin)


def clustered_paired_error(rng: Generator, women: int, discordant: float, margin: float, repeat: float) -> bool:
    """repeat: chance that an exam turns out as the woman's first one did."""
    of = np.repeat(np.arange(women), rng.integers(1, 5, women))
    chances = [(discordant - margin) / 2, (discordant + margin) / 2, 1 - discordant]
    own, first = rng.choice(3, len(of), p=chances), rng.choice(3, women, p=chances)
    kind = np.where(rng.random(len(of)) < repeat, first[of], own)
    new, old = kind == 0, kind == 1
    return non_inferior_paired(paired(new, old), margin, effect=pair_effect(new, old, of)).shown


@cache
def _unpaired_shown(new: int, old: int, of: int, margin: float) -> bool:
    return non_inferior_unpaired((new, of), (old, of), margin).shown


def unpaired_error(rng: Generator, of: int, old: float, margin: float) -> bool:
    return _unpaired_shown(int(rng.binomial(of, old - margin)), int(rng.binomial(of, old)), of, margin)


def mcnemar_error(rng: Generator, of: int, discordant: float) -> bool:
    gained, lost, _ = rng.multinomial(of, [discordant / 2, discordant / 2, 1 - discordant])
    return mcnemar(Pairs(0, int(gained), int(lost), of - int(gained + lost))).mid_p <= 0.05


def coverages(samples: int, seed: int) -> list[Rate]:
    """How often 95 % intervals hold the truth."""
    cases: list[tuple[str, Callable[[Generator], bool]]] = [
        ("area 0.80, 50 cancers of 300", lambda rng: area_covered(rng, 50, 250, 0.80)),
        ("area 0.95, 100 cancers of 1,100", lambda rng: area_covered(rng, 100, 1000, 0.95)),
        ("area 0.90 of women's rounds", lambda rng: clustered_area_covered(rng, 300, 0.2, 0.9, 0.7)),
        ("DeLong of a difference, 0.90 and 0.85", lambda rng: difference_covered(rng, 80, 400, (0.90, 0.85))),
        ("Wilson, of 60", lambda rng: share_covered(rng, 60, wilson)),
        ("Wilson, of 750", lambda rng: share_covered(rng, 750, wilson)),
        ("Wilson of women's rounds, share 0.1", lambda rng: clustered_share_covered(rng, 400, 0.1, 0.3)),
    ]
    return [_run(*case, samples, seed) for case in cases]


def slower_coverages(samples: int, seed: int) -> list[Rate]:
    """An area's near 1, the bootstrap's, and Clopper and Pearson's, which is made to be above the level."""
    return [
        _run("area 0.97, 30 cancers of 1,030", lambda rng: area_covered(rng, 30, 1000, 0.97), samples, seed),
        _run(
            "bootstrap of women's rounds, area 0.90",
            lambda rng: bootstrap_covered(rng, 300, 0.2, 0.9, 0.7),
            max(1, samples // 4),
            seed,
        ),
        _run("Clopper and Pearson, of 60", lambda rng: share_covered(rng, 60, clopper_pearson), samples, seed),
    ]


def errors(samples: int, seed: int) -> list[Rate]:
    """How often a way that is worse by just the margin is shown to be no worse."""
    cases: list[tuple[str, Callable[[Generator], bool]]] = [
        ("paired, 750 cancers, 12 % discordant, margin 5 points", lambda rng: paired_error(rng, 750, 0.12, 0.05)),
        ("paired, 150 cancers, 20 % discordant, margin 5 points", lambda rng: paired_error(rng, 150, 0.20, 0.05)),
        ("paired, 20,000 exams, 8 % discordant, margin 1 point", lambda rng: paired_error(rng, 20_000, 0.08, 0.01)),
        ("unpaired, 400 and 400, share 0.75, margin 8 points", lambda rng: unpaired_error(rng, 400, 0.75, 0.08)),
    ]
    return [_run(*case, samples, seed) for case in cases]


def slower_errors(samples: int, seed: int) -> list[Rate]:
    """Of exams that come in women's rounds, and McNemar's mid-p at 5 %."""
    return [
        _run(
            "paired, women's rounds alike, margin 2 points",
            lambda rng: clustered_paired_error(rng, 800, 0.15, 0.02, 0.6),
            samples,
            seed,
        ),
        _run(
            "McNemar's mid-p at 5 %, 750 exams, 12 % discordant",
            lambda rng: mcnemar_error(rng, 750, 0.12),
            samples,
            seed,
        ),
    ]


def _run(what: str, happens: Callable[[Generator], bool], samples: int, seed: int) -> Rate:
    rng = np.random.default_rng(seed)
    return rate(what, (happens(rng) for _ in range(samples)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {
        "coverage": [*coverages(asked.samples, asked.seed), *slower_coverages(asked.samples, asked.seed)],
        "error": [*errors(asked.samples, asked.seed), *slower_errors(asked.samples, asked.seed)],
    }
    if asked.json:
        print(json.dumps({name: [asdict(each) for each in rates] for name, rates in found.items()}, indent=1))
        return
    for name, rates in found.items():
        table = Table(name, "rate", "±", "samples", box=None)
        for each in rates:
            table.add_row(each.what, f"{each.rate:.2%}", f"{each.error:.2%}", f"{each.samples}")
        Console().print(table)


if __name__ == "__main__":
    main()
