"""HTTPS of the web side: what is offered, and files that are renewed while it serves."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import require_tool
from tests.support_web import Web, web


def make_certificate(folder: Path, name: str) -> None:
    command = [require_tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
    subject = ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True, timeout=60)


def use(folder: Path, name: str) -> None:
    """Put a certificate where the node looks for it."""
    for ending in ("pem", "key"):
        shutil.copy(folder / f"{name}.{ending}", folder / f"used.{ending}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Web]:
    for name in ("first", "renewed"):
        make_certificate(tmp_path, name)
    use(tmp_path, "first")
    files = {"certificate_file": str(tmp_path / "used.pem"), "key_file": str(tmp_path / "used.key")}
    with web(tmp_path / "node", access={"tls": files}) as served:
        yield served


def status(served: Web, trusts: Path, context: ssl.SSLContext | None = None) -> int:
    url = f"https://127.0.0.1:{served.node.web.port}/health/live"
    context = context or ssl.create_default_context(cafile=trusts)
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:
        return int(answer.status)


def test_it_is_served_encrypted_only(served: Web, tmp_path: Path) -> None:
    assert status(served, tmp_path / "first.pem") == 200
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{served.node.web.port}/health/live", timeout=30)


def test_old_versions_of_tls_are_not_spoken(served: Web, tmp_path: Path) -> None:
    old = ssl.create_default_context(cafile=tmp_path / "first.pem")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        status(served, tmp_path / "first.pem", old)


def test_a_renewed_certificate_counts_from_the_next_connection_and_a_bad_one_does_not(
    served: Web, tmp_path: Path
) -> None:
    assert status(served, tmp_path / "first.pem") == 200
    use(tmp_path, "renewed")
    assert status(served, tmp_path / "renewed.pem") == 200
    with pytest.raises(OSError):
        status(served, tmp_path / "first.pem")
    (tmp_path / "used.key").write_text("no key")
    assert status(served, tmp_path / "renewed.pem") == 200, "the one that worked stays"
