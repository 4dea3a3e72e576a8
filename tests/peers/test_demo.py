"""`mammo-node demo`: a real node, a real PACS, a verdict that is earned."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from node import demo_verdict
from node.config import load_config
from node.demo_verdict import Verdict
from node.settings import Peer
from node.simulator.exams import MadeExam, MadeImage
from node.simulator.hospital import Hospital
from node.simulator.pacs import Arrival
from tests.support import Process, require_tool, wait_until

KINDS = {"1.2.840.10008.5.1.4.1.1.88.50", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7"}


@dataclass(frozen=True)
class Shown:
    """A demonstration that has ended."""

    out: Path
    code: int
    summary: dict[str, Any]
    said: str


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "node.cli", "demo", "--out", str(out), "--pitch-mm", "0.2", *arguments]


def demonstrate(out: Path, *arguments: str) -> Shown:
    done = subprocess.run(command(out, *arguments), capture_output=True, text=True, timeout=200, check=False)
    summary = out / "summary.json"
    content = json.loads(summary.read_text()) if summary.exists() else {}
    return Shown(out, done.returncode, content, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Three exams through Orthanc: one is not read, one has a late image, one a name that ASCII cannot hold."""
    require_tool("Orthanc")
    out = tmp_path_factory.mktemp("demo") / "demo-out"
    chosen = ("--scenario", "three views", "--scenario", "arrives late", "--scenario", "UTF-8")
    return demonstrate(out, "--pacs", "orthanc", *chosen)


def test_every_exam_is_answered_once_and_what_the_pacs_received_is_kept(shown: Shown) -> None:
    assert shown.code == 0, shown.said
    counts = shown.summary["counts"]
    assert (counts["sent"], counts["read"], counts["not_read"]) == (3, 2, 1)
    assert (counts["lost"], counts["doubled"], counts["delivered"]) == (0, 0, 12)
    assert counts["images_sent"] == counts["images_kept"] == 12
    rows = {row["name"]: row for row in shown.summary["exams"]}
    late = next(row for name, row in rows.items() if "late" in name)
    assert (late["revision"], late["objects"]) == (2, 6)
    not_read = next(row for name, row in rows.items() if "three views" in name)
    assert not_read["category"] == "NOT_READ"
    assert not_read["reasons"] == ["not all four standard views are readable: L MLO"]
    assert all(row["turnaround_s"] > 0 for row in rows.values())
    received = [dcmread(path) for path in (shown.out / "pacs").glob("*.dcm")]
    assert len(received) == 12
    assert {dataset.SOPClassUID for dataset in received} == KINDS
    with Image.open(shown.out / "card.png") as card:
        assert card.size == (2048, 1536)
    for word in ("NOT READ", "0 lost, 0 doubled", *rows):
        assert word[:20] in shown.said, f"'{word}' is not in the table"


def test_a_second_demonstration_replaces_the_first_and_needs_no_orthanc(tmp_path: Path) -> None:
    out = tmp_path / "demo-out"
    (out / "pacs").mkdir(parents=True)
    (out / ".mammo-node-demo").touch()
    (out / "pacs" / "earlier.dcm").touch()
    second = demonstrate(out, "--pacs", "archive", "--scenario", "Latin-1")
    assert second.code == 0, second.said
    assert second.summary["counts"]["delivered"] == 3
    assert len(list((out / "pacs").glob("*.dcm"))) == 3


def test_interrupted_it_ends_everything_it_started(tmp_path: Path) -> None:
    out = tmp_path / "demo-out"
    process = Process(command(out, "--pacs", "archive", "--scenario", "Latin-1"))
    try:
        log = out / "node.log"
        wait_until(lambda: log.is_file() and "listening" in log.read_text(), 60, "the demonstration's node to listen")
        reader = int(re.search(r"reader_pid=(\d+)", log.read_text())[1])  # type: ignore[index]
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(40) == 130
        process.wait_for_line("all it started has ended")
        assert not Path(f"/proc/{reader}").exists(), "the node's reader still runs"
        assert log.read_text().rstrip().splitlines()[-1].find("stopped") > 0, "the node did not stop in good order"
    finally:
        process.stop()


# ---------------------------------------------------------------- the verdict itself, with objects altered on purpose


@dataclass
class Replayed:
    """A PACS that holds the files of a folder."""

    folder: Path
    name: str = "replayed"
    how: str = "its folder"
    peer: Peer = field(default_factory=lambda: Peer(ae_title="REPLAYED", host="127.0.0.1", port=1))

    def arrivals(self) -> list[Arrival]:
        return [
            Arrival(path, dcmread(path, stop_before_pixels=True), 1.0) for path in sorted(self.folder.glob("*.dcm"))
        ]

    def doubled(self) -> list[str]:
        return []


def judged(shown: Shown, received: Path) -> Verdict:
    """The verdict on the demonstration as if the PACS had received `received`."""
    exams = []
    for path in sorted(shown.out.glob("exams/*/truth.json")):
        truth = json.loads(path.read_text())
        images = [MadeImage(path.parent / i["file"], i["sop_instance_uid"], "", i["late"]) for i in truth["images"]]
        exams.append(
            MadeExam(name=truth["name"], study_instance_uid=truth["study_instance_uid"], images=tuple(images), truth="")
        )
    pacs = Replayed(received)
    hospital = Hospital(pacs, exams, objects=3)
    hospital.look()
    return demo_verdict.judge(hospital, pacs, load_config(shown.out / "config.yaml"), exit_code=0)


def one_of(folder: Path, modality: str) -> tuple[Path, Dataset]:
    """A received object of the exam with the name in UTF-8."""
    for path in sorted(folder.glob("*.dcm")):
        dataset = dcmread(path)
        if dataset.Modality == modality and dataset.SpecificCharacterSet == "ISO_IR 192":
            return path, dataset
    pytest.fail(f"no {modality} was received of that exam")


def lose(folder: Path) -> None:
    one_of(folder, "OT")[0].unlink()


def double(folder: Path) -> None:
    path, dataset = one_of(folder, "SR")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.save_as(path.with_name(f"{dataset.SOPInstanceUID}.dcm"))


def name_another_woman(folder: Path) -> None:
    path, dataset = one_of(folder, "OT")
    dataset.PatientName = "Somebody^Else"
    dataset.save_as(path)


def name_in_another_character_set(folder: Path) -> None:
    path, dataset = one_of(folder, "OT")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Cahppe^Maret"
    dataset.save_as(path)


def move_to_another_study(folder: Path) -> None:
    path, dataset = one_of(folder, "OT")
    dataset.StudyInstanceUID = generate_uid()
    dataset.save_as(path)


def call_it_negative(folder: Path) -> None:
    """A report on an exam that was not read says NEGATIVE."""
    for path in sorted(folder.glob("*.dcm")):
        content = path.read_bytes()
        if b"NOT_READ" in content and b"TRIAGE" in content:
            path.write_bytes(content.replace(b"NOT_READ", b"NEGATIVE"))
            return
    pytest.fail("no report says NOT_READ")


def test_the_verdict_on_what_really_came_is_good(shown: Shown) -> None:
    verdict = judged(shown, shown.out / "pacs")
    assert verdict.ok, [exam.problems for exam in verdict.exams]


@pytest.mark.parametrize(
    ("alter", "counts", "told"),
    [
        (lose, {"lost": 1, "doubled": 0}, "has 2 of 3 results"),
        (double, {"lost": 0, "doubled": 1}, "are there twice"),
        (name_another_woman, {"lost": 0}, "PatientName of a result is not that of the images"),
        (name_in_another_character_set, {"lost": 0}, "SpecificCharacterSet of a result is not that of the images"),
        (move_to_another_study, {"lost": 1}, "an object of no exam that was sent"),
        (call_it_negative, {"lost": 0}, "a result in the PACS says NEGATIVE, the node's record NOT_READ"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_verdict_notices(
    shown: Shown, tmp_path: Path, alter: Callable[[Path], None], counts: dict[str, int], told: str
) -> None:
    shutil.copytree(shown.out / "pacs", tmp_path / "pacs")
    alter(tmp_path / "pacs")
    verdict = judged(shown, tmp_path / "pacs")
    assert not verdict.ok
    assert {name: verdict.counts[name] for name in counts} == counts
    problems = [*verdict.problems, *(problem for exam in verdict.exams for problem in exam.problems)]
    assert any(told in problem for problem in problems), problems
