"""All strategies on a simulated cohort of a programme's size, with clustered bootstrap intervals.

    python benchmarks/strategies.py [--exams 123000] [--draws 2000] [--json]

Tells CPU seconds (a busy machine does not change them much), wall seconds and the highest memory of the comparison.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from rich.console import Console

from ai.evaluation import exams as arrays
from ai.evaluation import strategies
from ai.evaluation.comparison import compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.drawn_rounds import cohort
from ai.evaluation.simulated import Programme

SEED = 20_26


def measured(exams: int, draws: int) -> dict[str, float]:
    """What one comparison of everything takes."""
    table = cohort(Programme(exams=exams), SEED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    found = compare(arrays.exams(table).exams, strategies.everything(), Assumptions(), draws=draws, seed=SEED)
    spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "exams": found.exams,
        "women": found.women,
        "draws": draws,
        "variants": len(found.results),
        "metrics": len(found.results[0].metrics),
        **{name: round(value, 2) for name, value in spent.items()},
        "peak_mb": round(after / 1024),
        "peak_before_mb": round(before / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=123_000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    order = parser.parse_args()
    row = measured(order.exams, order.draws)
    told = json.dumps(row, indent=1) if order.json else "\n".join(f"{name:15} {value:g}" for name, value in row.items())
    Console(highlight=False).print(told)


if __name__ == "__main__":
    main()
