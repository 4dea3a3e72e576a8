"""`kill -9` at every boundary between durable steps: nothing lost, nothing doubled, nothing stuck, at a real PACS.

The long form, with as many kills as wanted, is benchmarks/kills.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.simulator.pacs import free_port
from storage.outbox import Outbox
from storage.records import StudyState
from tests.support import running, wait_until
from tests.support_exams import STUDY
from tests.support_kills import (
    LAUNCHER,
    Rig,
    counted,
    files_of,
    index_of,
    known,
    points,
    reader_pid,
    send_until_answered,
    write_config,
)
from tests.support_peers import orthanc
from tests.support_proxy import failing_proxy


def test_every_boundary_alone_and_with_its_children_while_deliveries_fail(tmp_path: Path) -> None:
    at = free_port()
    with orthanc(tmp_path, DicomModalities=known({"1": at})) as pacs, failing_proxy(pacs.port) as proxy:
        rig = Rig(tmp_path / "node", pacs, proxy.port, port=at)
        for number, point in enumerate(points()):
            rig.life(point, group=bool(number % 2))
        rig.life(after_s=0.5)
        counts = rig.settle()
    print(f"{counts}, {proxy.cuts} connections to the PACS cut")
    assert proxy.cuts > 0
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)


def test_a_reader_that_is_killed_once_reads_the_exam_after_all(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        config = write_config(tmp_path, pacs.port)
        with running(sys.executable, LAUNCHER, config, until="serving ") as node:
            os.kill(reader_pid(node), signal.SIGKILL)
            port = int(node.wait_for_line("serving ").split()[1])
            assert send_until_answered(node, port, files_of(tmp_path, STUDY)) == []
            index, database = index_of(tmp_path)
            outbox = Outbox(database)
            wait_until(lambda: index.studies([StudyState.ANSWERED]), 60, "the exam to be answered")
            assert outbox.reading(STUDY).category != "NOT_READ"
            database.engine.dispose()


def test_sigterm_stops_within_ten_seconds_also_while_reading(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        config = write_config(tmp_path, pacs.port)
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
            index, database = index_of(tmp_path)
            wait_until(lambda: index.studies([StudyState.ANSWERED]), 60, "the exam to be answered after the restart")
            database.engine.dispose()
        assert counted(pacs, [STUDY]) == (0, 0)
