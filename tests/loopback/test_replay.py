"""A stored exam read again: after a restart, in a batch or alone, on any number of threads and any device at hand, it
has the same band and, within 1e-4, the same score.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ai.device import at_hand
from tests.support_exams import as_file
from tests.support_screening import round_of

STUDIES = 3
_ALONE = {"device": "cpu", "threads": 1, "batch": 1, "prefetch": 0}
_TOGETHER = {"threads": 2, "batch": STUDIES, "batch_wait_ms": 1000, "prefetch": STUDIES}


def read(folder: Path, **reading: object) -> dict[str, dict[str, Any]]:
    """`mammo-node read` of the folder's exams, in a process of its own: study → reading."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"reading": reading}))
    command = [sys.executable, "-m", "node.cli", "read", "--config", str(config), "--json", str(folder / "exams")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return {each["study_instance_uid"]: each["reading"] for each in json.loads(done.stdout)}


def test_a_stored_exam_read_again_has_the_same_band_and_score(tmp_path: Path) -> None:
    (tmp_path / "exams").mkdir()
    for number in range(STUDIES):
        for dataset in round_of(20 * number, "20260302"):
            (tmp_path / "exams" / f"{dataset.SOPInstanceUID}.dcm").write_bytes(as_file(dataset))
    first = read(tmp_path, **_ALONE)
    assert len({each["score"] for each in first.values()}) > 1, "the exams ought to differ"
    for device in at_hand():
        again = read(tmp_path, device=device, **_TOGETHER)
        assert list(again) == list(first)
        for study, reading in again.items():
            wanted = first[study]
            assert reading["device"] == device
            assert reading["band"] == wanted["band"], study
            assert abs(reading["score"] - wanted["score"]) <= 1e-4, f"{study} on {device}"
            assert [each["pixel_sha256"] for each in reading["inputs"]] == [
                each["pixel_sha256"] for each in wanted["inputs"]
            ]
