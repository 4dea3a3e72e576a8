"""Stored DICOM → Reading: a network of GMIC's size and the shipped model, turn about in one run.

    python benchmarks/reading.py [--exams 2] [--rounds 3] [--threads N] [--folder EXAMS] [--json]

The exams are drawn at full size (0.07 mm) and stored as JPEG Lossless, or are those of --folder: a folder for each.
The first round warms up and does not count. "network" is the network alone on prepared inputs, in the same process and
round: the ratio of the whole to it holds on a busy machine too, wall-clock seconds do not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.uid import JPEGLosslessSV1
from rich.console import Console
from rich.table import Table

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


class Child:
    """One engine in its own process, so that its peak of memory is its own."""

    def __init__(self, kind: str, threads: int, exams: Path) -> None:
        command = [sys.executable, Path(__file__).with_name("_reads.py"), kind, str(threads), exams]
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


def summed_up(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the exams of all rounds but the first; shares of the whole for the stages."""
    exams = [exam for each in rounds[1:] for exam in each["exams"]]
    median = {
        name: statistics.median(exam[name] for exam in exams)
        for name in ("exam_s", "exam_cpu_s", "network_s", "network_cpu_s")
    }
    stages = {name: statistics.median(exam["stages_s"][name] for exam in exams) for name in exams[0]["stages_s"]}
    return {
        "exams_per_s": 1 / median["exam_s"],
        **median,
        "ratio_to_network": statistics.median(exam["exam_s"] / exam["network_s"] for exam in exams),
        "cpu_ratio_to_network": statistics.median(exam["exam_cpu_s"] / exam["network_cpu_s"] for exam in exams),
        "peak_mb": rounds[-1]["peak_mb"],
        "stages_s": stages,
        "stage_shares": {name: spent / sum(stages.values()) for name, spent in stages.items()},
    }


def measure(folder: Path, rounds: int, threads: int) -> dict[str, Any]:
    children = {kind: Child(kind, threads, folder) for kind in KINDS}
    told: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    try:
        for _ in range(rounds + 1):
            for kind, child in children.items():
                told[kind].append(child.round())
    finally:
        for child in children.values():
            child.end()
    return {"threads": threads, "load": os.getloadavg()[0], **{kind: summed_up(told[kind]) for kind in KINDS}}


def show(result: dict[str, Any]) -> None:
    table = Table(title=f"stored DICOM → Reading, {result['threads']} threads, load {result['load']:.1f}")
    table.add_column("per exam, median")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    for name in next(iter(result[kind] for kind in KINDS)):
        if not name.startswith("stage"):
            table.add_row(name, *(f"{result[kind][name]:.2f}" for kind in KINDS))
    for name in result[KINDS[0]]["stages_s"]:
        cells = (f"{result[k]['stages_s'][name]:.3f} s, {result[k]['stage_shares'][name]:.0%}" for k in KINDS)
        table.add_row(f"of it {name}", *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
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
