"""Helpers of the tests: outside tools, shared data, processes, waiting. Nothing here sleeps a fixed time."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseServer

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

#: The SR validator is a short-lived Java program: without the optimising compiler it takes half the time.
JUDGES_ENV = {**os.environ, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
#: Debian package of each outside tool.
PACKAGES = {
    "dciodvfy": "dicom3tools",
    "dcentvfy": "dicom3tools",
    "Orthanc": "orthanc",
    "java": "default-jre-headless",
    "tshark": "tshark",
    "ip": "iproute2",
    "Rscript": "r-base-core",
    "rsyslogd": "rsyslog rsyslog-openssl",
}
DCMTK = (
    "dcmdump dcmconv dcmdjpeg dcmcjpeg dcmqrscp dcmsend dsrdump dump2dcm echoscu findscu getscu img2dcm movescu "
    "storescp storescu termscu wlmscpfs dcm2pnm dcmpschk dcmp2pgm"
)
PACKAGES.update(dict.fromkeys(DCMTK.split(), "dcmtk"))


def absent(what: str) -> None:
    """Skip the test because something outside the repository is missing; on CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"CI runs every test, but {what}", pytrace=False)
    pytest.skip(what)


def require_tool(name: str) -> str:
    """Path of an outside program; without it the test is skipped with the command that installs it.

    The environment's own folder is not searched: pynetdicom puts programs of dcmtk's names there.
    """
    folders = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != Path(sys.executable).parent]
    path = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin"]))
    if path is None:
        absent(f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}")
    return str(path)


def require_r_package(name: str) -> None:
    """Skip the test, with the command that installs it, where R has no such package."""
    command = [require_tool("Rscript"), "--vanilla", "-e", f"library({name})"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode != 0:
        absent(f"R has no package {name}: apt-get install r-cran-{name.casefold()}")


def shared_data(folder: str) -> Path:
    """A folder of the data set that stands beside the repository, e.g. "density"."""
    path = SHARED_DATA / folder
    if not path.is_dir():
        absent(f"the test data ../shared/data/{folder} is not beside the repository")
    return path


def wait_until(predicate: Callable[[], object], timeout_s: float, what: str) -> None:
    """Return once `predicate` holds; after `timeout_s` the test fails and says what it waited for."""
    end = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout_s:g} s in vain: {what}", pytrace=False)
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether something takes connections at this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Answer requests for the length of the block, in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Process:
    """A running program whose output is read as it comes. `lines` holds it so far, stdout and stderr together."""

    def __init__(
        self, command: Sequence[str | Path], env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.command = [str(part) for part in command]
        self.lines: list[str] = []
        self.popen = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for_line(self, part: str, timeout_s: float = 90) -> str:
        """The first line that contains `part`; fails, with the output, when there is none in time."""
        end = time.monotonic() + timeout_s
        while True:
            ended = self.popen.poll() is not None and not self._reader.is_alive()
            found = next((line for line in list(self.lines) if part in line), None)
            if found is not None:
                return found
            if ended or time.monotonic() > end:
                why = f"ended with {self.popen.returncode}" if ended else f"said nothing of it in {timeout_s:g} s"
                pytest.fail(f"{self.command[0]} {why}; waited for '{part}'; it printed:\n{self.output}", pytrace=False)
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the program alone, as a crash would be."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, timeout_s: float = 10) -> int:
        """SIGTERM, then SIGKILL to it and the processes it started. Returns the exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        # the session is its own, so nothing but its children can be in this group
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        status = self.popen.wait(10)
        self._reader.join(5)
        if self.popen.stdout:
            self.popen.stdout.close()
        return status

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line)


@contextmanager
def running(
    *command: str | Path, until: str | None = None, env: dict[str, str] | None = None, timeout_s: float = 30
) -> Iterator[Process]:
    """A program that runs for the length of the `with` block and never longer.

    until: text of the line that says it is ready.
    """
    process = Process(command, env)
    try:
        if until is not None:
            process.wait_for_line(until, timeout_s)
        yield process
    finally:
        process.stop()
