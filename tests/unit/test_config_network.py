"""config.yaml: who may call, from where, how many at a time, and where the node and its web listen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.config import config_from, load_config
from node.errors import ConfigError
from node.settings import Caller

HERE = Path("config-folder")


def faults(**settings: Any) -> list[str]:
    """The lines of the error that these settings raise."""
    with pytest.raises(ConfigError) as caught:
        config_from(settings, HERE)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("caller", "calling_ae_title", "address", "admitted"),
    [
        ({"ae_title": "MODALITY"}, "MODALITY", "10.9.9.9", True),
        ({"ae_title": "MODALITY"}, "MODALITY ", "10.9.9.9", True),
        ({"ae_title": "MODALITY"}, "modality", "10.9.9.9", False),
        ({"ae_title": "MODALITY", "address": "10.1.2.3"}, "MODALITY", "10.1.2.3", True),
        ({"ae_title": "MODALITY", "address": "10.1.2.3"}, "MODALITY", "10.1.2.4", False),
        ({"ae_title": "MODALITY", "address": "10.1.2.0/24"}, "MODALITY", "10.1.2.4", True),
        ({"ae_title": "MODALITY", "address": "10.1.2.0/24"}, "MODALITY", "::1", False),
        ({"ae_title": "MODALITY", "address": "10.1.2.0/24"}, "OTHER", "10.1.2.4", False),
    ],
)
def test_a_caller_is_known_by_title_and_address(
    caller: dict[str, str], calling_ae_title: str, address: str, admitted: bool
) -> None:
    assert Caller(**caller).admits(calling_ae_title, address) is admitted
    assert config_from({"callers": [caller]}, HERE).admits(calling_ae_title, address) is admitted


def test_more_associations_per_caller_than_in_all() -> None:
    assert faults(network={"maximum_associations": 3}) == [
        "network.maximum_associations_per_caller: value 8 is not allowed; "
        "allowed: at most network.maximum_associations, 3"
    ]


def test_all_associations_reserved() -> None:
    assert faults(network={"maximum_associations": 8, "reserved_associations": 8}) == [
        "network.reserved_associations: value 8 is not allowed; allowed: less than network.maximum_associations, 8"
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "node.hospital.example"])
def test_listening_beyond_loopback_needs_a_persons_consent(host: str) -> None:
    assert faults(node={"host": host}) == [
        f"node.host: value {host!r} is not allowed; "
        "allowed: 127.0.0.1, or set node.allow_non_loopback: true and name the callers"
    ]


def test_listening_beyond_loopback_needs_named_callers() -> None:
    node = {"host": "0.0.0.0", "allow_non_loopback": True}
    assert faults(node=node) == [
        "callers: value [] is not allowed; allowed: at least one caller when node.host is not loopback"
    ]
    assert config_from({"node": node, "callers": [{"ae_title": "MODALITY"}]}, HERE).node.host == "0.0.0.0"


@pytest.mark.parametrize("address", ["10.0.0", "10.0.0.0/33", "modality.hospital.example"])
def test_a_callers_address_that_is_none(address: str) -> None:
    assert faults(callers=[{"ae_title": "A", "address": address}]) == [
        f"callers.0.address: value {address!r} is not allowed; "
        "allowed: an IP address, a network such as 10.1.2.0/24, or null"
    ]


def test_the_web_is_off_and_on_loopback_unless_somebody_says_otherwise() -> None:
    web = load_config(None).web
    assert (web.port, web.host, web.path, web.allowed_origins) == (None, "127.0.0.1", "/dicom-web", ())


def test_beyond_loopback_the_web_needs_a_persons_word() -> None:
    (line,) = faults(web={"host": "0.0.0.0"})
    assert line.startswith(
        "web.host: value '0.0.0.0' is not allowed; allowed: 127.0.0.1, or set web.allow_non_loopback"
    )
    assert (
        config_from(
            {"web": {"host": "0.0.0.0", "allow_non_loopback": True}, "access": {"behind_proxy": "10.1.2.3"}}, HERE
        ).web.host
        == "0.0.0.0"
    )


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("port", 70000, "an integer from 1 to 65535, 0 for any free port, or null"),
        ("path", "dicom-web", "a path such as /dicom-web"),
        ("path", "/", "a path such as /dicom-web"),
        ("allowed_origins", "localhost:3000", "origins such as http://"),
        ("public_url", "https://pacs.example/", "a URL without a slash at its end"),
        ("calling_ae_title", "more than sixteen", "1 to 16 printable ASCII"),
        ("decoders", 0, "an integer from 1"),
    ],
)
def test_settings_of_the_web_that_cannot_be(key: str, value: object, allowed: str) -> None:
    (line,) = faults(web={key: value})
    assert line.startswith(f"web.{key}")
    assert allowed in line
