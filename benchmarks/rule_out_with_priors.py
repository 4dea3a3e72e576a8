"""Does the change since the prior make rule-out safer? S16 against S2 at the same share ruled out, on simulated rounds.

    python benchmarks/rule_out_with_priors.py [--exams 400000] [--json]

Only exams with a read prior are compared. For each stability of healthy breasts from round to round, and for each
limit on the rise since the prior, S16's score threshold is raised until it rules out the same share as S2; then the
cancers that each rules out are counted on the same exams. Intervals: bootstrap clustered by woman, of the difference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from ai.evaluation import exams as arrays
from ai.evaluation.decisions import Assumptions, Replay, meeting
from ai.evaluation.drawn_rounds import cohort
from ai.evaluation.exams import Exams
from ai.evaluation.simulated import Programme
from ai.evaluation.strategies import Variant, decided
from ai.evaluation.tally import sums

SEED, DRAWS = 2016, 500
STABILITIES, SHARES, CHANGES = (0.3, 0.6, 0.9), (0.5, 0.7), (0.8, 0.9, 0.95)
_SIDES = pl.selectors.ends_with("_right", "_left") & pl.selectors.contains("ai_score")


@dataclass(frozen=True, slots=True)
class Row:
    """Cancers ruled out by S2 and by S16 at one share ruled out. change: the rise allowed, a quantile."""

    stability: float
    change_of: str
    share: float
    change: float
    lower: float
    sdc: tuple[int, int]
    ic: tuple[int, int]
    sdc_difference: tuple[float, float]
    ic_difference: tuple[float, float]


def with_priors(table: pl.DataFrame) -> Exams:
    """Exams with a read prior, thresholds among themselves."""
    return arrays.exams(table.filter(pl.col("prior_ai_score").is_not_null() & pl.col("ai_score").is_not_null())).exams


def raised(exams: Exams, share: float, change: float) -> float | None:
    """S16's score threshold at which it rules out that share; None where the limit on the rise alone leaves less."""
    unchanged = np.sort(exams.position[exams.change < change])
    wanted = round(share * len(exams))
    return None if wanted >= len(unchanged) else float(unchanged[wanted])


def rows(exams: Exams, stability: float, change_of: str) -> Iterator[Row]:
    """Every share and limit, all on the same draws."""
    replay = Replay(exams, meeting(exams, Assumptions()))
    raises = {(share, change): raised(exams, share, change) for share in SHARES for change in CHANGES}
    found = {key: lower for key, lower in raises.items() if lower is not None}
    variants = [Variant("s2", (("lower", share),)) for share in SHARES]
    variants += [Variant("s16", (("lower", lower), ("change", change))) for (_, change), lower in found.items()]
    whole, drawn = sums(replay, [decided(each, replay) for each in variants], DRAWS, SEED)
    for place, ((share, change), lower) in enumerate(found.items(), start=len(SHARES)):
        told = []
        for column in ("ruled_out_sdc", "ruled_out_ic"):
            one, other = SHARES.index(share), place
            low, high = np.quantile(drawn[other][column] - drawn[one][column], (0.025, 0.975))
            told.append(
                ((round(float(whole[one][column])), round(float(whole[other][column]))), (float(low), float(high)))
            )
        (sdc, sdc_difference), (ic, ic_difference) = told
        yield Row(stability, change_of, share, change, round(lower, 4), sdc, ic, sdc_difference, ic_difference)


def measured(count: int) -> Iterator[Row]:
    """Every programme, the change taken of the breast that rose more and of the exam."""
    for stability in STABILITIES:
        table = cohort(Programme(exams=count, systems=1, not_read=0, stability=stability), SEED)
        yield from rows(with_priors(table), stability, "breast")
        yield from rows(with_priors(table.drop(_SIDES)), stability, "exam")


def _shown(found: list[Row]) -> Table:
    made = Table(
        "stability", "change of", "share", "rise below", "SDC: S2", "S16", "difference", "IC: S2", "S16", "difference"
    )
    for row in found:
        parts = [*row.sdc, f"{row.sdc_difference[0]:+.0f} to {row.sdc_difference[1]:+.0f}"]
        parts += [*row.ic, f"{row.ic_difference[0]:+.0f} to {row.ic_difference[1]:+.0f}"]
        made.add_row(*map(str, (row.stability, row.change_of, row.share, row.change, *parts)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=400_000)
    parser.add_argument("--json", action="store_true")
    order = parser.parse_args()
    found = list(measured(order.exams))
    told = json.dumps([asdict(row) for row in found], indent=1) if order.json else _shown(found)
    Console(highlight=False, width=140).print(told)


if __name__ == "__main__":
    main()
