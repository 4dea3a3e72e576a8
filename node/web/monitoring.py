"""A week of the node in numbers, as JSON: counts and times, nothing of a patient."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Response

from node import week as weeks
from node.web import routes
from node.web.rooms import Rooms

#: Beside DICOMweb, not below it.
PATH = "/monitor"


class Monitoring:
    """What `mammo-node monitor` prints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The route."""
        return routes.router("monitoring", {PATH: self.week})

    def week(self, week: str | None = None) -> Response:
        """The week (ISO 8601, as 2026-W48); without, this one."""
        found = weeks.week(self._rooms.database, week, datetime.now(UTC))
        content = json.dumps(asdict(found), default=datetime.isoformat, ensure_ascii=False)
        return Response(content, media_type="application/json")
