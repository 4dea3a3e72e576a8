"""What the routes of every service share: where things are (PS3.18 Table 10.3-1), and how an endpoint is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Response

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"


def router(service: str, endpoints: Mapping[str, Callable[..., Any]], method: str = "GET") -> APIRouter:
    """A router of `endpoints`, by their paths. service: e.g. "QIDO-RS", as the API's description groups them."""
    made = APIRouter()
    for path, endpoint in endpoints.items():
        made.add_api_route(path, endpoint, methods=[method], response_class=Response, tags=[service])
    return made
