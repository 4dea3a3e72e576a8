"""Real peers as processes on loopback: Orthanc as the PACS."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import require_tool, running


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc: DICOM at `port` (AE title ORTHANC), REST at `http`."""

    port: int
    http: str

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
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Orthanc on two free ports of loopback, with its storage below `folder`; ends with the block."""
    port, http_port = _free_port(), _free_port()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "OverwriteInstances": False,
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with running(require_tool("Orthanc"), path, until="Orthanc has started"):
        yield Orthanc(port, f"http://127.0.0.1:{http_port}")


def _free_port() -> int:
    """Orthanc cannot tell which port it chose, so one is chosen for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
