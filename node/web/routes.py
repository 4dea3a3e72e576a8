"""What the routes of every service share: where things are (PS3.18 Table 10.3-1), and how an endpoint is added."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"


class HeadedRoute(APIRoute):
    """A route of which the head alone can be had: HEAD is answered as GET is, without the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, and then the body is left out where it was not asked for."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            answer = await handler(request)
            return _without_body(answer) if request.method == "HEAD" else answer

        return answered


def _without_body(answer: Response) -> Response:
    """What was to be streamed is never begun."""
    head = Response(status_code=answer.status_code)
    head.raw_headers = answer.raw_headers
    return head


def router(service: str, endpoints: Mapping[str, Callable[..., Any]], method: str = "GET") -> APIRouter:
    """A router of `endpoints`, by their paths; what can be had by GET can be asked for by HEAD.

    service: e.g. "QIDO-RS", as the API's description groups them.
    """
    made = APIRouter(route_class=HeadedRoute)
    for path, endpoint in endpoints.items():
        for each in ("GET", "HEAD") if method == "GET" else (method,):
            made.add_api_route(path, endpoint, methods=[each], response_class=Response, tags=[service])
    return made
