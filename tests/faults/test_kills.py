"""`kill -9` at every boundary between durable steps: nothing lost, nothing doubled, nothing stuck, at a real PACS."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import StudyState
from storage.schema import make_engine
from tests.support import REPOSITORY, Process, require_tool, running, wait_until
from tests.support_exams import STUDY, as_file, exam
from tests.support_peers import Orthanc, orthanc

LAUNCHER = Path(__file__).with_name("node_under_test.py")
KINDS = ("mammography_cad_sr", "measurement_sr", "summary_sc")
SENDING_TIMEOUT_S = 60


def points() -> list[str]:
    """Every point that the node tells of, read from its source, so that none is forgotten here."""
    found = []
    for path in sorted((REPOSITORY / "node").rglob("*.py")):
        found += re.findall(r"passed\(\"([a-z]+: [a-z ]+)\"\)", path.read_text())
    return found


def write_config(folder: Path, pacs: Orthanc, **reading: object) -> Path:
    settings = {
        "node": {"port": 0},
        "peers": {"PACS": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.port}},
        "destinations": {"pacs": {"peer": "PACS", "results": list(KINDS), "first_retry_s": 0.2, "max_retry_s": 1}},
        "completeness": {"quiet_s": 3, "standard_views_grace_s": 0.1},
        "storage": {
            "database_url": "sqlite:///node.sqlite",
            "object_folder": "objects",
            "minimum_free_bytes": 0,
        },
        "reading": {"threads": 1, **reading},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def send_until_answered(node: Process, port: int, files: list[Path]) -> list[Path]:
    """As a PACS does: send what is not yet answered with success. Returns what is left when the node has died."""
    command = [require_tool("storescu"), "-v", "-aec", "MAMMO_NODE", "127.0.0.1", str(port)]
    left = list(files)
    while left and node.popen.poll() is None:
        sent = subprocess.run([*command, str(left[0])], capture_output=True, timeout=SENDING_TIMEOUT_S, check=False)
        if sent.returncode == 0:
            left.pop(0)
    return left


def index_of(folder: Path) -> tuple[Index, Outbox, Database]:
    database = Database(make_engine(f"sqlite:///{folder / 'node.sqlite'}"))
    return Index(database), Outbox(database), database


def files_of(folder: Path, study: str) -> list[Path]:
    files = []
    for dataset in exam(study=study):
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(dataset))
        files.append(path)
    return files


def counted(pacs: Orthanc, studies: list[str]) -> tuple[int, int]:
    """(lost, doubled) result objects at the PACS, of one per kind and study."""
    held = Counter((tags["StudyInstanceUID"], tags["SOPClassUID"]) for tags in pacs.instances())
    lost = sum(len(KINDS) - sum(1 for study, _ in held if study == wanted) for wanted in studies)
    doubled = sum(count - 1 for count in held.values())
    return lost, doubled


def test_every_boundary(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        config = write_config(tmp_path, pacs)
        studies, unsent = [], []
        for number, point in enumerate(points()):
            study = f"{STUDY}.{number}"
            studies.append(study)
            with running(sys.executable, LAUNCHER, config, point, until="serving ") as node:
                port = int(node.wait_for_line("serving ").split()[1])
                unsent = send_until_answered(node, port, unsent + files_of(tmp_path, study))
                wait_until(lambda node=node: node.popen.poll() is not None, 60, f"the node to die at '{point}'")
                assert node.popen.returncode == -signal.SIGKILL
        with running(sys.executable, LAUNCHER, config, until="serving ") as node:
            unsent = send_until_answered(node, int(node.wait_for_line("serving ").split()[1]), unsent)
            index, _, database = index_of(tmp_path)
            answered = [StudyState.ANSWERED]
            wait_until(lambda: len(index.studies(answered)) == len(studies), 90, "every exam to be answered")
            stuck = len(index.studies()) - len(index.studies(answered))
            lost, doubled = counted(pacs, studies)
            database.engine.dispose()
            assert node.stop(10) == 0
    print(f"kills {len(studies)} lost {lost} doubled {doubled} stuck {stuck}")
    assert unsent == []
    assert (lost, doubled, stuck) == (0, 0, 0)


def reader_pid(node: Process) -> int | None:
    """The node's child process that reads."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children")
    for task in children.parent.parent.glob("*/children"):
        for child in task.read_text().split():
            if b"node.reader_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def test_a_reader_that_is_killed_once_reads_the_exam_after_all(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        config = write_config(tmp_path, pacs)
        with running(sys.executable, LAUNCHER, config, until="serving ") as node:
            os.kill(reader_pid(node), signal.SIGKILL)
            port = int(node.wait_for_line("serving ").split()[1])
            assert send_until_answered(node, port, files_of(tmp_path, STUDY)) == []
            index, outbox, database = index_of(tmp_path)
            wait_until(lambda: index.studies([StudyState.ANSWERED]), 60, "the exam to be answered")
            assert outbox.reading(STUDY).category != "NOT_READ"
            database.engine.dispose()


def test_sigterm_stops_within_ten_seconds_also_while_reading(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        config = write_config(tmp_path, pacs)
        with running(sys.executable, LAUNCHER, config, until="serving ") as node:
            port = int(node.wait_for_line("serving ").split()[1])
            send_until_answered(node, port, files_of(tmp_path, STUDY))
            begun = time.monotonic()
            node.popen.terminate()
            try:
                assert node.popen.wait(10) == 0, node.output
            except subprocess.TimeoutExpired:
                pytest.fail(f"still running {time.monotonic() - begun:.0f} s after SIGTERM:\n{node.output}")
        with running(sys.executable, LAUNCHER, config, until="serving "):
            index, _, database = index_of(tmp_path)
            wait_until(lambda: index.studies([StudyState.ANSWERED]), 60, "the exam to be answered after the restart")
            database.engine.dispose()
        assert counted(pacs, [STUDY]) == (0, 0)
