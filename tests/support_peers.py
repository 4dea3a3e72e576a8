"""Real peers as processes on loopback: Orthanc as the PACS."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.simulator.pacs import free_port, orthanc_configuration
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
    port, http_port = free_port(), free_port()
    configuration = orthanc_configuration(folder, port, http_port)
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with running(require_tool("Orthanc"), path, until="Orthanc has started"):
        yield Orthanc(port, f"http://127.0.0.1:{http_port}")
