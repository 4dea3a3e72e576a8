"""Tells the audit trail who searched and who retrieved, once the answer is out.

A viewer asks hundreds of times for one study: who sees or takes a study is told once in a while, not for each request.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Scope

from node.access.limits import Limit
from node.audit import events
from node.audit.auditor import Auditor
from node.audit.doors import who
from node.audit.events import Other
from node.audit.queries import Queries
from node.web import needs, routes
from node.web.gate import address_of, person_of

#: Whole instances leave; everything else of WADO-RS (metadata, frames, pictures) is looked at.
_TAKEN = (routes.STUDY, routes.SERIES, routes.INSTANCE)
_ITEMS = ("UPS-RS", "GET", "/workitems")
_AGAIN_S = 900.0


class Noted:
    """What is told of requests."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._queries = Queries(auditor)
        self._lately = Limit(1, _AGAIN_S)

    def wants(self, scope: Scope, status: int) -> bool:
        """Whether there is something to be told of a request that was answered so."""
        return 200 <= status < 300 and (_searches(scope) or needs.service(scope.get("route")) == "WADO-RS")

    def note(self, scope: Scope) -> None:
        """Tell it; takes its time."""
        request = Request(scope)
        by = who(person_of(request), address_of(request))
        if _searches(scope):
            self._queries.searched(by, request.url.path, request.query_params.multi_items())
        else:
            self._retrieved(by, str(scope["path_params"].get("study", "")), str(scope["route"].path))

    def _retrieved(self, by: Other, study_instance_uid: str, route: str) -> None:
        taken = route.endswith(_TAKEN)
        key = f"{taken} {by} {study_instance_uid}"
        if self._lately.wait_s(key):
            return
        self._lately.take(key)
        here, study = self._auditor.here, self._auditor.study(study_instance_uid)
        self._auditor.tell(events.sent(here, by, study, by) if taken else events.accessed(here, by, study))


def _searches(scope: Scope) -> bool:
    route = scope.get("route")
    of_items = (needs.service(route), scope.get("method"), getattr(route, "path", "")) == _ITEMS
    return of_items or needs.service(route) == "QIDO-RS"
