"""The web application: which routes there are, who may ask, what becomes of errors."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from node.identity import SOFTWARE_VERSION
from node.web import description
from node.web.border import Border, answer_errors
from node.web.bulk import Bulk
from node.web.capabilities import DESCRIPTION, Capabilities
from node.web.frames import Frames
from node.web.gate import Gate, allowed
from node.web.instances import Instances
from node.web.metadata import Metadata
from node.web.monitoring import Monitoring
from node.web.qido import Searching
from node.web.rendered import Rendered
from node.web.rooms import Rooms
from node.web.stow import Storing
from node.web.ups import UnifiedProcedureSteps
from node.web.ups_channel import EventChannel
from node.web.watching import Watching

#: What serves; each has its routes.
ROOMS = (Searching, Metadata, Bulk, Frames, Rendered, Instances, Storing, UnifiedProcedureSteps)
#: What a page from elsewhere may read of an answer's head, beside what every page may.
_EXPOSED = ["Allow", "Content-Location", "ETag", "Link", "Location", "Preference-Applied", "Warning"]


class Application(FastAPI):
    """FastAPI, whose description of the interface is completed."""

    def __init__(self, rooms: Rooms, **options: Any) -> None:
        super().__init__(**options)
        self._rooms = rooms

    def openapi(self) -> dict[str, Any]:
        """Made when it is first asked for."""
        if self.openapi_schema is None:
            is_open = bool(self._rooms.door.access.open)
            self.openapi_schema = description.completed(super().openapi(), self._rooms.settings.path, is_open=is_open)
        return self.openapi_schema


def make_app(rooms: Rooms) -> ASGIApp:
    """The ASGI application. Its description (OpenAPI) is at DESCRIPTION; there are no pages that load from afar."""
    app = Application(
        rooms,
        title="mammo-node",
        version=SOFTWARE_VERSION,
        openapi_url=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=_middleware(rooms),
        dependencies=[Depends(allowed)],
    )
    served = [
        *((rooms.settings.path, room(rooms).router()) for room in ROOMS),
        ("", Monitoring(rooms).router()),
        ("", Watching(rooms).router()),
    ]
    capabilities = Capabilities(served)
    answer_errors(app, capabilities)
    for prefix, router in [*served, ("", capabilities.router())]:
        app.include_router(router, prefix=prefix)
    for prefix in ("", rooms.settings.path):
        app.include_router(EventChannel(rooms).router(), prefix=prefix)
    return Border(app, rooms)


def _middleware(rooms: Rooms) -> list[Middleware]:
    gate = Middleware(Gate, door=rooms.door)
    settings = rooms.settings
    if not settings.allowed_origins:
        return [gate]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
            max_age=3600,
        ),
        gate,
    ]
