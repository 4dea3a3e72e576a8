"""The audit trail on its way to a real rsyslogd: over TLS with certificates on both sides, over TCP and UDP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.audit import codes, events
from node.audit.auditor import Auditor
from node.audit.codes import Outcome
from node.audit.forwarding import Forwarder, position, waiting
from node.config import Config
from node.simulator.pacs import free_port
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_syslog import Rsyslog, certificates, rsyslog


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder, "server", "node", "stranger")
    return folder


def configured(folder: Path, port: int, **syslog: Any) -> Config:
    """A node that sends on to this port, and tries often."""
    return settings(folder, audit={"syslog": {"host": "127.0.0.1", "port": port, "retry_s": 0.2, **syslog}})


def over_tls(folder: Path, port: int, pki: Path, shown: str = "node", trusted: str = "server") -> Config:
    tls = {"ca_file": str(pki / f"{trusted}.pem"), "certificate_file": str(pki / f"{shown}.pem")}
    return configured(folder, port, timeout_s=2, tls={**tls, "key_file": str(pki / f"{shown}.key")})


@contextmanager
def forwarding(config: Config) -> Iterator[Auditor]:
    auditor = Auditor(config)
    forwarder = Forwarder(config.audit, auditor.trail)
    forwarder.start()
    try:
        yield auditor
    finally:
        forwarder.stop()


def tell(auditor: Auditor, *texts: str) -> None:
    for text in texts:
        alert = events.alert(auditor.here, codes.SOFTWARE_CONFIGURATION, text, about="mammo-node:test")
        auditor.tell(alert)


def texts(server: Rsyslog) -> list[str]:
    return [each.message.text for each in server.received()]


def arrives(server: Rsyslog, *expected: str) -> None:
    wait_until(lambda: set(expected) <= set(texts(server)), 20, f"{expected} at rsyslog; {server.process.output}")


def test_over_tls_in_order_and_whole(tmp_path: Path, pki: Path) -> None:
    port = free_port()
    config = over_tls(tmp_path, port, pki)
    with rsyslog(tmp_path / "rsyslog", port, "tls", pki) as server, forwarding(config) as auditor:
        tell(auditor, *(f"Sætherås {number}" for number in range(40)))
        failed = events.alert(auditor.here, codes.NODE_AUTHENTICATION, "x" * 1999, outcome=Outcome.SERIOUS)
        auditor.tell(failed)
        arrives(server, "x" * 1999)
        found = server.received()
    assert [each.message.text for each in found[:-1]] == [f"Sætherås {number}" for number in range(40)]
    assert [each.sequence for each in found] == list(range(1, 42))
    assert {each.priority for each in found[:-1]} == {85}
    assert found[-1].priority == 84
    assert waiting(config.audit, auditor.trail).records == 0


def test_while_the_server_is_down_messages_wait_also_over_a_restart_of_either(tmp_path: Path, pki: Path) -> None:
    port = free_port()
    config = over_tls(tmp_path, port, pki)
    with forwarding(config) as auditor:
        tell(auditor, "before there is a server")
    assert waiting(config.audit, auditor.trail).records == 1
    with forwarding(config) as auditor:
        with rsyslog(tmp_path / "rsyslog", port, "tls", pki) as server:
            arrives(server, "before there is a server")
            wait_until(lambda: position(auditor.trail).number == 1, 10, "it to be noted as sent")
        tell(auditor, "while it is down")
        wait_until(lambda: waiting(config.audit, auditor.trail).oldest_s > 0.5, 10, "it to be tried in vain")
        with rsyslog(tmp_path / "rsyslog", port, "tls", pki) as server:
            arrives(server, "while it is down")
            tell(auditor, "last words")
    with rsyslog(tmp_path / "rsyslog", port, "tls", pki) as server, forwarding(config):
        arrives(server, "before there is a server", "while it is down", "last words")
        wait_until(lambda: waiting(config.audit, auditor.trail).records == 0, 10, "nothing to be left")


@pytest.mark.parametrize(("shown", "trusted"), [("stranger", "server"), ("node", "stranger")])
def test_neither_side_takes_a_stranger(tmp_path: Path, pki: Path, shown: str, trusted: str) -> None:
    port = free_port()
    config = over_tls(tmp_path, port, pki, shown, trusted)
    with rsyslog(tmp_path / "rsyslog", port, "tls", pki) as server:
        with forwarding(config) as auditor:
            tell(auditor, "secret")
            wait_until(lambda: waiting(config.audit, auditor.trail).oldest_s > 1.5, 10, "some attempts")
        assert texts(server) == []
        assert waiting(config.audit, auditor.trail).records == 1, "what was not taken still waits"
        shutil.rmtree(auditor.trail.folder)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_unencrypted_where_that_is_said(tmp_path: Path, transport: str) -> None:
    port = free_port()
    config = configured(tmp_path, port, transport=transport)
    with rsyslog(tmp_path / "rsyslog", port, transport) as server, forwarding(config) as auditor:
        tell(auditor, "the first")  # over UDP it may come too early
        wait_until(lambda: waiting(config.audit, auditor.trail).records == 0, 10, "it to be sent")

        def again() -> bool:
            tell(auditor, "the second")
            return "the second" in texts(server)

        wait_until(again, 20, "rsyslog to have it")
