"""`mammo-node demo`: a real node, a real PACS, a verdict that is earned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from tests.support import require_tool

KINDS = {"1.2.840.10008.5.1.4.1.1.88.50", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7"}


def demonstrate(folder: Path, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Run a small demonstration; its exit code, summary and output."""
    command = [sys.executable, "-m", "node.cli", "demo", "--out", "demo-out", "--pitch-mm", "0.2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    summary = folder / "demo-out" / "summary.json"
    return done.returncode, json.loads(summary.read_text()) if summary.exists() else {}, done.stdout + done.stderr


@pytest.mark.parametrize("pacs", ["orthanc", "archive"])
def test_every_exam_is_answered_once_and_what_the_pacs_received_is_kept(tmp_path: Path, pacs: str) -> None:
    if pacs == "orthanc":
        require_tool("Orthanc")
    chosen = ("--scenario", "three views", "--scenario", "arrives late", "--scenario", "UTF-8")
    code, summary, said = demonstrate(tmp_path, "--pacs", pacs, *chosen)
    assert code == 0, said
    counts = summary["counts"]
    assert (counts["sent"], counts["read"], counts["not_read"]) == (3, 2, 1)
    assert (counts["lost"], counts["doubled"], counts["delivered"]) == (0, 0, 12)
    rows = {row["name"]: row for row in summary["exams"]}
    late = next(row for name, row in rows.items() if "late" in name)
    assert (late["revision"], late["objects"]) == (2, 6)
    not_read = next(row for name, row in rows.items() if "three views" in name)
    assert not_read["category"] == "NOT_READ"
    assert not_read["reasons"] == ["not all four standard views are readable: L MLO"]
    assert all(row["turnaround_s"] > 0 for row in rows.values())
    received = [dcmread(path) for path in (tmp_path / "demo-out" / "pacs").glob("*.dcm")]
    assert len(received) == 12
    assert {dataset.SOPClassUID for dataset in received} == KINDS
    with Image.open(tmp_path / "demo-out" / "card.png") as card:
        assert card.size == (2048, 1536)
    for word in ("NOT READ", "0 lost, 0 doubled", *rows):
        assert word[:20] in said, f"'{word}' is not in the table"


def test_a_second_demonstration_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "demo-out" / "pacs").mkdir(parents=True)
    (tmp_path / "demo-out" / ".mammo-node-demo").touch()
    (tmp_path / "demo-out" / "pacs" / "earlier.dcm").touch()
    code, summary, said = demonstrate(tmp_path, "--pacs", "archive", "--scenario", "Latin-1")
    assert code == 0, said
    assert summary["counts"]["delivered"] == 3
    assert len(list((tmp_path / "demo-out" / "pacs").glob("*.dcm"))) == 3
