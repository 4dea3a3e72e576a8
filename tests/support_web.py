"""The node's web side on a real socket of loopback, without a reader; what is put in goes through the intake."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

from node.app import Node
from node.config import Config
from node.intake import Incoming
from node.part10 import envelope
from tests.support_exams import as_file, settings, view

EXPLICIT = str(ExplicitVRLittleEndian)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass
class Web:
    """A node of which only the web side was started."""

    node: Node
    folder: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.node.web.port}/dicom-web"

    @property
    def client(self) -> DICOMwebClient:
        return DICOMwebClient(self.base)

    def put(self, *datasets: Dataset) -> None:
        """Through the intake, as from a modality."""
        for dataset in datasets:
            file = memoryview(as_file(dataset))
            found = envelope(file)
            self.node.intake.accept(
                Incoming(
                    encoded=file[found.offset :],
                    transfer_syntax_uid=found.transfer_syntax_uid,
                    sop_class_uid=found.sop_class_uid,
                    sop_instance_uid=found.sop_instance_uid,
                    calling_ae_title="MODALITY",
                )
            )

    def get(self, path: str, accept: str | None = None, **headers: str) -> Answer:
        return self.ask("GET", path, accept, **headers)

    def ask(
        self, method: str, path: str, accept: str | None = None, data: bytes | None = None, **headers: str
    ) -> Answer:
        """A request whose failure is an answer like any other. Header names have _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            named["Accept"] = accept
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, data, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


@contextmanager
def web(folder: Path, **sections: object) -> Iterator[Web]:
    """Serving for the length of the block."""
    config: Config = settings(folder, **{"web": {"port": 0}, **sections})
    node = Node(config)
    node.database.create_schema()
    node.web.start()
    try:
        yield Web(node, folder)
    finally:
        node.stop()


def path_of(dataset: Dataset) -> str:
    """The instance's path below the base."""
    return f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def compressed(dataset: Dataset, syntax: str, encode: Callable[[np.ndarray], bytes]) -> Dataset:
    """The one-frame image in another syntax."""
    values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encode(values)])
    dataset["PixelData"].VR = "OB"
    return dataset


def multi_frame(frames: int = 4, **elements: object) -> Dataset:
    """A small image of several frames, each with values of its own."""
    dataset = view(Rows=24, Columns=32, NumberOfFrames=frames, **elements)
    dataset.PixelData = frames_of(frames).tobytes()
    return dataset


def frames_of(frames: int = 4) -> np.ndarray:
    """Their values: frames × 24 × 32."""
    number, row, column = np.mgrid[:frames, :24, :32]
    return ((number * 997 + row * 37 + column * 11) % 4096).astype("<u2")
