"""How soon each drift chart notices a shift, and how often one alarms without any.

    python benchmarks/drift.py [--scores FOLDER] [--streams 1000] [--exams 4000000] [--json]

FOLDER holds A.csv and A_after_update.csv, real scores of one system before and after an update of its software
(column pred1); without it, made-up scores stand in and the update is left out. Exams are drawn at random from them, the
change comes at the first one. Other shifts move the scores, on the reference's normal scale, so far that the share
below the 70th percentile becomes 60, 80 or 85 %. A reference of fewer exams is drawn from the same system. Without any
shift, exams come from the population the reference was drawn from: for one reference that is the population itself,
and for several drawn ones, where the charts must allow for each one's own error.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

from ai.calibration import ReferenceWindow
from ai.monitoring import watch
from ai.monitoring.design import CELLS, MOVING, TENTHS, Design, cells, design
from ai.monitoring.watch import Cells, State

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "drift"
RULE_OUT, LONGEST = 70, 2000
REFERENCES = (1000, 3000)
Floats = NDArray[np.float64]
Draw = Callable[[], Cells]


def scores(folder: Path, name: str) -> Floats | None:
    path = folder / f"{name}.csv"
    if not path.is_file():
        return None
    with path.open() as file:
        return np.array([float(row["pred1"]) for row in csv.DictReader(file)])


def delays(charts: Design, draw: Draw, streams: int) -> dict[str, dict[str, float]]:
    """Exams until each chart's first alarm, and until any chart's: median and 95th percentile; infinite: later."""
    names = watch.names(charts)
    state, first = State.of(charts, streams), np.full((streams, len(names)), np.inf)
    for number in range(1, LONGEST + 1):
        state = watch.step(charts, state, draw())
        first[(watch.values(charts, state) >= 1) & np.isinf(first)] = number
        if number >= MOVING and np.isfinite(first.min(axis=1)).all() and number % MOVING == 0 and number >= 1200:
            break
    columns = {"any": first.min(axis=1), **dict(zip(names, first.T, strict=True))}
    return {name: {"median": _quantile(each, 0.5), "p95": _quantile(each, 0.95)} for name, each in columns.items()}


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share, method="higher"))


def false_alarms(charts: Design, draw: Draw, streams: int, exams: int) -> dict[str, float]:
    """Alarms per million exams of each chart, and of all; a chart that alarmed begins anew."""
    state, names = State.of(charts, streams), watch.names(charts)
    sides, counts = len(charts.sides), np.zeros(len(names))
    every, quiet = 0, np.zeros(streams, int)
    for number in range(exams // streams):
        state = watch.step(charts, state, draw())
        alarms = watch.values(charts, state) >= 1
        alarms[:, sides:] &= (quiet <= number)[:, None]
        counts += alarms.sum(axis=0)
        hit = alarms.any(axis=1)
        every += int(hit.sum())
        state.sums[hit] = 0.0
        quiet[hit] = number + MOVING
    million = streams * (exams // streams) / 1e6
    return {"any": every / million, **dict(zip(names, (counts / million).tolist(), strict=True))}


def shifted(sample: Cells, to_below: float, rng: np.random.Generator, streams: int) -> Draw:
    """Exams whose normal scores have moved so that this share lies below the rule-out point."""
    by = norm.ppf(RULE_OUT / CELLS) - norm.ppf(to_below)

    def draw() -> Cells:
        drawn = (sample[rng.integers(0, len(sample), streams)] + rng.random(streams)) / CELLS
        return cells(CELLS * norm.cdf(norm.ppf(np.clip(drawn, 1e-9, 1 - 1e-9)) + by))

    return draw


def placed(values: Floats, window: ReferenceWindow) -> Cells:
    return cells(np.array([window.percentile(float(score)) for score in values]))


def drawing(sample: Cells, rng: np.random.Generator, streams: int) -> Draw:
    return lambda: sample[rng.integers(0, len(sample), streams)]


def psi_limit(rng: np.random.Generator, windows: int = 2_000_000) -> dict[str, float]:
    """Where the PSI of a moving window lies by chance: the quantile of 1 in 100,000, and the largest seen."""
    counts = rng.multinomial(MOVING, [1 / TENTHS] * TENTHS, size=windows)
    found = watch.psi(counts, np.full(TENTHS, 1 / TENTHS))
    return {"p99.999": float(np.quantile(found, 0.99999)), "largest": float(found.max()), "windows": windows}


def measure(folder: Path, streams: int, exams: int) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    before, after = scores(folder, "A"), scores(folder, "A_after_update")
    real = before is not None
    population = before if before is not None else rng.beta(1.2, 8.0, 20_000)
    found: dict[str, Any] = {"scores": "vendor A" if real else "made up", "delay": {}, "false_alarms_per_million": {}}
    for count in (len(population), *REFERENCES):
        whole = count == len(population)
        window = ReferenceWindow.of(population if whole else rng.choice(population, count, replace=False))
        charts, own = design(window, RULE_OUT), placed(population, window)
        shifts = {f"{share:.0%} ruled out": shifted(own, share, rng, streams) for share in (0.6, 0.8, 0.85)}
        if after is not None:
            shifts["update"] = drawing(placed(after, window), rng, streams)
        found["delay"][str(count)] = {name: delays(charts, draw, streams) for name, draw in shifts.items()}
        alarms = false_alarms(charts, drawing(own, rng, streams), streams, exams if whole else exams // 8)
        found["false_alarms_per_million"][str(count)] = alarms
    found["drawn_references"] = drawn_references(population, rng, streams, exams)
    found["psi_by_chance"] = psi_limit(rng)
    return found


def drawn_references(population: Floats, rng: np.random.Generator, streams: int, exams: int) -> dict[str, Any]:
    """Alarms per million exams for each of several references of the smallest size."""
    rates = []
    for _ in range(10):
        window = ReferenceWindow.of(rng.choice(population, REFERENCES[0], replace=False))
        draw = drawing(placed(population, window), rng, streams)
        rates.append(false_alarms(design(window, RULE_OUT), draw, streams, exams // 10)["any"])
    return {"exams": REFERENCES[0], "any_per_million": rates, "at_most_10": sum(rate <= 10 for rate in rates)}


def show(found: dict[str, Any]) -> None:
    console = Console()
    for count, shifts in found["delay"].items():
        table = Table("chart", *shifts, "false alarms per million", title=f"exams until an alarm; reference of {count}")
        for chart, rate in found["false_alarms_per_million"][count].items():
            cell = (f"{each[chart]['median']:.0f} / {each[chart]['p95']:.0f}" for each in shifts.values())
            table.add_row(chart, *cell, f"{rate:.2f}")
        console.print(table)
    console.print("median / 95th percentile; inf: later than", LONGEST, "exams")
    console.print(found["drawn_references"], found["psi_by_chance"], f"{found['took_s']:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, default=SHARED)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--exams", type=int, default=4_000_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    began = perf_counter()
    found = measure(arguments.scores, arguments.streams, arguments.exams)
    found["took_s"] = perf_counter() - began
    print(json.dumps(found)) if arguments.json else show(found)


if __name__ == "__main__":
    main()
