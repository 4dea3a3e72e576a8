"""The border of the web side: every request gets an answer and a line in the log, without the query's patient data."""

from __future__ import annotations

import itertools
import re
import time
from http import HTTPStatus

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node import logs
from node.errors import NodeError, Unavailable
from node.web import answers
from node.web.capabilities import Capabilities
from node.web.noted import Noted
from node.web.rooms import Rooms
from node.web.routes import LIVE, METRICS, READY
from storage.database import DatabaseUnavailable
from storage.objects import is_valid_uid

log = logs.get(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_GONE = 499  # nobody is there to be answered; as nginx logs it
_MISDIRECTED = "Host: this node is not called that; allowed: this machine's own names, or the host of web.public_url"


class Border:
    """Outermost: counts and times each request, and turns what nobody caught into a 500."""

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self._app = app
        self._rooms = rooms
        self._noted = Noted(rooms.audit)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await self._channel(scope, receive, send)
        if scope["type"] != "http":
            return
        began, status = time.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with logs.about(request=next(self._numbers)):
                if self._rooms.is_called(Request(scope)):
                    await self._app(scope, receive, noting)
                else:
                    await answers.problem(421, _MISDIRECTED)(scope, receive, noting)
        except NodeError as error:  # while the body was sent: the connection is cut, so that nobody takes it for whole
            log.error("answer broken off", why=str(error), path=_path(scope))
        except ClientDisconnect:
            status = _GONE
        except Exception:  # the web side's border
            log.exception("request failed", path=_path(scope))
            if not status:
                await answers.problem(500, "internal error; see the node's log")(scope, receive, noting)
        finally:
            self._note(scope, status, time.monotonic() - began)
            if self._noted.wants(scope, status):
                await anyio.to_thread.run_sync(self._noted.note, scope)

    async def _channel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One websocket."""
        with logs.about(request=next(self._numbers)):
            if not self._rooms.is_called(HTTPConnection(scope)):
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
                return
            try:
                await self._app(scope, receive, send)
            except Exception:  # the web side's border
                log.exception("event channel failed")

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        method, route = scope["method"], _route(scope)
        known = method if method in _METHODS else "other"
        self._rooms.metrics.requests.labels(known, route, str(status)).inc()
        self._rooms.metrics.request_seconds.labels(route).observe(took_s)
        tell = log.debug if route in (LIVE, READY, METRICS) else log.info
        tell("request", method=method, path=_path(scope), status=status, took_ms=round(took_s * 1000))


def _route(scope: Scope) -> str:
    """The path as it is written in the routes, without UIDs."""
    return str(getattr(scope.get("route"), "path", "")) or "(no such path)"


def _path(scope: Scope) -> str:
    """The path where it is one of ours, with what is a UID or a number in it; anything else may be anything."""
    values = {
        name: value if _is_harmless(str(value)) else "(…)" for name, value in scope.get("path_params", {}).items()
    }
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: str(values.get(found[1], "(…)")), _route(scope))


def _is_harmless(value: str) -> bool:
    return is_valid_uid(value) or re.fullmatch(r"[\d,]{1,64}|[\dA-F/]{1,64}", value) is not None


def answer_errors(app: FastAPI, capabilities: Capabilities) -> None:
    """Errors that are raised on purpose become answers with a body that explains."""

    def http(request: Request, error: Exception) -> Response:
        return _http(request, error, capabilities.allowed(request.url.path))

    app.add_exception_handler(NodeError, _node_error)
    app.add_exception_handler(DatabaseUnavailable, _database)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, _invalid)


def _node_error(_request: Request, error: Exception) -> Response:
    status = error.http_status if isinstance(error, NodeError) else 500
    if status >= 500:
        log.warning("not served", status=status, why=str(error))
    return answers.problem(status, str(error))


def _database(_request: Request, error: Exception) -> Response:
    log.warning("not served", status=503, why=type(error).__name__)
    return answers.problem(Unavailable.http_status, "the database cannot be used at the moment; try again")


def _http(request: Request, error: Exception, allowed: str) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {
        404: "there is nothing at this path; what there is: OPTIONS of a path, or /openapi.json",
        405: f"this method is not done at this path; allowed: {allowed}",
    }
    answer = answers.problem(status, told.get(status, HTTPStatus(status).phrase))
    answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    if status == 405 and allowed:
        answer.headers["Allow"] = allowed
    return answer


def _invalid(_request: Request, error: Exception) -> Response:
    return answers.problem(400, "the request is not as it should be: " + type(error).__name__)
