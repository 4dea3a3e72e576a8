"""The one table of what each route needs. A route that is not in it needs an admin; a test finds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.access.people import AccountRole
from node.web.routes import LIVE, METRICS, READY

VIEWER, OPERATOR, ADMIN = AccountRole
_READING = ("GET", "HEAD", "OPTIONS")

#: Service of a route, as its first tag says → who may read there, and who may do anything else there.
#: What has no tag (the API's description) anybody may read who has signed in.
NEEDS: Mapping[str, tuple[AccountRole, AccountRole]] = {
    "QIDO-RS": (VIEWER, ADMIN),
    "WADO-RS": (VIEWER, ADMIN),
    "STOW-RS": (ADMIN, OPERATOR),
    "UPS-RS": (VIEWER, OPERATOR),
    "monitoring": (VIEWER, ADMIN),
    "Watching": (VIEWER, ADMIN),
    "Capabilities": (VIEWER, ADMIN),
}

#: Name of the event channel's routes.
CHANNEL = "UPS-RS event channel"

#: What `access.open` calls these.
OPENED: Mapping[str, str] = {LIVE: "health", READY: "health", METRICS: "metrics"}


def service(route: Any) -> str:
    """What `NEEDS` knows a route by; "" where it has no tag. A websocket's name says it."""
    if getattr(route, "name", "") == CHANNEL:
        return "UPS-RS"
    tags = getattr(route, "tags", None) or [""]
    return str(tags[0])


def needed(service: str, method: str) -> AccountRole:
    """The least role. method: of HTTP; "" for a websocket, which is read from."""
    reading, changing = NEEDS.get(service, (ADMIN, ADMIN))
    return reading if method in (*_READING, "") else changing
