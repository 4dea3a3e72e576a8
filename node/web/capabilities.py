"""What may be done at a path (PS3.18 8.9): OPTIONS, and the Allow of whoever tried something else (RFC 9110 15.5.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from node.web import media, routes

#: Where the description of the interface is (OpenAPI).
DESCRIPTION = "/openapi.json"
SERVICE = "Capabilities"


class Capabilities:
    """OPTIONS at every path of the routers it was made for."""

    def __init__(self, routers: Iterable[tuple[str, APIRouter]]) -> None:
        """routers: each with the prefix that its paths have."""
        self._methods: dict[str, set[str]] = {}
        for prefix, router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    self._methods.setdefault(prefix + route.path, {"OPTIONS"}).update(route.methods or ())
        self._paths = [(compile_path(path)[0], methods) for path, methods in self._methods.items()]

    def router(self) -> APIRouter:
        """The routes."""
        return routes.router(SERVICE, dict.fromkeys(self._methods, self.options), "OPTIONS")

    async def options(self, request: Request) -> Response:
        """What may be done here, and where the description of all of it is."""
        headers = {
            "Allow": self.allowed(request.url.path),
            "Link": f'<{DESCRIPTION}>; rel="service-desc"; type="application/vnd.oai.openapi+json"',
        }
        if self._stores(request.url.path):
            headers["Accept-Post"] = f'{media.MULTIPART}; type="{media.DICOM}"'
        return Response(status_code=204, headers=headers)

    def allowed(self, path: str) -> str:
        """The methods of a path, as Allow lists them; "" where there is no such path."""
        found: set[str] = set()
        for pattern, methods in self._paths:
            if pattern.match(path):
                found |= methods
        return ", ".join(sorted(found))

    def _stores(self, path: str) -> bool:
        return "POST" in self.allowed(path) and re.search(r"/studies(/[^/]+)?$", path) is not None
