"""The receivers that `intake.py` compares, each a process on a free port of loopback for the length of a `with`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from node.simulator.pacs import free_port, orthanc_configuration

Receiver = Callable[[Path, int], AbstractContextManager[tuple[int, int]]]
_HERE = Path(__file__).parent


@contextmanager
def _running(command: list[str | Path], port: int) -> Iterator[tuple[int, int]]:
    """(port, process id) of a program that listens."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_HERE.parent,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        while not _listens(port):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}")
            time.sleep(0.02)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ours(folder: Path, _associations: int, *options: str) -> AbstractContextManager[tuple[int, int]]:
    """This node's receiver: file and index are synced before the answer."""
    port = free_port()
    return _running([sys.executable, _HERE / "_receiver.py", folder, str(port), *options], port)


def raw(folder: Path, _associations: int) -> AbstractContextManager[tuple[int, int]]:
    """Bytes to a file and fsync, and nothing else: the limit."""
    port = free_port()
    return _running([sys.executable, _HERE / "_raw.py", folder, str(port)], port)


def storescp(folder: Path, associations: int, *options: str) -> AbstractContextManager[tuple[int, int]]:
    """dcmtk's receiver, which syncs nothing. For associations beside each other it has to fork."""
    port = free_port()
    options = (*options, "--fork") if associations > 1 else options
    return _running([dcmtk("storescp"), *options, "-od", folder, str(port)], port)


def pynetdicom_app(folder: Path, _associations: int) -> AbstractContextManager[tuple[int, int]]:
    """pynetdicom's own storescp, which syncs nothing."""
    port = free_port()
    return _running([sys.executable, "-m", "pynetdicom", "storescp", str(port), "-q", "-od", folder], port)


def orthanc(folder: Path, _associations: int) -> AbstractContextManager[tuple[int, int]]:
    """Orthanc, which syncs its files (SyncStorageArea)."""
    port = free_port()
    path = folder / "orthanc.json"
    site = {"DicomAlwaysAllowStore": True, "DicomCheckCalledAet": False, "SyncStorageArea": True}
    path.write_text(json.dumps({**orthanc_configuration(folder, port, free_port()), **site}))
    return _running([shutil.which("Orthanc", path="/usr/sbin:/usr/bin") or "Orthanc", path], port)


def dcmtk(name: str) -> str:
    """pynetdicom puts programs of dcmtk's names into the environment's folder, which is not searched."""
    return shutil.which(name, path="/usr/local/bin:/usr/bin") or name


RECEIVERS: dict[str, Receiver] = {
    "raw TCP + fsync": raw,
    "ours": ours,
    "ours (stock)": lambda folder, associations: ours(folder, associations, "stock"),
    "storescp": storescp,
    "storescp +B -pdu 131072": lambda folder, associations: storescp(folder, associations, "+B", "-pdu", "131072"),
    "Orthanc (sync)": orthanc,
    "pynetdicom storescp": pynetdicom_app,
}
