"""Real reading processes that are killed, hang or run out of memory: no exam pays for another, and none is lost."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from ai.exam import Exam
from ai.findings import Category, ReadOutcome
from ai.reasons import ReasonCode
from ai.request import ReadRequest
from node.errors import ReaderDied, ReaderStopped
from node.reader import Reader
from tests.support import wait_until
from tests.support_exams import STUDY, as_file, exam, settings
from tests.support_screening import screening_config, screening_node

ROOM = 4


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[ReadRequest]:
    folder = tmp_path_factory.mktemp("exams")
    return [write(folder, f"{STUDY}.{number}") for number in range(ROOM)]


def write(folder: Path, study: str, repeat: int = 1) -> ReadRequest:
    """An exam on disk; `repeat` times as high and wide as usual."""
    datasets = exam(study)
    for each in datasets:
        values = each.pixel_array.repeat(repeat, axis=0).repeat(repeat, axis=1)
        each.Rows, each.Columns = values.shape
        each.PixelData = values.tobytes()
    files = {str(each.SOPInstanceUID): folder / f"{each.SOPInstanceUID}.dcm" for each in datasets}
    for each in datasets:
        files[str(each.SOPInstanceUID)].write_bytes(as_file(each))
    return ReadRequest(Exam.from_datasets(datasets), files, 1)


@contextmanager
def serving(folder: Path, **reading: object) -> Iterator[Reader]:
    reader = Reader(settings(folder, reading={"threads": 1, "prefetch": ROOM - 1, **reading}).reading)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


def ask(reader: Reader, pool: ThreadPoolExecutor, requests: Sequence[ReadRequest]) -> list[Future[ReadOutcome]]:
    """Ask for all of them at once, of a reader whose children are stopped; returns when the children hold them."""
    for pid in reader.pids:
        os.kill(pid, signal.SIGSTOP)
    asked = [pool.submit(reader.read, each.exam, each.files, each.revision) for each in requests]
    wait_until(lambda: reader.held == len(requests), 30, "the exams to be with the children")
    return asked


def test_a_process_that_is_killed_costs_no_exam_but_one_that_it_read_alone(
    tmp_path: Path, requests: list[ReadRequest]
) -> None:
    with serving(tmp_path) as reader, ThreadPoolExecutor(ROOM) as pool:
        (first,) = reader.pids
        asked = ask(reader, pool, requests)
        os.kill(first, signal.SIGKILL)
        read = [each.result(120).reading for each in asked]
        assert [each.study_instance_uid for each in read] == [each.exam.study_instance_uid for each in requests]
        assert all(each.category is not Category.NOT_READ for each in read)
        assert reader.pids != [first]

        (alone,) = ask(reader, pool, requests[:1])
        os.kill(reader.pids[0], signal.SIGKILL)
        with pytest.raises(ReaderDied, match="exit code -9"):
            alone.result(60)
        assert reader.read(requests[0].exam, requests[0].files, 1, alone=True).reading.score is not None

        (stopped,) = ask(reader, pool, requests[:1])
        reader.stop()
        with pytest.raises(ReaderStopped):
            stopped.result(10)


def test_a_process_that_hangs_is_ended(tmp_path: Path, requests: list[ReadRequest]) -> None:
    with serving(tmp_path, timeout_s=1) as reader, ThreadPoolExecutor(ROOM) as pool:
        (asked,) = ask(reader, pool, requests[:1])
        with pytest.raises(ReaderDied, match=r"no answer within reading\.timeout_s, 1 s"):
            asked.result(60)
        assert reader.pids == []


def test_each_device_has_its_process_and_reads_on_when_another_ones_dies(
    tmp_path: Path, requests: list[ReadRequest]
) -> None:
    with serving(tmp_path, device=["cpu", "cpu"], prefetch=1) as reader, ThreadPoolExecutor(ROOM) as pool:
        first, second = reader.pids
        asked = ask(reader, pool, requests)
        os.kill(second, signal.SIGCONT)
        wait_until(lambda: sum(each.done() for each in asked) == 2, 60, "the living process to read its two exams")
        os.kill(first, signal.SIGKILL)
        assert all(each.result(120).reading.score is not None for each in asked)
        assert second in reader.pids


# --- out of memory, by a real limit on the process's memory


def limit_memory(pid: int, more_bytes: int | None) -> None:
    """Allow the process so much more memory than it has, or as much as there is."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    soft = resource.RLIM_INFINITY if more_bytes is None else pages * resource.getpagesize() + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


def test_an_exam_without_memory_is_not_read_and_says_so_and_the_process_reads_on(tmp_path: Path) -> None:
    large, small = write(tmp_path, f"{STUDY}.1", repeat=6), write(tmp_path, f"{STUDY}.2")
    with screening_node(screening_config(tmp_path, threads=1, max_attempts=2), tmp_path) as screening:
        (pid,) = screening.node.readers.of([]).pids
        limit_memory(pid, 32 << 20)
        unread = screening.read(*map(dcmread, large.files.values()))
        assert unread.category is Category.NOT_READ
        assert [reason.code for reason in unread.reasons] == [ReasonCode.OUT_OF_MEMORY]
        failed = [event.text for event in screening.node.index.events(f"{STUDY}.1") if "failed" in event.text]
        assert len(failed) == 1, "the last of two attempts is answered"
        assert "ReaderOutOfMemory" in failed[0]
        assert screening.read(*map(dcmread, small.files.values())).score is not None
        limit_memory(pid, None)
        screening.node.orders.requeue(f"{STUDY}.1", read=True)

        def read_again() -> bool:
            stored = screening.node.outbox.reading(f"{STUDY}.1")
            return stored is not None and stored.category != Category.NOT_READ

        wait_until(read_again, 120, "the exam to be read with enough memory")
        assert screening.node.readers.of([]).pids == [pid]
