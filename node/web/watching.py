"""For those who watch the node: is it alive, is it ready, and its numbers. Nothing here is of a patient."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from node.metrics import MEDIA_TYPE
from node.web import routes
from node.web.rooms import Rooms
from node.web.routes import LIVE, METRICS, READY


class Watching:
    """Health and metrics, at the root of the server and not below `web.path`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """Its routes."""
        return routes.router("Watching", {LIVE: self.live, READY: self.ready, METRICS: self.metrics})

    async def live(self) -> Response:
        """The process answers."""
        return JSONResponse({"status": "live"})

    def ready(self) -> Response:
        """Whether the node is fit to be sent to, and what it needs: 200, or 503."""
        conditions = self._rooms.health.conditions()
        ready = all(each.ok for each in conditions)
        told = {each.what: {"ok": each.ok, "told": each.told} for each in conditions}
        return JSONResponse({"status": "ready" if ready else "not ready", "conditions": told}, 200 if ready else 503)

    def metrics(self) -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(self._rooms.metrics.text(), media_type=MEDIA_TYPE)
