"""rsyslog as the server that audit messages are sent to, on loopback."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import Process, listens, require_tool, running, wait_until
from tests.support_audit import Message

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k" {tls})
module(load="{module}" {mode})
template(name="told" type="string" string="%pri% %protocol-version% %app-name% %msgid% %structured-data% %msg%\\n")
ruleset(name="audit") {{ action(type="omfile" file="{folder}/received" template="told") }}
input(type="{module}" port="{port}" address="127.0.0.1" ruleset="audit")
"""
_LINE = re.compile(r'(\d+) 1 mammo-node DICOM\+RFC3881 \[meta sequenceId="(\d+)"\] (.*)')


@dataclass(frozen=True)
class Received:
    """A message as rsyslog understood it."""

    priority: int
    sequence: int
    message: Message


@dataclass(frozen=True)
class Rsyslog:
    """A running rsyslogd, and what it received."""

    port: int
    folder: Path
    process: Process

    def received(self) -> list[Received]:
        file = self.folder / "received"
        found = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
            parts = _LINE.fullmatch(line)
            assert parts is not None, line
            message = Message.of(parts[3].removeprefix(_BOM))
            found.append(Received(int(parts[1]), int(parts[2]), message))
        return found


def certificates(folder: Path, *names: str) -> None:
    """Self-signed ones, for 127.0.0.1, as NAME.pem and NAME.key."""
    for name in names:
        command = [require_tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        subject = ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, *files, *subject], check=True, capture_output=True, timeout=60)


@contextmanager
def rsyslog(folder: Path, port: int, transport: str, pki: Path | None = None) -> Iterator[Rsyslog]:
    """rsyslogd with `folder` for itself. pki: folder of `server` and of `node`, whose certificate it asks for."""
    folder.mkdir(exist_ok=True)
    tls = mode = ""
    if pki is not None:
        (folder / "trusted.pem").write_text((pki / "server.pem").read_text() + (pki / "node.pem").read_text())
        tls = (
            f'defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{folder}/trusted.pem" '
            f'defaultNetstreamDriverCertFile="{pki}/server.pem" defaultNetstreamDriverKeyFile="{pki}/server.key"'
        )
        mode = 'streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid"'
    module = "imudp" if transport == "udp" else "imtcp"
    config = folder / "rsyslog.conf"
    config.write_text(_CONFIG.format(folder=folder, tls=tls, mode=mode, module=module, port=port))
    daemon = [require_tool("rsyslogd"), "-n", "-f", config, "-i", folder / "pid"]
    with running(*daemon) as process:
        if transport != "udp":
            wait_until(lambda: listens(port), 20, f"rsyslogd to listen\n{process.output}")
        yield Rsyslog(port, folder, process)
