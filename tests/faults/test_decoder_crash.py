"""An exam that crashes its process every time, with a real SIGSEGV in a decoder: it is answered as not read, and the
exams that were in the process with it are read.
"""

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
NEIGHBOURS = [f"{STUDY}.{number}" for number in (77, 78, 79)]


def write_config(folder: Path) -> Path:
    settings = {
        "node": {"port": 0},
        "destinations": {"results": {"type": "folder", "folder": "results", "results": ["measurement_sr"]}},
        "completeness": {"quiet_s": 3, "standard_views_grace_s": 0},
        "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
        "reading": {"threads": 1, "max_attempts": 2, "prefetch": 3},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def write(folder: Path, study: str, *, compressed: bool) -> list[Path]:
    files = []
    for dataset in exam(study=study):
        if compressed:
            set_pixels(dataset, dataset.pixel_array, JPEGLSLossless)  # type: ignore[arg-type]
        files.append(folder / f"{dataset.SOPInstanceUID}.dcm")
        files[-1].write_bytes(as_file(dataset))
    return files


def send(files: list[Path], port: int, *syntax: str) -> None:
    command = [require_tool("storescu"), *syntax, "-aec", "MAMMO_NODE", "127.0.0.1", str(port), *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_crash_costs_the_exam_that_makes_it_and_no_other(tmp_path: Path) -> None:
    poison = write(tmp_path, STUDY, compressed=True)
    others = [path for study in NEIGHBOURS for path in write(tmp_path, study, compressed=False)]
    environment = {"PYTHONPATH": str(CRASHING)}
    with running(sys.executable, LAUNCHER, write_config(tmp_path), until="serving ", env=environment) as node:
        port = int(node.wait_for_line("serving ").split()[1])
        database = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
        index, outbox = Index(database), Outbox(database)
        send(others, port)
        send(poison, port, "-xt")
        wait_until(lambda: len(index.studies([StudyState.ANSWERED])) == 4, 120, f"the answers:\n{node.output}")

        reading = outbox.reading(STUDY)
        assert reading is not None
        assert (reading.category, ReasonCode.READER_FAILED in reading.reading_json) == ("NOT_READ", True)
        history = [event.text for event in index.events(STUDY)]
        assert [(count.code, count.unread) for count in Refusals(database).counts()] == [("READER_FAILED", 1)]
        died = f"the reading process ended with exit code -{signal.SIGSEGV.value}"
        assert sum(died in text for text in history) == 2, "\n".join(history)

        for study in NEIGHBOURS:
            beside = outbox.reading(study)
            assert beside is not None
            assert beside.category != "NOT_READ"
            failed = [event.text for event in index.events(study) if "failed" in event.text]
            assert failed == [], "an exam was blamed for its neighbour"
        assert node.popen.poll() is None, "the node itself must not have noticed"
        database.engine.dispose()
        assert node.stop() == 0
