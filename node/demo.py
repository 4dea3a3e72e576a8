"""The demonstration: a hospital on this machine, a real node beside it, and every answer accounted for.

A PACS and a node are started as processes of their own, on loopback; synthetic exams are sent by C-STORE as
mammography rooms do; what the PACS received is fetched from it and judged (`node.demo_verdict`).
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from rich.progress import Progress

import node as package
from ai.phantom import ExamSpec
from node import bundles, demo_verdict, holdings, results
from node.bundles import Published
from node.config import Config, load_config
from node.demo_verdict import Verdict
from node.errors import ConfigError
from node.settings import Peer
from node.simulator import exams, pacs
from node.simulator.exams import MadeExam
from node.simulator.hospital import Hospital
from node.simulator.modality import Modality
from node.simulator.pacs import NODE_AE_TITLE, Pacs
from node.simulator.processes import Program, ProgramFailed, running
from storage.index import Index
from storage.records import StudyState

#: A folder with this file in it was made by a demonstration, and may be emptied by the next.
MARKER = ".mammo-node-demo"
ROOMS = ("ROOM_1", "ROOM_2")
KINDS = ("mammography_cad_sr", "measurement_sr", "summary_sc")
LOOK_EVERY_S = 0.1

_READY_S = 120.0
_QUIET_S = 6.0
_SETTLE_S = 1.5  # after the last answer: what comes now came too often
_READ = (StudyState.REPORTING, StudyState.DELIVERING, StudyState.ANSWERED, StudyState.HELD, StudyState.UNDELIVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What to demonstrate.

    pacs: auto (Orthanc where it is installed), orthanc or archive. density: folder with a real exam's pictures and the
    published density network, if any.
    """

    out: Path
    specs: Sequence[ExamSpec]
    pacs: str = "auto"
    density: Path | None = None


def run(demo: Demo, progress: Progress) -> Verdict:
    """The whole demonstration; everything it started has ended when it returns.

    Raises ConfigError (the folder is not ours, no Orthanc), ProgramFailed.
    """
    started = time.monotonic()
    emptied(demo.out)
    with ExitStack() as stack:
        receiving = stack.enter_context(_pacs(demo))
        config_file = _write_config(demo, receiving.peer)
        config = load_config(config_file)
        command: list[str | Path] = [sys.executable, "-m", "node.cli", "serve", "--config", config_file]
        serving = stack.enter_context(running(command, demo.out / "node.out"))
        made = _make(demo, progress)
        made_at = time.monotonic()
        hospital = Hospital(receiving, made, len(config.destinations["pacs"].results))
        _treat(hospital, config, serving, progress)
        answered_at = time.monotonic()
        exit_code = serving.stop()
        verdict = demo_verdict.judge(hospital, receiving, config, exit_code)
    timings_s = {
        "making exams": made_at - started,
        "sending, reading, delivering": answered_at - made_at,
        "in all": time.monotonic() - started,
    }
    return replace(verdict, timings_s=timings_s, bundles=tuple(_bundle_lines(config)))


def density_data(given: Path | None) -> Path | None:
    """The folder with the real exam and the density network: the one given, or beside the repository, or None."""
    repository = Path(package.__file__).parents[1]
    usual = [above.parent / "shared" / "data" / "density" for above in (Path.cwd(), repository)]
    places = [given, given / "density"] if given else usual
    found = next((place for place in places if (place / "histogram_model.p").is_file()), None)
    if given and found is None:
        raise ConfigError(f"{given} does not hold histogram_model.p and the four pictures")
    return found


def emptied(out: Path) -> None:
    """Empty the folder of an earlier demonstration, or make it. Raises ConfigError when it is somebody else's."""
    if out.exists() and not (out / MARKER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there and was not made by a demonstration: name another folder with --out")
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).write_text("made by `mammo-node demo`, which empties this folder\n", encoding="utf-8")


@contextmanager
def _pacs(demo: Demo) -> Iterator[Pacs]:
    received = demo.out / "pacs"
    program = pacs.orthanc_program() if demo.pacs != "archive" else None
    if program is not None:
        with (
            tempfile.TemporaryDirectory(prefix="mammo-node-demo-") as work,
            pacs.orthanc(program, received, Path(work)) as found,
        ):
            yield found
        return
    if demo.pacs == "orthanc":
        raise ConfigError("Orthanc is not installed: apt-get install orthanc, or --pacs archive")
    with pacs.archive(received) as found:
        yield found


def _write_config(demo: Demo, peer: Peer) -> Path:
    offered = [kind for kind in KINDS if kind in results.offered()]
    used = ["demo"]
    if demo.density is not None:
        bundles.import_published(
            Published.NYU_DENSITY, [demo.density / "histogram_model.p"], demo.out / "bundles" / "nyu-density"
        )
        used.append("bundles/nyu-density")
    settings: dict[str, Any] = {
        "node": {"ae_title": NODE_AE_TITLE, "port": 0},
        "peers": {"PACS": {"ae_title": peer.ae_title, "host": peer.host, "port": peer.port}},
        "destinations": {"pacs": {"type": "dicom_store", "peer": "PACS", "results": offered}},
        "completeness": {"quiet_s": _QUIET_S},
        "reading": {"bundles": used},
        "storage": {"database_url": "sqlite:///node/node.sqlite", "object_folder": "node/objects"},
        "audit": {"folder": "node/audit"},
        "logging": {"file": "node.log"},
    }
    path = demo.out / "config.yaml"
    header = "# The demonstration's node; all else is the default. The PACS it names ended with the demonstration.\n"
    path.write_text(header + yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def _make(demo: Demo, progress: Progress) -> list[MadeExam]:
    """The exams, in the order of their specifications, the real one last."""
    task = progress.add_task("exams made", total=len(demo.specs) + (demo.density is not None))
    made = {}
    for exam in exams.make_all(demo.specs, demo.out / "exams"):
        made[exam.name] = exam
        progress.advance(task)
    found = [made[spec.name] for spec in demo.specs]
    if demo.density is not None:
        found.append(exams.make_real(demo.density, demo.out / "exams"))
        progress.advance(task)
    return found


def _treat(hospital: Hospital, config: Config, serving: Program, progress: Progress) -> None:
    """Send everything and wait until all of it is answered, or given up."""
    images = sum(len(course.exam.images) for course in hospital.courses)
    answers = sum(course.revisions for course in hospital.courses)
    sent = progress.add_task("images sent", total=images)
    read = progress.add_task("exams read", total=len(hospital.courses))
    objects = progress.add_task("results in the PACS", total=answers * len(config.destinations["pacs"].results))
    port = port_of(serving.wait_for("ready:", _READY_S))
    at = Peer(ae_title=NODE_AE_TITLE, host="127.0.0.1", port=port)
    hospital.open([Modality(room, at, lambda: progress.advance(sent)) for room in ROOMS])
    try:
        with holdings.opened(config) as held:
            while hospital.busy:
                _look(hospital, serving)
                progress.update(objects, completed=len(hospital.arrivals))
                progress.update(read, completed=_count_read(held.index))
        settled = time.monotonic() + _SETTLE_S
        while time.monotonic() < settled:
            _look(hospital, serving)
        progress.update(objects, completed=len(hospital.arrivals))
    finally:
        hospital.close()


def _look(hospital: Hospital, serving: Program) -> None:
    hospital.look()
    if not serving.running:
        raise ProgramFailed("the node ended by itself; see node.out and node.log in the demonstration's folder")
    time.sleep(LOOK_EVERY_S)


def _count_read(index: Index) -> int:
    counts = index.tallies.studies()
    return sum(counts[state][0] for state in _READ if state in counts)


def port_of(ready: str) -> int:
    """Where a node listens that said this. Raises ProgramFailed."""
    found = re.search(r":(\d+)$", ready.strip())
    if found is None:
        raise ProgramFailed(f"the node does not say where it listens: {ready}")
    return int(found[1])


def _bundle_lines(config: Config) -> Iterator[str]:
    shipped = {each.bundle: each for each in bundles.shipped()}
    for name in config.reading.bundles:
        line = shipped.get(name) or bundles.bundle_line(Path(name))
        yield f"{line.name} {line.version}"
