"""A decoder that crashes its process, with a real SIGSEGV: the exam is answered as not read, the node goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import yaml
from pydicom.uid import JPEGLSLossless

from ai.phantom.encoding import set_pixels
from ai.reasons import ReasonCode
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import StudyState
from storage.refusals import Refusals
from storage.schema import make_engine
from tests.support import require_tool, running, wait_until
from tests.support_exams import STUDY, as_file, exam

LAUNCHER = Path(__file__).with_name("node_under_test.py")
CRASHING = Path(__file__).with_name("crashing_decoder")
SECOND = f"{STUDY}.77"


def write_config(folder: Path) -> Path:
    settings = {
        "node": {"port": 0},
        "destinations": {"results": {"type": "folder", "folder": "results", "results": ["measurement_sr"]}},
        "completeness": {"quiet_s": 3, "standard_views_grace_s": 0.1},
        "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
        "reading": {"threads": 1, "max_attempts": 2},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def send(folder: Path, study: str, port: int, *, compressed: bool) -> None:
    files = []
    for dataset in exam(study=study):
        if compressed:
            set_pixels(dataset, dataset.pixel_array, JPEGLSLossless)  # type: ignore[arg-type]
        files.append(folder / f"{dataset.SOPInstanceUID}.dcm")
        files[-1].write_bytes(as_file(dataset))
    syntax = ["-xt"] if compressed else []
    command = [require_tool("storescu"), *syntax, "-aec", "MAMMO_NODE", "127.0.0.1", str(port), *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_crash_while_decoding_costs_that_exam_alone(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(CRASHING)}
    with running(sys.executable, LAUNCHER, write_config(tmp_path), until="serving ", env=environment) as node:
        port = int(node.wait_for_line("serving ").split()[1])
        database = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
        index, outbox = Index(database), Outbox(database)
        send(tmp_path, STUDY, port, compressed=True)
        wait_until(lambda: index.studies([StudyState.ANSWERED]), 90, f"the exam to be answered:\n{node.output}")
        reading = outbox.reading(STUDY)
        assert reading is not None
        assert (reading.category, ReasonCode.READER_FAILED in reading.reading_json) == ("NOT_READ", True)
        history = [event.text for event in index.events(STUDY)]
        counted = [(count.code, count.unread) for count in Refusals(database).counts()]
        assert counted == [("READER_FAILED", 1)]
        died = f"the reading process ended with exit code -{signal.SIGSEGV.value}"
        assert sum(died in text for text in history) == 2, "\n".join(history)

        send(tmp_path, SECOND, port, compressed=False)
        wait_until(lambda: len(index.studies([StudyState.ANSWERED])) == 2, 90, "the next exam to be answered")
        following = outbox.reading(SECOND)
        assert following is not None
        assert following.category != "NOT_READ"
        assert node.popen.poll() is None, "the node itself must not have noticed"
        database.engine.dispose()
        assert node.stop() == 0
