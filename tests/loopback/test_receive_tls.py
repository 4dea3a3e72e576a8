"""C-STORE over TLS: with and without certificates of callers, renewed files, and peers that begin no handshake."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from node.config import config_from
from node.dimse import tls
from node.errors import ConfigError
from node.settings_network import TlsSettings
from tests.support import require_tool
from tests.support_exams import as_file, view
from tests.support_network import answered, associate, connect
from tests.support_receiving import Receiving, receivers, send

Make = Callable[..., Receiving]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed certificates: `node`, `caller`, `stranger`, and `renewed` for the node."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("node", "caller", "stranger", "renewed"):
        command = [require_tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        subject = ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, *files, *subject], check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture(params=["fast", "stock"])
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    with receivers(tmp_path, request.param) as build:
        yield build


def of_node(pki: Path, **more: Any) -> dict[str, Any]:
    return {"tls": {"certificate_file": str(pki / "node.pem"), "key_file": str(pki / "node.key"), **more}}


def caller(pki: Path, name: str | None = None, trusts: str = "node") -> tuple[ssl.SSLContext, None]:
    """TLS of a caller that shows the certificate `name`."""
    context = ssl.create_default_context(cafile=pki / f"{trusts}.pem")
    context.check_hostname = False
    if name is not None:
        context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    return context, None


def is_taken(node: Receiving, context: ssl.SSLContext) -> bool:
    try:
        with closing(context.wrap_socket(connect(node.port))) as peer:
            peer.sendall(associate())
            return answered(peer)[:1] == b"\x02"
    except OSError:  # one side or the other broke the handshake off
        return False


def test_images_come_over_tls(make: Make, pki: Path) -> None:
    node = make(network=of_node(pki))
    large, small = view(1, Rows=2048, Columns=1024), view(2, Rows=8, Columns=8)
    assert [answer.Status for answer in send(node, large, small, tls=caller(pki))] == [0, 0]
    held = node.index.instance(large.SOPInstanceUID)
    assert node.store.read(held.path, held.sha256).endswith(large.PixelData)


def test_only_callers_with_a_certificate_where_that_is_asked_for(make: Make, pki: Path) -> None:
    node = make(network=of_node(pki, client_ca_file=str(pki / "caller.pem")))
    for wrong in (None, "stranger"):
        assert not is_taken(node, caller(pki, wrong)[0])
    assert is_taken(node, caller(pki, "caller")[0])
    assert send(node, view(), tls=caller(pki, "caller"))[0].Status == 0


def test_without_tls_nothing_is_understood(make: Make, pki: Path) -> None:
    node = make(network=of_node(pki))
    with closing(connect(node.port)) as peer:
        peer.sendall(associate())
        assert answered(peer) == b""


def test_silent_peers_that_begin_no_handshake_keep_nobody_out(make: Make, pki: Path) -> None:
    node = make(network=of_node(pki))
    with ExitStack() as held:
        for number in range(20):
            peer = held.enter_context(closing(connect(node.port, "127.0.0.3")))
            if number % 2:
                peer.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        assert send(node, view(), tls=caller(pki))[0].Status == 0


def test_a_handshake_has_a_time_limit(make: Make, pki: Path) -> None:
    node = make(network={**of_node(pki), "association_timeout_s": 1})
    with closing(connect(node.port)) as peer:
        assert answered(peer) == b""


def test_a_renewed_certificate_is_taken_over_and_a_bad_one_is_not(make: Make, pki: Path, tmp_path: Path) -> None:
    files = {"certificate_file": tmp_path / "node.pem", "key_file": tmp_path / "node.key"}
    shutil.copy(pki / "node.pem", files["certificate_file"])
    shutil.copy(pki / "node.key", files["key_file"])
    node = make(network={"tls": {key: str(path) for key, path in files.items()}})
    assert send(node, view(1), tls=caller(pki))[0].Status == 0
    shutil.copy(pki / "renewed.pem", files["certificate_file"])
    shutil.copy(pki / "renewed.key", files["key_file"])
    assert send(node, view(2), tls=caller(pki, trusts="renewed"))[0].Status == 0
    files["key_file"].write_text("no key")
    assert send(node, view(3), tls=caller(pki, trusts="renewed"))[0].Status == 0, "the one that worked stays"


def test_dcmtk_storescu_over_tls(make: Make, pki: Path, tmp_path: Path) -> None:
    node = make(network=of_node(pki))
    path = tmp_path / "view.dcm"
    path.write_bytes(as_file(view()))
    command = [require_tool("storescu"), "+tla", "+cf", pki / "node.pem", "-aec", "MAMMO_NODE"]
    done = subprocess.run(
        [*command, "127.0.0.1", str(node.port), path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert node.index.instance(view().SOPInstanceUID) is not None


def test_old_versions_and_ciphers_are_not_offered(pki: Path) -> None:
    context = tls.server_context(TlsSettings(certificate_file=pki / "node.pem", key_file=pki / "node.key"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert all("ECDHE" in each["name"] or each["protocol"] == "TLSv1.3" for each in context.get_ciphers())


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network\.tls: the certificate, its key or the CAs cannot be used"):
        config_from({"network": {"tls": {"certificate_file": "absent.pem"}}}, tmp_path)
    with pytest.raises(ConfigError, match=r"network\.tls\.key_file: .* allowed: null without a certificate_file"):
        config_from({"network": {"tls": {"key_file": "absent.key"}}}, tmp_path)
