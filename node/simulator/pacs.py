"""A PACS to send results to: Orthanc where it is installed, else this project's small archive.

Whatever comes in is fetched, as the PACS gives it out, into a folder; when it was first seen there is noted.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.dimse.archive import Archive
from node.settings import Peer
from node.simulator.processes import running

#: The one that may send to the PACS.
NODE_AE_TITLE = "MAMMO_NODE"

_START_TIMEOUT_S = 30.0
_PAGE = 100
#: Where distributions put servers is not on everybody's PATH.
_FOLDERS = "/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that the PACS has: its file, its data set without pixels, and when it was seen (time.monotonic)."""

    path: Path
    header: Dataset
    seen_at: float


class Pacs(Protocol):
    """A running PACS. doubled: SOP Instance UIDs that came more than once, where the PACS can tell."""

    name: str
    how: str
    peer: Peer

    def arrivals(self) -> list[Arrival]:
        """What has come since the last call, each object once."""

    def doubled(self) -> list[str]: ...


def orthanc_program() -> str | None:
    """Path of the Orthanc server, where it is installed."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path=_FOLDERS)


class OrthancPacs:
    """Orthanc: asked for its changes over REST."""

    def __init__(self, http: str, port: int, received: Path) -> None:
        self._http = http
        self._received = received
        self._seen = 0
        # nothing on this machine goes through a proxy
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.peer = Peer(ae_title="ORTHANC", host="127.0.0.1", port=port)
        self.name = f"Orthanc {self._json('/system')['Version']}"
        self.how = "Orthanc's list of changes (REST)"

    def arrivals(self) -> list[Arrival]:
        """See `Pacs`."""
        found = []
        while True:
            page = self._json(f"/changes?since={self._seen}&limit={_PAGE}")
            now = time.monotonic()
            new = [change["ID"] for change in page["Changes"] if change["ChangeType"] == "NewInstance"]
            found += [self._fetched(identifier, now) for identifier in new]
            self._seen = page["Last"]
            if page["Done"]:
                return found

    def doubled(self) -> list[str]:
        """See `Pacs`. Orthanc keeps one object per SOP Instance UID."""
        return []

    def _fetched(self, identifier: str, seen_at: float) -> Arrival:
        content = self._get(f"/instances/{identifier}/file")
        arriving = self._received / f".{identifier}.part"
        arriving.write_bytes(content)
        header = dcmread(arriving, stop_before_pixels=True)
        return Arrival(arriving.replace(self._received / f"{header.SOPInstanceUID}.dcm"), header, seen_at)

    def _json(self, path: str) -> Any:
        return json.loads(self._get(path))

    def _get(self, path: str) -> bytes:
        with self._opener.open(self._http + path, timeout=30) as answer:
            content: bytes = answer.read()
        return content


class ArchivePacs:
    """This project's archive: its folder is looked at."""

    def __init__(self, archive: Archive, received: Path) -> None:
        self._archive = archive
        self._received = received
        self._seen: set[Path] = set()
        self.peer = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)
        self.name = "mammo-node's archive"
        self.how = "the archive's folder"

    def arrivals(self) -> list[Arrival]:
        """See `Pacs`."""
        now = time.monotonic()
        new = [path for path in sorted(self._received.glob("[!.]*.dcm")) if path not in self._seen]
        self._seen.update(new)
        return [Arrival(path, dcmread(path, stop_before_pixels=True), now) for path in new]

    def doubled(self) -> list[str]:
        """See `Pacs`."""
        return [uid for uid, count in self._archive.received.items() if count > 1]


@contextmanager
def orthanc(program: str, received: Path, work: Path) -> Iterator[Pacs]:
    """Orthanc on two free ports of loopback; its storage and log are in `work`, what it receives in `received`."""
    port, http_port = free_port(), free_port()
    path = work / "orthanc.json"
    path.write_text(json.dumps(orthanc_configuration(work, port, http_port), indent=1))
    received.mkdir(parents=True, exist_ok=True)
    with running([program, path], work / "orthanc.log") as server:
        server.wait_for("Orthanc has started", _START_TIMEOUT_S)
        yield OrthancPacs(f"http://127.0.0.1:{http_port}", port, received)


@contextmanager
def archive(received: Path) -> Iterator[Pacs]:
    """The archive at a free port, in this process; what it receives is in `received`."""
    server = Archive(received, "ARCHIVE")
    server.start()
    try:
        yield ArchivePacs(server, received)
    finally:
        server.stop()


def orthanc_configuration(work: Path, port: int, http_port: int) -> dict[str, Any]:
    """Orthanc's settings: nobody but a node on this machine may store or echo; REST on loopback."""
    return {
        "Name": "demonstration",
        "StorageDirectory": str(work / "orthanc"),
        "IndexDirectory": str(work / "orthanc"),
        "StorageCompression": False,
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "DicomCheckCalledAet": True,
        # it listens on every address, so callers are checked by theirs
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomCheckModalityHost": True,
        "DicomModalities": {"node": {"AET": NODE_AE_TITLE, "Host": "127.0.0.1", "Port": 104}},
        "OverwriteInstances": False,
        "HttpPort": http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }


def free_port() -> int:
    """Orthanc cannot tell which port it chose, so one is chosen for it.

    Below the ports that systems give to connections going out (RFC 6335 and Linux's own range): one of those may be
    taken again before its program listens.
    """
    for port in random.sample(range(10_000, 30_000), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("none of a thousand ports between 10000 and 30000 is free on 127.0.0.1")
