"""A node that is killed again and again beside a real PACS, and the counting afterwards: lost, doubled, stuck."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from storage.database import Database
from storage.index import Index
from storage.records import StudyState
from storage.schema import make_engine
from tests.support import REPOSITORY, Process, require_tool, running, wait_until
from tests.support_exams import STUDY, as_file, exam
from tests.support_peers import Orthanc

LAUNCHER = Path(__file__).parent / "faults" / "node_under_test.py"
KINDS = ("mammography_cad_sr", "measurement_sr", "summary_sc")
SENDING_TIMEOUT_S = 60


def points() -> list[str]:
    """Every point that the node tells of, read from its source, so that none is forgotten here."""
    found = []
    for path in sorted((REPOSITORY / "node").rglob("*.py")):
        found += re.findall(r"passed\(\"([a-z]+: [a-z ]+)\"\)", path.read_text())
    return found


@dataclass(frozen=True)
class Counts:
    """Of result objects at the PACS, one per kind and exam: how many are not there, how many are there twice."""

    kills: int
    exams: int
    lost: int
    doubled: int
    stuck: int


@dataclass
class Rig:
    """One node's folder and what was done to it. pacs_port: where the node finds the PACS, maybe through a proxy.

    port: of the node, see `write_config`.
    """

    folder: Path
    pacs: Orthanc
    pacs_port: int
    name: str = "1"
    port: int = 0
    kills: int = 0
    studies: list[str] = field(default_factory=list)
    unsent: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = write_config(self.folder, self.pacs_port, self.port, ae_title=ae_title(self.name))

    def life(self, point: str | None = None, *, after_s: float = 0.0, group: bool = False) -> None:
        """Start the node, give it an exam, and let it die by SIGKILL: at a point, or some time after it listens."""
        self.new_exam()
        arguments = [] if point is None else [f"group {point}" if group else point]
        with running(sys.executable, LAUNCHER, self.config, *arguments) as node:
            serves = self._serves(node)
            begun = time.monotonic()
            if serves:  # on a busy machine the exams before it may reach the point first
                self.send(node)
            if point is None:
                time.sleep(max(0.0, begun + after_s - time.monotonic()))
                (os.killpg if group else os.kill)(node.pid, signal.SIGKILL)
            wait_until(lambda: node.popen.poll() is not None, 90, f"the node to die at '{point}':\n{node.output}")
            assert node.popen.returncode == -signal.SIGKILL, node.output
        self.kills += 1

    @staticmethod
    def _serves(node: Process) -> bool:
        wait_until(lambda: "serving " in node.output or node.popen.poll() is not None, 120, "the node to serve or die")
        return "serving " in node.output

    def new_exam(self) -> None:
        study = f"{STUDY}.{self.name}.{len(self.studies)}"
        self.studies.append(study)
        self.unsent += files_of(self.folder, study)

    def send(self, node: Process) -> None:
        port = int(node.wait_for_line("serving ").split()[1])
        self.unsent = send_until_answered(node, port, self.unsent)

    def settle(self, timeout_s: float = 120) -> Counts:
        """Let a node live until every exam is answered, and count."""
        with running(sys.executable, LAUNCHER, self.config, until="serving ", timeout_s=120) as node:
            self.send(node)
            index, database = index_of(self.folder)
            answered = [StudyState.ANSWERED]
            deadline = time.monotonic() + timeout_s
            while len(index.studies(answered)) < len(self.studies) and time.monotonic() < deadline:
                time.sleep(0.1)
            stuck = len(self.studies) - len(index.studies(answered))
            lost, doubled = counted(self.pacs, self.studies)
            database.engine.dispose()
            assert node.stop(10) == 0, node.output
        return Counts(self.kills, len(self.studies), lost + len(self.unsent), doubled, stuck)


def lives(count: int, seed: int = 7) -> Iterable[tuple[str | None, float, bool]]:
    """(point, seconds, group) of `count` lives: every point in turn, single and as a group, and moments at random."""
    chance, every = random.Random(seed), points()
    for number in range(count):
        point = every[number // 2 % len(every)] if number % 3 else None
        yield point, chance.uniform(0.0, 4.0), bool(number % 2)


def ae_title(name: str) -> str:
    """That of the node of a rig."""
    return f"NODE{name}"


def known(ports: Mapping[str, int]) -> dict[str, object]:
    """Orthanc's setting by which it knows the nodes of these rigs, listening there."""
    return {name: {"AET": ae_title(name), "Host": "127.0.0.1", "Port": port} for name, port in ports.items()}


def write_config(
    folder: Path, pacs_port: int, port: int = 0, *, ae_title: str = "MAMMO_NODE", **reading: object
) -> Path:
    """port: of the node, where the PACS knows it; then it gives its commitment, and is asked for priors."""
    peer = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs_port, "dimse_timeout_s": 10}
    commitment = {"commitment": bool(port), "commitment_wait_s": 0.2, "commitment_silence_s": 1}
    to_pacs = {"peer": "PACS", "results": list(KINDS), "first_retry_s": 0.2, "max_retry_s": 1, **commitment}
    settings = {
        "node": {"port": port, "ae_title": ae_title},
        "require_called_ae_title": False,
        "peers": {"PACS": {**peer, "priors": {} if port else None}},
        "destinations": {"pacs": to_pacs, "kept": {"type": "folder", "folder": "kept", "results": []}},
        "routing": [{"name": "all", "when": {}, "destinations": ["pacs"], "forward": ["kept"]}],
        "completeness": {"quiet_s": 3, "standard_views_grace_s": 0.1},
        "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
        "reading": {"threads": 1, **reading},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def send_until_answered(node: Process, port: int, files: list[Path]) -> list[Path]:
    """As a PACS does: send what is not yet answered with success. Returns what is left when the node has died."""
    command = [require_tool("storescu"), "-aec", "MAMMO_NODE", "127.0.0.1", str(port)]
    left = list(files)
    while left and node.popen.poll() is None:
        batch = [str(path) for path in left[:4]]
        sent = subprocess.run([*command, *batch], capture_output=True, timeout=SENDING_TIMEOUT_S, check=False)
        if sent.returncode == 0:
            del left[:4]
    return left


def files_of(folder: Path, study: str) -> list[Path]:
    files = []
    for dataset in exam(study=study):
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(dataset))
        files.append(path)
    return files


def index_of(folder: Path) -> tuple[Index, Database]:
    database = Database(make_engine(f"sqlite:///{folder / 'node.sqlite'}"))
    return Index(database), database


def counted(pacs: Orthanc, studies: list[str]) -> tuple[int, int]:
    """(lost, doubled) result objects at the PACS, of one per kind and study."""
    held = Counter((tags["StudyInstanceUID"], tags["SOPClassUID"]) for tags in pacs.instances())
    mine = {key: count for key, count in held.items() if key[0] in set(studies)}
    lost = len(KINDS) * len(studies) - len(mine)
    return lost, sum(count - 1 for count in mine.values())


def reader_pid(node: Process) -> int | None:
    """The node's child process that reads."""
    for task in Path(f"/proc/{node.pid}/task").glob("*/children"):
        for child in task.read_text().split():
            with suppress(FileNotFoundError):
                if b"node.reader_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None
