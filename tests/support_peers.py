"""Real peers as processes on loopback: Orthanc as the PACS."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from node.simulator.pacs import free_port, orthanc_configuration
from tests.support import absent, require_tool, running
from tests.support_exams import as_file

_DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc: DICOM at `port` (AE title ORTHANC), REST at `http`, DICOMweb where it was asked for."""

    port: int
    http: str

    @property
    def dicomweb(self) -> str:
        return f"{self.http}/dicom-web"

    def put(self, content: bytes) -> None:
        """Store a DICOM file."""
        request = urllib.request.Request(f"{self.http}/instances", data=content, method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.http + path, timeout=10) as answer:
            content = answer.read()
        return content if path.endswith("/file") else json.loads(content)

    def instances(self) -> list[dict[str, Any]]:
        """Simplified tags of every instance it holds."""
        return [self.get(f"/instances/{instance}/simplified-tags") for instance in self.get("/instances")]

    def files(self) -> Iterator[bytes]:
        for instance in self.get("/instances"):
            yield self.get(f"/instances/{instance}/file")


@contextmanager
def orthanc(folder: Path, *, http_port: int = 0, dicomweb: bool = False, **options: object) -> Iterator[Orthanc]:
    """Orthanc on two free ports of loopback, with its storage below `folder`; ends with the block.

    options: of its configuration.
    """
    port, http_port = free_port(), http_port or free_port()
    configuration = orthanc_configuration(folder, port, http_port) | options
    if dicomweb:
        if not _DICOMWEB_PLUGIN.exists():
            absent("Orthanc's DICOMweb plugin is not installed: apt-get install orthanc-dicomweb")
        configuration |= {"Plugins": [str(_DICOMWEB_PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with running(require_tool("Orthanc"), path, until="Orthanc has started"):
        yield Orthanc(port, f"http://127.0.0.1:{http_port}")


def dcmsend(files: Iterable[Path], port: int) -> None:
    """Send files to the node at `port` with dcmtk; every one must be taken."""
    command = [require_tool("dcmsend"), "-aec", "MAMMO_NODE", "127.0.0.1", str(port)]
    subprocess.run([*command, *files], check=True, timeout=60)


def sent(datasets: Iterable[Dataset], folder: Path, port: int) -> None:
    """Write data sets as files into `folder`, and `dcmsend` them."""
    files = {folder / f"{dataset.SOPInstanceUID}.dcm": dataset for dataset in datasets}
    for path, dataset in files.items():
        path.write_bytes(as_file(dataset))
    dcmsend(files, port)
