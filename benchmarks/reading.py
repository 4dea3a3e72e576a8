"""Stored DICOM → Reading: a network of GMIC's size and the shipped model, turn about in one run, with and without
reading ahead, on the CPU and on each CUDA device.

    python benchmarks/reading.py [--exams 4] [--rounds 2] [--threads N] [--folder EXAMS] [--json]

The exams are drawn at full size (0.07 mm) and stored as JPEG Lossless, or are those of --folder: a folder for each.
The first round warms up and does not count. "network" is the network alone on prepared inputs, in the same process and
round: the ratio of the whole to it holds on a busy machine too, wall-clock seconds do not. On a device of its own the
share of time that the network computes tells what bounds the throughput: near 1 it is the device, else the decoding.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.uid import JPEGLosslessSV1
from rich.console import Console
from rich.table import Table

from ai.device import at_hand
from ai.phantom import ExamSpec, Identity, simulate_exam

KINDS = ("gmic", "demo")


def draw(folder: Path, count: int) -> None:
    """As many exams, each a folder of four files."""
    for number in range(count):
        identity = Identity(patient_id=f"B{number}", patient_name=f"Bench^{number}")
        spec = ExamSpec(name="bench", seed=number, identity=identity, transfer_syntax_uid=JPEGLosslessSV1)
        (place := folder / str(number)).mkdir(parents=True)
        for each, dataset in enumerate(simulate_exam(spec).datasets):
            dcmwrite(place / f"{each}.dcm", dataset, enforce_file_format=True)


@dataclass(frozen=True)
class Case:
    """What is measured: a model on a device, at a pace."""

    model: str
    device: str
    batch: int
    ahead: int


def cases() -> list[Case]:
    """Reading ahead off and on, as the node's defaults have it on."""
    paces = [(device, *((1, 1) if device == "cpu" else (4, 8))) for device in at_hand()]
    return [
        Case(model, device, batch, ahead_or_not)
        for model in KINDS
        for device, batch, ahead in paces
        for ahead_or_not in (0, ahead)
    ]


class Child:
    """One engine in its own process, so that its peak of memory is its own."""

    def __init__(self, case: Case, threads: int, exams: Path) -> None:
        arguments = (case.model, case.device, threads, case.batch, case.ahead, exams)
        command = [sys.executable, Path(__file__).with_name("_reads.py"), *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def round(self) -> dict[str, Any]:
        """Every exam read once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.communicate()


def summed_up(case: Case, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Per exam, medians over all rounds but the first."""
    counted = rounds[1:]
    median = {
        name: statistics.median(each[name] for each in counted)
        for name in ("exam_s", "exam_cpu_s", "network_s", "network_cpu_s")
    }
    stages = {name: statistics.median(each["stages_s"][name] for each in counted) for name in counted[0]["stages_s"]}
    return {
        **asdict(case),
        "exams_per_s": 1 / median["exam_s"],
        **median,
        "ratio_to_network": statistics.median(each["exam_s"] / each["network_s"] for each in counted),
        "cpu_ratio_to_network": statistics.median(each["exam_cpu_s"] / each["network_cpu_s"] for each in counted),
        "network_busy": statistics.median(each["stages_s"]["network"] / each["exam_s"] for each in counted),
        "peak_mb": rounds[-1]["peak_mb"],
        "stages_s": stages,
        "stage_shares": {name: spent / sum(stages.values()) for name, spent in stages.items()},
    }


def measure(folder: Path, rounds: int, threads: int) -> dict[str, Any]:
    children = {case: Child(case, threads, folder) for case in cases()}
    told: dict[Case, list[dict[str, Any]]] = {case: [] for case in children}
    loads = []
    try:
        for _ in range(rounds + 1):
            for case, child in children.items():
                told[case].append(child.round())
                loads.append(os.getloadavg()[0])
    finally:
        for child in children.values():
            child.end()
    rows = [summed_up(case, told[case]) for case in children]
    return {"threads": threads, "load": statistics.median(loads), "rows": rows}


def show(result: dict[str, Any]) -> None:
    table = Table(title=f"stored DICOM → Reading, {result['threads']} threads, load {result['load']:.1f}")
    table.add_column("per exam, median")
    for row in result["rows"]:
        table.add_column(f"{row['model']} {row['device']} batch {row['batch']} ahead {row['ahead']}", justify="right")
    for name, first in result["rows"][0].items():
        if isinstance(first, float):
            table.add_row(name, *(f"{row[name]:.2f}" for row in result["rows"]))
    for name in result["rows"][0]["stages_s"]:
        cells = (f"{row['stages_s'][name]:.3f} s, {row['stage_shares'][name]:.0%}" for row in result["rows"])
        table.add_row(f"of it {name}", *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if options.folder is None:
            draw(Path(scratch), options.exams)
        result = measure(options.folder or Path(scratch), options.rounds, options.threads)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)


if __name__ == "__main__":
    main()
