"""config.yaml: servers that results go to by STOW-RS; what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.config import config_from
from node.errors import ConfigError

HERE = Path("config-folder")
URL = "a URL without user, query or slash at its end, such as https://pacs.example/dicom-web"


def faults(**server: Any) -> list[str]:
    """The lines of the error that these settings of a server raise."""
    with pytest.raises(ConfigError) as caught:
        config_from(stow(**server), HERE)
    return str(caught.value).splitlines()


def stow(**server: Any) -> dict[str, Any]:
    place = {"type": "dicomweb_store", "server": server or None, "results": ["summary_sc"]}
    return {"destinations": {"PACS": place}}


def test_a_dicomweb_server_is_on_this_machine_or_encrypted_or_a_person_consents() -> None:
    for server in (
        {"url": "http://127.0.0.1:8042/dicom-web"},
        {"url": "http://[::1]:8042"},
        {"url": "https://pacs.example/dicom-web"},
        {"url": "http://pacs.example/dicom-web", "allow_plain_http": True},
    ):
        assert config_from(stow(**server), HERE)
    assert faults(url="http://pacs.example/dicom-web") == [
        "destinations.PACS.server.url: value 'http://pacs.example/dicom-web' is not allowed; allowed: https, or set "
        "allow_plain_http: true beside it; patients' data would leave this machine unencrypted"
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("pacs.example/dicom-web", "'pacs.example/dicom-web'"),
        ("ftp://pacs.example", "'ftp://pacs.example'"),
        ("https://pacs.example/dicom-web/", "'https://pacs.example/dicom-web/'"),
        ("https://pacs.example/studies?token=1", "'https://pacs.example/studies?token=1'"),
        ("https://someone:secret@pacs.example", "'https://…@pacs.example'"),
        ("https://pacs.example:port", "'https://pacs.example:port'"),
        ("https://:443", "'https://:443'"),
    ],
)
def test_what_is_no_address_of_a_dicomweb_server(url: str, shown: str) -> None:
    assert faults(url=url) == [f"destinations.PACS.server.url: value {shown} is not allowed; allowed: {URL}"]


def test_a_dicomweb_store_without_a_server() -> None:
    assert faults() == ["destinations.PACS.server: value null is not allowed; allowed: a mapping with the server's url"]


def test_files_that_a_dicomweb_server_needs_are_looked_at_and_what_is_in_them_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("# sign-in\nAuthorization: Bearer secret\nsecret without a name\n")
    (tmp_path / "ca.pem").write_text("no certificate")
    server = {"url": "https://pacs.example", "headers_file": "headers", "ca_file": "ca.pem"}
    with pytest.raises(ConfigError) as caught:
        config_from(stow(**server), tmp_path)
    headers, certificates = str(caught.value).splitlines()
    assert headers == (
        f'destinations.PACS.server.headers_file: {tmp_path}/headers, line 3: is not of the form "Name: value"'
    )
    assert certificates.startswith(f"destinations.PACS.server.ca_file: {tmp_path}/ca.pem has no usable certificates")
    (absent,) = faults(url="https://pacs.example", headers_file="nowhere")
    assert absent.endswith("nowhere cannot be read as text: No such file or directory")
