"""Large studies stream: the node's memory stays flat, in and out. Measured on a process of its own."""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from tests.support import REPOSITORY, Process, running
from tests.support_exams import STUDY, as_file, view

ROWS, COLUMNS, IMAGES = 4096, 4096, 8  # 34 MB each, 268 MB together
IMAGE_BYTES = ROWS * COLUMNS * 2
COMPRESSED = f"{STUDY}.2"
#: What may be in memory beside what is there anyway: an image on its way in (mapped, not read), buffers.
ALLOWED_GROWTH = 2 * IMAGE_BYTES
BOUNDARY = b"large"


def large(number: int) -> Dataset:
    dataset = view(number, Rows=ROWS, Columns=COLUMNS)
    dataset.PixelData = np.full(ROWS * COLUMNS, number, "<u2").tobytes()
    return dataset


def many_frames() -> Dataset:
    dataset = view(1, study=COMPRESSED, Rows=ROWS, Columns=COLUMNS, NumberOfFrames=IMAGES)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    frame = imagecodecs.jpegls_encode(np.full((ROWS, COLUMNS), 7, np.uint16))
    dataset.PixelData = encapsulate([frame] * IMAGES)
    dataset["PixelData"].VR = "OB"
    return dataset


class Server:
    """The process and how much memory it has ever had."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.port = int(process.wait_for_line("serving").split()[1])

    @property
    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def get(self, path: str, accept: str) -> tuple[int, int]:
        """Status and how many bytes the body has; they are not kept."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
        answer = connection.getresponse()
        size = 0
        while chunk := answer.read(1 << 20):
            size += len(chunk)
        connection.close()
        return answer.status, size

    def post(self, *datasets: Dataset) -> int:
        """In one chunked request, made as it is sent."""

        def body() -> Iterator[bytes]:
            for dataset in datasets:
                yield b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + as_file(dataset) + b"\r\n"
            yield b"--" + BOUNDARY + b"--\r\n"

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        content_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY.decode()}'
        connection.request("POST", "/dicom-web/studies", body(), {"Content-Type": content_type})
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    launcher = Path(__file__).with_name("web_under_test.py")
    folder = tmp_path_factory.mktemp("memory")
    env = {"PYTHONPATH": str(REPOSITORY)}
    with running(sys.executable, launcher, folder, until="serving", env=env) as process:
        server = Server(process)
        assert server.post(view(1, study=f"{STUDY}.1")) == 200  # whatever is loaded at the first request is there
        assert server.get(f"/studies/{STUDY}.1", "*/*")[0] == 200
        yield server


def test_a_large_study_goes_in_and_out_and_memory_stays_flat(server: Server) -> None:
    before = server.peak_bytes
    assert server.post(*(large(number) for number in range(1, IMAGES + 1))) == 200
    stored = server.peak_bytes
    status, size = server.get(f"/studies/{STUDY}", 'multipart/related; type="application/dicom"; transfer-syntax=*')
    assert (status, size > IMAGES * IMAGE_BYTES) == (200, True)
    retrieved = server.peak_bytes
    print(f"storing {(stored - before) / 1e6:.0f} MB, retrieving {(retrieved - stored) / 1e6:.0f} MB")
    assert stored - before < ALLOWED_GROWTH, f"storing took {(stored - before) / 1e6:.0f} MB"
    assert retrieved - stored < 20_000_000, f"retrieving took {(retrieved - stored) / 1e6:.0f} MB"


def test_frames_are_decoded_one_after_the_other(server: Server) -> None:
    assert server.post(many_frames()) == 200
    before = server.peak_bytes
    instance = f"/studies/{COMPRESSED}/series/{COMPRESSED}.0/instances/{COMPRESSED}.1"
    status, size = server.get(instance, "application/dicom")
    assert (status, size > IMAGES * IMAGE_BYTES) == (200, True)
    grown = server.peak_bytes - before
    print(f"decoding {grown / 1e6:.0f} MB")
    assert grown < 20_000_000, f"decoding {IMAGES} frames took {grown / 1e6:.0f} MB"
