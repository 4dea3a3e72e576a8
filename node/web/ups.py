"""UPS-RS: Unified Procedure Steps over HTTP (PS3.18 11), of the same worklist as over DIMSE."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from node.dicom_json import encoded
from node.errors import BadQuery, NotAuthorized, TooLarge, UnsupportedMediaType
from node.ups import attributes, faults, states
from node.ups.attributes import value
from node.ups.faults import WorkitemRefused
from node.ups.subscribing import FILTERED
from node.web import answers, media, routes
from node.web.query_parameters import asked
from node.web.rooms import Rooms
from storage.objects import is_valid_uid
from storage.ups import Over, State, Subscription, Workitem

WORKITEM = "/workitems/{workitem}"
SUBSCRIBER = WORKITEM + "/subscribers/{subscriber}"
_BODY_BYTES = 1_000_000
_AE_TITLE = re.compile(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?")
_ALWAYS = frozenset(attributes.tag(each) for each in ("SOPClassUID", "SOPInstanceUID", "ProcedureStepState"))

#: An endpoint's method.
Endpoint = Callable[Concatenate["UnifiedProcedureSteps", Request, ...], Awaitable[Response]]


def _warned(endpoint: Endpoint) -> Endpoint:
    """Refusals have the Warning header that PS3.18 11 asks for; media types are looked at first."""

    @functools.wraps(endpoint)
    async def answered(self: UnifiedProcedureSteps, request: Request, **names: str) -> Response:
        media.check(request, media.DICOM_JSON, media.JSON)
        try:
            return await endpoint(self, request, **names)
        except WorkitemRefused as error:
            answer = answers.problem(error.http_status, str(error))
            if error.warning:
                answer.headers["Warning"] = self.warning(error.warning)
            return answer

    return answered


class UnifiedProcedureSteps:
    """The worklist transactions."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """Their routes."""
        made = APIRouter()
        endpoints: dict[str, dict[str, Callable[..., Any]]] = {
            "GET": {"/workitems": self.search, WORKITEM: self.retrieve},
            "POST": {
                "/workitems": self.create,
                WORKITEM: self.update,
                WORKITEM + "/cancelrequest": self.request_cancel,
                SUBSCRIBER: self.subscribe,
                SUBSCRIBER + "/suspend": self.suspend,
            },
            "PUT": {WORKITEM + "/state": self.change_state},
            "DELETE": {SUBSCRIBER: self.unsubscribe},
        }
        for method, of_method in endpoints.items():
            made.routes.extend(routes.router("UPS-RS", of_method, method).routes)
        return made

    def warning(self, text: str) -> str:
        """The value of a Warning header."""
        return f'299 {self._rooms.name} "{text}"'

    # ---------------------------------------------------------------- items

    @_warned
    async def create(self, request: Request) -> Response:
        """Create a work item; its UID as `?UID` or as `?workitem=UID`, or none for a new one."""
        given = await _body(request)
        uid = _named(request, "workitem") or value(given, "SOPInstanceUID")
        item, code = await run_in_threadpool(self._rooms.work.create, uid, given)
        headers = {"Location": self._url(request, item.sop_instance_uid), **self._told(code)}
        return Response(status_code=201, headers=headers)

    @_warned
    async def search(self, request: Request) -> Response:
        """Search for work items."""
        return await run_in_threadpool(self._search, request)

    @_warned
    async def retrieve(self, request: Request, workitem: str) -> Response:
        """Retrieve a work item."""
        item = await run_in_threadpool(self._rooms.work.item, _checked(workitem))
        return answers.dicom_json([item.attributes], self._media_type(request))

    @_warned
    async def update(self, request: Request, workitem: str) -> Response:
        """Update a work item, with the Transaction UID as `?transaction-uid=UID` where it is claimed."""
        given = await _body(request)
        transaction_uid = _named(request, "transaction-uid") or value(given, "TransactionUID")
        await run_in_threadpool(self._rooms.work.update, _checked(workitem), given, transaction_uid)
        return Response(status_code=200, headers={"Content-Location": self._url(request, workitem)})

    @_warned
    async def change_state(self, request: Request, workitem: str) -> Response:
        """Claim, complete or cancel a work item."""
        given = await _body(request)
        wanted = value(given, "ProcedureStepState")
        if wanted not in set(State):
            raise faults.InvalidValue(f"ProcedureStepState: the value is not allowed; allowed: {', '.join(State)}")
        transaction_uid = value(given, "TransactionUID")
        change = self._rooms.work.change_state
        code = await run_in_threadpool(change, _checked(workitem), State(wanted), transaction_uid)
        return Response(status_code=200, headers=self._told(code))

    @_warned
    async def request_cancel(self, request: Request, workitem: str) -> Response:
        """Request that a work item be canceled."""
        check_origin(request, self._rooms)
        given = await _body(request, needed=False)
        ask = self._rooms.work.request_cancel
        requesting = value(given, "RequestingAE") or self._rooms.settings.calling_ae_title
        code = await run_in_threadpool(ask, _checked(workitem), given, requesting)
        return Response(status_code=202, headers=self._told(code))

    # ---------------------------------------------------------------- subscriptions

    @_warned
    async def subscribe(self, request: Request, workitem: str, subscriber: str) -> Response:
        """Subscribe to a work item, or under a well-known UID to the worklist; `deletionlock` and `filter`."""
        check_origin(request, self._rooms)
        lock = request.query_params.get("deletionlock", "false")
        if lock not in ("true", "false"):
            raise BadQuery("deletionlock: the value is not allowed; allowed: true, false")
        to = Subscription(
            ae_title=checked_ae_title(subscriber),
            sop_instance_uid=_checked(workitem),
            deletion_lock=lock == "true",
            over=Over.WEB,
            filter_json=self._filter(request) if workitem == FILTERED else "",
        )
        await run_in_threadpool(self._rooms.subscribing.subscribe, to)
        return Response(status_code=201, headers={"Content-Location": self._channel(request, subscriber)})

    @_warned
    async def unsubscribe(self, request: Request, workitem: str, subscriber: str) -> Response:
        """End a subscription; its deletion lock goes."""
        check_origin(request, self._rooms)
        end = self._rooms.subscribing.unsubscribe
        await run_in_threadpool(end, _checked(workitem), checked_ae_title(subscriber))
        return Response(status_code=200)

    @_warned
    async def suspend(self, request: Request, workitem: str, subscriber: str) -> Response:
        """Hear of no further work items; of those that are subscribed to, still."""
        check_origin(request, self._rooms)
        suspend = self._rooms.subscribing.suspend
        await run_in_threadpool(suspend, _checked(workitem), checked_ae_title(subscriber))
        return Response(status_code=200)

    # ---------------------------------------------------------------- inside

    def _search(self, request: Request) -> Response:
        query = asked(request.query_params.multi_items(), self._rooms.settings.maximum_results)
        found = self._rooms.work.search(query.keys, query.offset, query.limit)
        warnings = [*query.warnings, *(["there are more matches; ask for them with offset"] if found.more else [])]
        headers = {"Warning": ", ".join(map(self.warning, warnings))} if warnings else None
        narrow = query.included and not query.include_all
        tags = {*query.included, *(key.tag for key in query.keys), *_ALWAYS} if narrow else None
        content = [_chosen(item, tags) for item in found.items]
        return answers.dicom_json(content, self._media_type(request), headers=headers)

    @staticmethod
    def _media_type(request: Request) -> str:
        return media.check(request, media.DICOM_JSON, media.JSON)

    def _told(self, code: int) -> dict[str, str]:
        return {"Warning": self.warning(states.WARNINGS[code])} if code in states.WARNINGS else {}

    def _url(self, request: Request, workitem: str) -> str:
        return f"{self._rooms.base_url(request)}/workitems/{workitem}"

    def _channel(self, request: Request, subscriber: str) -> str:
        """Where the subscriber hears: ws for http, wss for https."""
        base = self._rooms.base_url(request)
        return f"ws{base.removeprefix('http')}/ws/subscribers/{subscriber}"

    def _filter(self, request: Request) -> str:
        """The keys of a filtered subscription: `filter=A=x,B=y`, or parameters of their own. Raises BadQuery."""
        given = [(name, text) for name, text in request.query_params.multi_items() if name != "deletionlock"]
        listed = [part.partition("=") for name, text in given if name == "filter" for part in text.split(",")]
        pairs = [*((name, text) for name, _, text in listed), *(each for each in given if each[0] != "filter")]
        keys = asked(pairs, self._rooms.settings.maximum_results).keys
        return encoded(attributes.of_keys(keys)).decode() if keys else ""


def check_origin(asking: HTTPConnection, rooms: Rooms) -> None:
    """A browser may not do this for a page from elsewhere, unless the configuration lets it. Raises NotAuthorized."""
    origin = asking.headers.get("origin")
    allowed = rooms.settings.allowed_origins
    if origin is None or "*" in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc != asking.headers.get("host"):
        raise NotAuthorized("Origin: pages from there may not do this; see web.allowed_origins")


def checked_ae_title(text: str) -> str:
    """Raises InvalidValue when it is no AE title (PS3.5 6.2)."""
    if not _AE_TITLE.fullmatch(text):
        raise faults.InvalidValue("the subscriber is no AE title: 1 to 16 printable ASCII characters, no backslash")
    return text


def _checked(workitem: str) -> str:
    if not is_valid_uid(workitem):
        raise faults.NoSuchWorkitem("the work item's name in the path is not a UID (PS3.5 9.1)")
    return workitem


def _named(request: Request, name: str) -> str:
    """A UID of the query: under its name, or bare as `?1.2.3`."""
    bare = (key for key, text in request.query_params.multi_items() if not text and is_valid_uid(key))
    return request.query_params.get(name) or next(bare, "")


def _chosen(item: Workitem, tags: set[str] | None) -> Mapping[str, Any]:
    return item.attributes if tags is None else {at: each for at, each in item.attributes.items() if at in tags}


async def _body(request: Request, *, needed: bool = True) -> dict[str, Any]:
    """The one data set of a request's body. Raises UnsupportedMediaType, TooLarge, InvalidValue."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _BODY_BYTES:
            raise TooLarge(f"the body has more than {_BODY_BYTES} bytes")
    if not received and not needed:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (media.DICOM_JSON, media.JSON):
        raise UnsupportedMediaType(f"Content-Type: it is not taken; allowed: {media.DICOM_JSON}, {media.JSON}")
    return await run_in_threadpool(_dataset, bytes(received))


def _dataset(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise faults.InvalidValue("the body is no JSON") from error
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        raise faults.InvalidValue("the body is not the DICOM JSON of one data set (PS3.18 F)")
    return attributes.cleaned(found)
