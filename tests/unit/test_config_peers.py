"""Settings of what peers are asked for: commitment, identity, earlier exams."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import config_from
from node.errors import ConfigError

PEERS = {"PACS": {"ae_title": "PACS", "host": "127.0.0.1", "port": 4242}}


def faults(**sections: object) -> list[str]:
    """The lines of the error that these settings raise."""
    with pytest.raises(ConfigError) as caught:
        config_from(sections, Path("config-folder"))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"type": "folder", "folder": "out", "commitment": True},
            "commitment: value true is not allowed; allowed: false",
        ),
        (
            {"peer": "PACS", "identity_peer": "OTHER"},
            "identity_peer: value 'OTHER' is not allowed; allowed: PACS, or null",
        ),
    ],
)
def test_a_destination_that_asks_whom_it_cannot(change: dict[str, object], told: str) -> None:
    (fault,) = faults(peers=PEERS, destinations={"out": {"results": ["summary_sc"], **change}})
    assert fault.startswith(f"destinations.out.{told}")


@pytest.mark.parametrize("hours", ["8-16", "24:00-06:00", "19:00"])
def test_the_hours_of_a_pacs_that_are_none(hours: str) -> None:
    (fault,) = faults(peers={"PACS": {**PEERS["PACS"], "priors": {"hours": hours}}})
    assert fault == (
        f"peers.PACS.priors.hours: value {hours!r} is not allowed; allowed: HH:MM-HH:MM, over midnight as well, or null"
    )
