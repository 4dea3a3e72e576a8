"""A site rehearses before go-live: the simulated hospital around a node that was configured by what it prints."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from node.simulator.pacs import free_port
from tests.support import wait_until

EXAMS = ("--exams", "2", "--pitch-mm", "0.2")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "node.cli", *map(str, arguments)]


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@contextmanager
def started(folder: Path, *arguments: object) -> Iterator[str]:
    """A command that serves, once it is ready: what it said. It ends with 0 when it is asked to."""
    log = folder / f"{arguments[0]}{len(list(folder.iterdir()))}.out"
    with log.open("wb") as out:
        process = subprocess.Popen(command(*arguments), cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "ready:" in log.read_text() or process.poll() is not None, 60, f"{arguments} to be ready")
        assert process.poll() is None, log.read_text()
        yield log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def ports(folder: Path) -> tuple[object, ...]:
    return ("--pacs-port", free_port(), "--worklist-port", free_port(), "--hl7-port", free_port())


@pytest.fixture(scope="module")
def node(folder: Path, ports: tuple[object, ...]) -> Iterator[str]:
    """A site's node, as the printed sections say."""
    printed = run(folder, "simulate", "hospital", "--print-config", *ports)
    assert printed.returncode == 0, printed.stderr
    sections = yaml.safe_load(printed.stdout)
    sections |= {
        "node": {"port": free_port()},
        "reading": {"threads": 1},
        "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(sections))
    with started(folder, "serve"):
        yield f"MAMMO_NODE@127.0.0.1:{sections['node']['port']}"


@pytest.fixture(scope="module")
def rehearsed(folder: Path, node: str, ports: tuple[object, ...]) -> subprocess.CompletedProcess[str]:
    return run(folder, "simulate", "hospital", "--to", node, *ports, *EXAMS, "--out", "day", "--json")


def test_every_exam_is_followed_through_every_role(rehearsed: subprocess.CompletedProcess[str]) -> None:
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    outcome = json.loads(rehearsed.stdout)
    assert outcome["ok"] is True
    assert outcome["worklist_asked"] >= 1
    assert len(outcome["exams"]) == 2
    for exam in outcome["exams"]:
        assert (exam["steps"], exam["results"], exam["expected"], exam["committed"]) == (1, 3, 3, 3), exam
        assert exam["messages"] == 1, exam
        assert exam["category"] in ("NEGATIVE", "INDETERMINATE", "SUSPICIOUS"), exam
        assert exam["ended"] == "COMPLETED", exam


def test_each_part_is_a_command_of_its_own(
    folder: Path, node: str, rehearsed: subprocess.CompletedProcess[str]
) -> None:
    assert rehearsed.returncode == 0
    (one, *_) = sorted((folder / "day" / "exams").iterdir())
    asked = run(folder, "simulate", "manager", one, "--to", node, "--json")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert [each["state"] for each in json.loads(asked.stdout)] == ["COMPLETED"]
    assert [each["outputs"] for each in json.loads(asked.stdout)] == ["3"]
    sent = run(folder, "simulate", "modality", one, "--to", node)
    assert sent.returncode == 0, sent.stderr
    assert "1 performed procedure steps told" in sent.stdout


def test_an_archive_and_a_worklist_serve_until_they_are_stopped(
    folder: Path, rehearsed: subprocess.CompletedProcess[str]
) -> None:
    assert rehearsed.returncode == 0
    exams = folder / "day" / "exams"
    with started(folder, "simulate", "pacs", folder / "kept", "--port", 0) as ready:
        port = re.search(r"127\.0\.0\.1:(\d+)", ready)
        assert port is not None, ready
        sent = run(folder, "send", exams, "--to", f"SIM_PACS@127.0.0.1:{port[1]}", "--json")
        assert sent.returncode == 0, sent.stdout
        assert len(list((folder / "kept").glob("*.dcm"))) == json.loads(sent.stdout)["sent"]
    with started(folder, "simulate", "worklist", exams, "--port", 0) as ready:
        assert "2 exams are scheduled" in ready


def test_what_goes_wrong_is_told_and_ends_with_1(folder: Path) -> None:
    """Nobody listens where the node should."""
    nobody, pacs, worklist, hl7 = (free_port() for _ in range(4))
    ports = ("--pacs-port", pacs, "--worklist-port", worklist, "--hl7-port", hl7)
    to = ("--to", f"MAMMO_NODE@127.0.0.1:{nobody}", *ports)
    few = ("--exams", 1, "--pitch-mm", 0.2, "--patience-s", 5, "--out", "strange", "--json")
    done = run(folder, "simulate", "hospital", *to, *few)
    assert done.returncode == 1, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert "the node never asked for the worklist" in outcome["problems"]
    assert any(each.startswith("work items: ") and "cannot be reached" in each for each in outcome["problems"])
    (exam,) = outcome["exams"]
    assert any("SIM_ROOM_1: performed procedure step" in each for each in exam["problems"]), exam
    assert "0 of 3 results are in the archive" in exam["problems"]
