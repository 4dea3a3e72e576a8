"""Intake speed beside other receivers, all fed by dcmtk's dcmsend with TCP_NODELAY, turn about in one run.

    python benchmarks/intake.py [--objects mammogram,jpeg,small] [--associations 1,4,8] [--rounds 3] [--json]
        [--receivers "raw TCP + fsync,ours,…"]

Ours answers when the image is durable (file and index synced to disk), Orthanc when its file is; dcmtk's and
pynetdicom's storescp sync nothing. On a machine that others use only the ratios within a run say something.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1
from rich.console import Console
from rich.table import Table

from ai.exam import STANDARD_VIEWS
from ai.phantom import Identity, wrap
from benchmarks._receivers import RECEIVERS, Receiver, dcmtk

#: Objects: rows, columns, whether as JPEG Lossless, and how many are sent in a run.
OBJECTS = {
    "mammogram": (4096, 3328, False, 8),  # 27 MB
    "jpeg": (4096, 3328, True, 16),  # 6 MB
    "small": (512, 512, False, 120),  # 0.5 MB
}


def written(folder: Path, what: str) -> list[Path]:
    """The files of one kind of object."""
    rows, columns, compressed, count = OBJECTS[what]
    noise = np.random.default_rng(1).integers(0, 4, (rows, columns), dtype=np.uint16)
    pixels = noise + (np.arange(columns, dtype=np.uint16) // 4)[None, :] if compressed else noise * 1000
    coded = encapsulate([imagecodecs.ljpeg_encode(pixels, bitspersample=12)]) if compressed else None
    paths: list[Path] = []
    number = 0
    while len(paths) < count:
        number += 1
        identity = Identity(patient_id=f"B{number}", patient_name=f"Bench^{number}")
        exam = wrap(dict.fromkeys(STANDARD_VIEWS, pixels), identity=identity, imager_pixel_spacing_mm=0.065)
        for dataset in exam[: count - len(paths)]:
            if coded is not None:
                _compress(dataset, coded)
            paths.append(folder / f"{what}-{len(paths)}.dcm")
            dcmwrite(paths[-1], dataset, enforce_file_format=True)
    return paths


def _compress(dataset: Dataset, coded: bytes) -> None:
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = coded
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, and its children that have ended, by /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(receiver: Receiver, folder: Path, paths: list[Path], associations: int) -> dict[str, float]:
    """Send all objects, shared out among the associations; wall seconds, CPU seconds per GB, peak MB."""
    folder.mkdir(parents=True)
    size_gb = sum(path.stat().st_size for path in paths) / 1e9
    with receiver(folder, associations) as (port, pid):
        used, begun = cpu_s(pid), time.monotonic()
        command = [dcmtk("dcmsend"), "-aec", "MAMMO_NODE", "127.0.0.1", str(port)]
        senders = [
            subprocess.Popen([*command, *paths[first::associations]], env={**os.environ, "TCP_NODELAY": "1"})
            for first in range(associations)
        ]
        assert [sender.wait() for sender in senders] == [0] * associations, "dcmsend failed"
        wall_s = time.monotonic() - begun
        least = paths[0].stat().st_size * 0.9
        files = [path for path in folder.rglob("*") if path.is_file() and path.name[:4] not in ("node", "inde")]
        held = [path for path in files if path.stat().st_size > least]  # an index is no object
        assert len(held) == len(paths), f"{len(held)} of {len(paths)} objects arrived"
        row = {"wall_s": wall_s, "cpu_s_per_gb": (cpu_s(pid) - used) / size_gb, "peak_mb": peak_mb(pid)}
    shutil.rmtree(folder)
    return row | {"objects_per_s": len(paths) / wall_s, "mb_per_s": size_gb * 1000 / wall_s}


def compared(names: list[str], paths: list[Path], associations: int, rounds: int) -> dict[str, dict[str, float]]:
    """The median of each receiver's rounds, turn about; with the load before each round beside it."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name in names:
                load = os.getloadavg()[0]
                row = measure(RECEIVERS[name], Path(folder) / f"{number}" / name[:3], paths, associations)
                runs[name].append({**row, "load": load})
    return {
        name: {key: statistics.median(run[key] for run in every) for key in every[0]} for name, every in runs.items()
    }


def table(what: str, associations: int, medians: dict[str, dict[str, float]]) -> Table:
    """The medians, with each wall time as a multiple of the raw receiver's and of dcmtk's best."""
    made = Table(
        *("receiver", "wall s", "objects/s", "MB/s", "CPU s/GB", "peak MB", "÷ raw", "÷ dcmtk's best", "load"),
        title=f"{what}, {associations} association(s)",
    )
    raw = medians.get("raw TCP + fsync", {}).get("wall_s", float("nan"))
    best = min((row["wall_s"] for name, row in medians.items() if name.startswith("storescp")), default=float("nan"))
    for name, row in medians.items():
        cells = (row["wall_s"], row["objects_per_s"], row["mb_per_s"], row["cpu_s_per_gb"], row["peak_mb"])
        made.add_row(
            name, *(f"{cell:.2f}" for cell in (*cells, row["wall_s"] / raw, row["wall_s"] / best, row["load"]))
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default=",".join(OBJECTS))
    parser.add_argument("--associations", default="1,4,8")
    parser.add_argument("--receivers", default=",".join(RECEIVERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    for what in arguments.objects.split(","):
        with tempfile.TemporaryDirectory() as folder:
            paths = written(Path(folder), what)
            for associations in map(int, arguments.associations.split(",")):
                medians = compared(arguments.receivers.split(","), paths, associations, arguments.rounds)
                found.append({"objects": what, "associations": associations, "median": medians})
                if not arguments.json:
                    Console(width=140).print(table(what, associations, medians))
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, "found": found}))


if __name__ == "__main__":
    main()
