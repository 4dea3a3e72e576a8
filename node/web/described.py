"""The routes as they are, for those who tell of them; nothing is served for it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from fastapi.routing import APIRoute

from node.web.app import ROOMS
from node.web.rooms import Rooms


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below the base, the service it belongs to, and what it does in a sentence."""

    method: str
    path: str
    service: str
    sentence: str


def routes() -> Iterator[Route]:
    """Every route that an application has; HEAD goes with GET, and OPTIONS with every path."""
    nothing = cast("Rooms", None)  # a route is known without anything to work with
    for room in ROOMS:
        for route in room(nothing).router().routes:
            if isinstance(route, APIRoute):
                sentence = (inspect.getdoc(route.endpoint) or "").partition("\n")[0]
                yield from (
                    Route(each, route.path, str(route.tags[0]), sentence)
                    for each in sorted((route.methods or set()) - {"HEAD"})
                )
