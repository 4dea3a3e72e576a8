"""A programme's day: exams come in by the clock, and how long each waits for its results in the PACS is measured.

    python benchmarks/load.py [--exams 68] [--rate 136] [--times 1 10] [--urgent 0.05] [--pitch-mm MM] [--json]

A real node (`mammo-node serve`) with the default model and a real PACS (Orthanc, or the archive here) are processes on
loopback; two rooms send by C-STORE. 136 exams an hour is a national programme's rate in working hours; --times 10 is
ten of them. Turnaround is from the answer to an exam's last image to its last result being seen in the PACS. For the
growth of memory: --exams 2000 --rate 136 --times 40 --pitch-mm 0.4, where images are small and exams many.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydicom import dcmread
from pydicom.uid import JPEGLosslessSV1, generate_uid
from rich.console import Console
from rich.table import Table

from ai.phantom import ExamSpec, Identity
from node import holdings
from node.config import Config, load_config
from node.settings import Peer
from node.simulator import exams, pacs
from node.simulator.exams import MadeExam, MadeImage
from node.simulator.modality import Modality, NotTaken
from node.simulator.pacs import NODE_AE_TITLE, Pacs
from node.simulator.processes import Program, running
from storage.records import StudyState

KINDS = ("mammography_cad_sr", "measurement_sr", "summary_sc")
PATTERNS = 4
ROOMS = 2
ROUTING = [{"name": "urgent", "when": {"calling_ae_title": "URGENT*"}, "priority": "urgent"}, {"name": "screening"}]
WAITING = (StudyState.READING, StudyState.REPORTING, StudyState.DELIVERING)
_LOOK_EVERY_S = 0.05
_SAMPLE_EVERY_S = 1.0
_PATIENCE_S = 600.0


@dataclass(slots=True)
class Sent:
    """One exam on its way. late_s: how long after its time its room began to send it."""

    urgent: bool
    stored_at: float = 0.0
    late_s: float = 0.0
    seen: list[float] = field(default_factory=list)

    @property
    def turnaround_s(self) -> float | None:
        return max(self.seen) - self.stored_at if len(self.seen) >= len(KINDS) else None


class Day:
    """Exams by the clock. Each is one of a few drawn ones with UIDs of its own, written when its time comes."""

    def __init__(self, patterns: Sequence[MadeExam], folder: Path, node: Peer, *, every_s: float) -> None:
        self._patterns, self._folder, self._node, self._every_s = patterns, folder, node, every_s
        self.sent: dict[str, Sent] = {}
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def play(self, count: int, urgent: float, seed: int) -> list[threading.Thread]:
        """Start the rooms; each takes every other exam."""
        is_urgent = np.random.default_rng(seed).random(count) < urgent
        begun = time.monotonic()
        rooms = [
            threading.Thread(target=self._room, args=(number, count, is_urgent, begun), daemon=True)
            for number in range(ROOMS)
        ]
        for room in rooms:
            room.start()
        return rooms

    def _room(self, number: int, count: int, urgent: np.ndarray[Any, Any], begun: float) -> None:
        for exam in range(number, count, ROOMS):
            images, study = self._stamped(exam)
            due = begun + exam * self._every_s
            time.sleep(max(0.0, due - time.monotonic()))
            row = Sent(urgent=bool(urgent[exam]), late_s=max(0.0, time.monotonic() - due))
            with self._lock:
                self.sent[study] = row
            try:
                title = f"URGENT_{number}" if row.urgent else f"ROOM_{number}"
                row.stored_at = Modality(title, self._node).send(images)
            except NotTaken as error:
                self.problems.append(str(error))
            for image in images:
                image.path.unlink()

    def _stamped(self, number: int) -> tuple[list[MadeImage], str]:
        study, series = generate_uid(), generate_uid()
        made = []
        for image in self._patterns[number % len(self._patterns)].images:
            dataset = dcmread(image.path)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.PatientID = f"LOAD-{number}"
            path = self._folder / f"{dataset.SOPInstanceUID}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            made.append(MadeImage(path, str(dataset.SOPInstanceUID), image.sop_class_uid))
        return made, str(study)


@contextmanager
def a_node(folder: Path, pacs_peer: Peer) -> Iterator[tuple[Program, Config, Peer]]:
    """A node process, its configuration and where it listens."""
    settings = {
        "node": {"ae_title": NODE_AE_TITLE, "port": 0},
        "peers": {"PACS": pacs_peer.model_dump(include={"ae_title", "host", "port"})},
        "destinations": {"pacs": {"peer": "PACS", "results": list(KINDS)}},
        "routing": ROUTING,
        "storage": {"database_url": "sqlite:///node/node.sqlite", "object_folder": "node/objects"},
        "logging": {"file": "node.log"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with running([sys.executable, "-m", "node.cli", "serve", "--config", path], folder / "node.out") as program:
        found = re.search(r":(\d+)$", program.wait_for("ready:", 120).strip())
        assert found is not None
        yield program, load_config(path), Peer(ae_title=NODE_AE_TITLE, host="127.0.0.1", port=int(found[1]))


def memory_mb(of: int) -> float:
    """Proportional set size of a process and all below it, MB."""
    total, wanted = 0.0, [of]
    while wanted:
        process = Path("/proc") / str(wanted.pop())
        try:
            rollup = (process / "smaps_rollup").read_text()
            wanted += [int(c) for t in process.glob("task/*/children") for c in t.read_text().split()]
        except OSError:
            continue
        total += float(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0]) / 1024
    return total


def watch(day: Day, rooms: Sequence[threading.Thread], receiving: Pacs, config: Config, node: int) -> dict[str, Any]:
    """Look until everything is answered; what was seen on the way."""
    memory: list[float] = []
    oldest: dict[StudyState, float] = defaultdict(float)
    ended = None
    next_sample = 0.0
    with holdings.opened(config) as held:
        while True:
            for arrival in receiving.arrivals():
                row = day.sent.get(str(arrival.header.StudyInstanceUID))
                if row is not None:
                    row.seen.append(arrival.seen_at)
                arrival.path.unlink()
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + _SAMPLE_EVERY_S
                memory.append(memory_mb(node))
                for state, (_, since) in held.tallies.studies().items():
                    oldest[state] = max(oldest[state], time.time() - since.timestamp())
            if ended is None and not any(room.is_alive() for room in rooms):
                ended = now
            answered = all(row.turnaround_s is not None for row in day.sent.values())
            if ended is not None and (answered or now - ended > _PATIENCE_S):
                break
            time.sleep(_LOOK_EVERY_S)
    return {"memory": memory, "oldest_s": {str(state): round(oldest[state], 2) for state in WAITING}}


def percentiles(rows: Sequence[Sent]) -> dict[str, float | int]:
    waits = [row.turnaround_s for row in rows if row.turnaround_s is not None]
    if not waits:
        return {"exams": len(rows)}
    p50, p95 = np.percentile(waits, (50, 95))
    return {"exams": len(rows), "p50_s": round(p50, 2), "p95_s": round(p95, 2), "max_s": round(max(waits), 2)}


def play(options: argparse.Namespace, times: float, patterns: Sequence[MadeExam]) -> dict[str, Any]:
    """One day at `times` the rate."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mammo-node-load-")))
        program, received = pacs.orthanc_program(), folder / "received"
        server = pacs.orthanc(program, received, folder) if program else pacs.archive(received)
        receiving = stack.enter_context(server)
        serving, config, at = stack.enter_context(a_node(folder, receiving.peer))
        day = Day(patterns, folder, at, every_s=3600 / (options.rate * times))
        begun = time.monotonic()
        rooms = day.play(options.exams, options.urgent, options.seed)
        seen = watch(day, rooms, receiving, config, serving.pid)
        spent_s = time.monotonic() - begun
        name = receiving.name
    rows = list(day.sent.values())
    memory = seen["memory"]
    tenth = max(1, len(memory) // 10)
    return {
        "exams_per_hour": options.rate * times,
        "exams": len(rows),
        "unanswered": sum(row.turnaround_s is None for row in rows),
        "doubled": sum(max(0, len(row.seen) - len(KINDS)) for row in rows),
        "problems": day.problems[:5],
        "routine": percentiles([row for row in rows if not row.urgent]),
        "urgent": percentiles([row for row in rows if row.urgent]),
        "sent_late_s": round(max(row.late_s for row in rows), 2),
        "oldest_s": seen["oldest_s"],
        "memory_mb": {
            "after a tenth": round(float(np.median(memory[tenth : 2 * tenth] or memory))),
            "at the end": round(float(np.median(memory[-tenth:]))),
            "most": round(max(memory)),
        },
        "answered_per_hour": round(3600 * len(rows) / spent_s),
        "load": os.getloadavg()[0],
        "pacs": name,
    }


def draw(folder: Path, pitch_mm: float | None, seed: int) -> list[MadeExam]:
    specs = [
        ExamSpec(
            name=f"load {number}",
            seed=seed + number,
            identity=Identity(patient_id=f"LOAD-{number}", patient_name=f"Load^{number}"),
            transfer_syntax_uid=JPEGLosslessSV1,
            pitch_mm=pitch_mm,
        )
        for number in range(PATTERNS)
    ]
    return list(exams.make_all(specs, folder))


def show(results: Sequence[dict[str, Any]]) -> None:
    table = Table(title=f"from last view stored to last result in the PACS; load {results[-1]['load']:.1f}")
    for title in ("exams/h", "exams", "who", "p50 s", "p95 s", "most s", "unanswered", "doubled", "oldest s", "MB"):
        table.add_column(title, justify="right")
    for each in results:
        for who in ("routine", "urgent"):
            row, of = each[who], each if who == "routine" else {}
            waits = [str(row.get(name, "")) for name in ("p50_s", "p95_s", "max_s")]
            counts = [str(of.get(name, "")) for name in ("unanswered", "doubled")]
            oldest = ", ".join(f"{state.lower()} {s}" for state, s in of.get("oldest_s", {}).items())
            memory = " → ".join(str(value) for value in of.get("memory_mb", {}).values())
            table.add_row(f"{each['exams_per_hour']:g}", str(row["exams"]), who, *waits, *counts, oldest, memory)
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=68)
    parser.add_argument("--rate", type=float, default=136.0, help="exams an hour")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--urgent", type=float, default=0.05, help="share of urgent exams")
    parser.add_argument("--pitch-mm", type=float, help="coarser images than the system's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mammo-node-load-") as scratch:
        patterns = draw(Path(scratch), options.pitch_mm, options.seed)
        results = [play(options, times, patterns) for times in options.times]
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        show(results)
    return 1 if any(each["unanswered"] or each["doubled"] or each["problems"] for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
