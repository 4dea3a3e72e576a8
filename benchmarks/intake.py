"""Intake speed against dcmtk's storescp, both fed by dcmsend, turn about in one run.

    python benchmarks/intake.py [--images 8] [--rounds 5] [--json]

Ours answers when the image is durable (file and index synced to disk); storescp when it is written, without a sync.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from rich.console import Console
from rich.table import Table

from ai.exam import STANDARD_VIEWS
from ai.phantom import Identity, wrap

ROWS, COLUMNS = 4096, 3328


def images(folder: Path, count: int) -> list[Path]:
    """Uncompressed mammograms of 4096 × 3328 × 16 bit (27 MB) each; the pixels do not matter here."""
    pixels = np.random.default_rng(1).integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16)
    paths: list[Path] = []
    number = 0
    while len(paths) < count:
        number += 1
        identity = Identity(patient_id=f"B{number}", patient_name=f"Bench^{number}")
        exam = wrap(dict.fromkeys(STANDARD_VIEWS, pixels), identity=identity, imager_pixel_spacing_mm=0.065)
        for dataset in exam[: count - len(paths)]:
            path = folder / f"{len(paths)}.dcm"
            dcmwrite(path, dataset, enforce_file_format=True)
            paths.append(path)
    return paths


@contextmanager
def ours(folder: Path) -> Iterator[tuple[int, int]]:
    """(port, process id) of our receiver."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("_receiver.py"), folder],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("listening "):
                yield int(line.split()[1]), process.pid
                break
    finally:
        process.terminate()
        process.wait()


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[tuple[int, int]]:
    """(port, process id) of dcmtk's receiver."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(["storescp", *options, "-od", folder, str(port)], stderr=subprocess.DEVNULL)
    try:
        while not _listens(port):
            time.sleep(0.01)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, by /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(receiver: object, folder: Path, paths: list[Path]) -> dict[str, float]:
    """Send all images on one association; seconds, MB/s, CPU seconds per GB, peak MB."""
    folder.mkdir(parents=True)
    size_mb = sum(path.stat().st_size for path in paths) / 1e6
    with receiver(folder) as (port, pid):  # type: ignore[operator]
        used, begun = cpu_s(pid), time.monotonic()
        subprocess.run(["dcmsend", "-aec", "MAMMO_NODE", "127.0.0.1", str(port), *paths], check=True)
        wall_s = time.monotonic() - begun
        held = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1e6]
        assert len(held) == len(paths), f"{len(held)} of {len(paths)} images arrived"
        result = {
            "wall_s": wall_s,
            "mb_per_s": size_mb / wall_s,
            "cpu_s_per_gb": (cpu_s(pid) - used) / size_mb * 1000,
            "peak_mb": peak_mb(pid),
        }
    shutil.rmtree(folder)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    receivers = {
        "mammo-node": ours,
        "storescp": storescp,
        "storescp +B -pdu 131072": lambda folder: storescp(folder, "+B", "-pdu", "131072"),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in receivers}
    with tempfile.TemporaryDirectory() as temporary:
        paths = images(Path(temporary), arguments.images)
        for round_number in range(arguments.rounds):
            for name, receiver in receivers.items():
                runs[name].append(measure(receiver, Path(temporary) / f"{round_number}-{len(runs[name])}", paths))
    medians = {
        name: {key: statistics.median(run[key] for run in every) for key in every[0]} for name, every in runs.items()
    }
    if arguments.json:
        print(json.dumps({"images": arguments.images, "rounds": arguments.rounds, "median": medians, "runs": runs}))
        return
    table = Table("receiver", "wall s", "MB/s", "CPU s/GB", "peak MB", "wall ÷ storescp")
    for name, row in medians.items():
        ratio = row["wall_s"] / medians["storescp"]["wall_s"]
        cells = (row["wall_s"], row["mb_per_s"], row["cpu_s_per_gb"], row["peak_mb"], ratio)
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    Console().print(table)


if __name__ == "__main__":
    main()
