"""Settings of several workers and of a shared store that contradict each other are refused with what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.config import config_from
from node.errors import ConfigError


def faults(**settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config_from(settings, Path.cwd())
    return str(caught.value).splitlines()


def test_a_bucket_beyond_this_machine_is_reached_by_https_only() -> None:
    (told,) = faults(storage={"bucket": {"name": "images", "endpoint": "http://s3.example:9000"}})
    assert told.startswith("storage.bucket.endpoint: ")
    assert "https" in told
    config_from({"storage": {"bucket": {"name": "images", "endpoint": "https://s3.example:9000"}}}, Path.cwd())


def test_a_worker_is_not_called_dead_between_two_heartbeats() -> None:
    (told,) = faults(pipeline={"heartbeat_s": 10, "takeover_s": 20})
    assert told.startswith("pipeline.takeover_s: ")
