"""Associations that go out by TLS, to dcmtk's programs: profiles of BCP 195, certificates that are shown and judged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.config import config_from
from node.destinations import Outgoing
from node.dimse import query_scu, scu
from node.dimse.query_scp import MOVE
from node.errors import ConfigError, DeliveryError, RetriableDelivery
from node.settings import Peer, PeerTls
from node.simulator.pacs import free_port
from tests.support import Process, listens, require_tool, running, wait_until
from tests.support_exams import STUDY, as_file, view
from tests.support_query import Answering, associate, keys


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed certificates: `node`, `peer`, which is named for 127.0.0.1, and `stranger`, which is not."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("node", "peer", "stranger"):
        command = [require_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048"]
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        address = "127.0.0.9" if name == "stranger" else "127.0.0.1"
        subject = ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}"]
        subprocess.run([*command, *files, *subject], check=True, capture_output=True, timeout=60)
    return folder


@contextmanager
def storescp(pki: Path, folder: Path, *options: str, shows: str = "peer") -> Iterator[tuple[int, Process]]:
    """dcmtk's, over TLS; by default it asks for the node's certificate."""
    port = free_port()
    keys = ["+tls", str(pki / f"{shows}.key"), str(pki / f"{shows}.pem"), "+cf", str(pki / "node.pem")]
    with running(require_tool("storescp"), "-v", *keys, *options, "-od", folder, str(port)) as process:
        wait_until(lambda: listens(port), 30, "storescp to listen")
        yield port, process


def peer(pki: Path, port: int, trusts: str = "peer", shows: str | None = "node", **more: Any) -> Peer:
    files = {"certificate_file": pki / f"{shows}.pem", "key_file": pki / f"{shows}.key"} if shows else {}
    tls = PeerTls(ca_file=pki / f"{trusts}.pem", **files, **more)
    return Peer(ae_title="ANY-SCP", host="127.0.0.1", port=port, tls=tls, connection_timeout_s=20)


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_images_go_out_over_every_profile_of_bcp_195(pki: Path, tmp_path: Path, profile: str) -> None:
    file, received = tmp_path / "view.dcm", tmp_path / "received"
    file.write_bytes(as_file(view()))
    received.mkdir()
    outgoing = Outgoing(sop_instance_uid=view().SOPInstanceUID, sop_class_uid=view().SOPClassUID, path=file)
    with storescp(pki, received, profile) as (port, process):
        (sent,) = scu.store([outgoing], peer(pki, port), "MAMMO_NODE")
        assert sent.error is None, f"{sent.error}\n{process.output}"
        wait_until(lambda: len(list(received.iterdir())) == 1, 10, "the file")


@pytest.mark.parametrize(
    ("of_node", "shown"),
    [
        ({"trusts": "stranger"}, "peer"),  # a peer whose certificate is not trusted
        ({"trusts": "stranger"}, "stranger"),  # trusted, but of another name
        ({"shows": "stranger"}, "peer"),  # our certificate is not trusted there
        ({"shows": None}, "peer"),  # and none is shown
    ],
)
def test_without_trust_on_both_sides_nothing_goes_out(
    pki: Path, tmp_path: Path, of_node: dict[str, Any], shown: str
) -> None:
    with storescp(pki, tmp_path, shows=shown) as (port, _), pytest.raises(RetriableDelivery, match="trust the other"):
        scu.echo(peer(pki, port, **of_node), "MAMMO_NODE")


def test_a_name_may_be_said_or_not_be_looked_at(pki: Path, tmp_path: Path) -> None:
    with storescp(pki, tmp_path, "-ic", shows="stranger") as (port, _):
        scu.echo(peer(pki, port, "stranger", None, certificate_name="127.0.0.9"), "MAMMO_NODE")
        scu.echo(peer(pki, port, "stranger", None, check_name=False), "MAMMO_NODE")


def test_without_tls_such_a_peer_is_not_reached(pki: Path, tmp_path: Path) -> None:
    with storescp(pki, tmp_path) as (port, _):
        plain = Peer(ae_title="ANY-SCP", host="127.0.0.1", port=port, association_timeout_s=5)
        with pytest.raises(DeliveryError):
            scu.echo(plain, "MAMMO_NODE")


def test_what_a_move_asks_for_goes_out_by_tls(pki: Path, tmp_path: Path) -> None:
    received = tmp_path / "received"
    received.mkdir()
    with storescp(pki, received) as (port, process):
        node = Answering(tmp_path, peers={"T": peer(pki, port).model_dump(mode="json")})
        try:
            node.put(view())
            association = associate(node.port)
            statuses = [each for each, _ in association.send_c_move(keys(StudyInstanceUID=STUDY), "ANY-SCP", MOVE)]
            association.release()
        finally:
            node.stop()
        assert (statuses[-1].Status, statuses[-1].NumberOfCompletedSuboperations) == (0, 1), process.output
        assert len(list(received.iterdir())) == 1


def test_queries_go_out_by_tls_to_a_node_that_asks_for_certificates(pki: Path, tmp_path: Path) -> None:
    """dcmtk's archive speaks none here; another node does. And dcmtk's programs ask the same node."""
    files = {"certificate_file": pki / "peer.pem", "key_file": pki / "peer.key", "client_ca_file": pki / "node.pem"}
    node = Answering(tmp_path, network={"tls": {key: str(path) for key, path in files.items()}})
    to = f"127.0.0.1 {node.port}".split()
    echo, call = require_tool("echoscu"), ["-aec", "MAMMO_NODE", *to]
    shown = ["+tls", pki / "node.key", pki / "node.pem", "+cf", pki / "peer.pem"]
    try:
        node.put(view())
        there = peer(pki, node.port).model_copy(update={"ae_title": "MAMMO_NODE"})
        assert len(query_scu.find(there, "VIEWER", keys(StudyInstanceUID=""))) == 1
        with pytest.raises(RetriableDelivery):
            query_scu.find(there.model_copy(update={"tls": PeerTls(ca_file=pki / "peer.pem")}), "VIEWER", keys())
        done = [
            subprocess.run([echo, *how, *call], capture_output=True, timeout=60, check=False).returncode
            for how in (shown, ["+tla", "+cf", pki / "peer.pem"], [])
        ]
        assert done[0] == 0
        assert 0 not in done[1:], "a caller without a certificate was let in"
    finally:
        node.stop()


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    at = {"ae_title": "PACS", "host": "pacs.example", "port": 2762}
    with pytest.raises(ConfigError, match=r"peers\.PACS\.tls: the certificate, its key or the CAs cannot be used"):
        config_from({"peers": {"PACS": {**at, "tls": {"ca_file": "absent.pem"}}}}, tmp_path)
    with pytest.raises(ConfigError, match=r"peers\.PACS\.tls\.key_file: .* allowed: null without a certificate_file"):
        config_from({"peers": {"PACS": {**at, "tls": {"key_file": "absent.key"}}}}, tmp_path)
