"""The door of the web side: who asks, may they, and do they ask too often. Before anything of a request is read."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

import anyio.to_thread
from fastapi import Response
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from node.access.accounts import PREFIX, Accounts
from node.access.issuer import Issuer
from node.access.limits import Limit
from node.access.people import AccountRole, Person
from node.access.told import Logged, Told
from node.address import is_loopback
from node.config_access import only_this_machine
from node.errors import NotAuthorized, Unavailable
from node.settings import WebSettings
from node.settings_access import AccessSettings
from node.web import answers, needs
from storage.database import DatabaseUnavailable

_TOLD_AGAIN = 1  # sign-ins of one person from one address that are told in _TOLD_AGAIN_S
_TOLD_AGAIN_S = 900.0
_STATE = "entered"
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")
_CHALLENGES = ('Basic realm="mammo-node", charset="UTF-8"', 'Bearer realm="mammo-node"')
_WAYS = "allowed: Authorization: Basic (account and password) or Bearer (token), see docs/security.md"


@dataclass(slots=True)
class Door:
    """What the gate works with, once for the node."""

    web: WebSettings
    access: AccessSettings
    accounts: Accounts
    told: Told = field(default_factory=Logged)
    issuer: Issuer | None = None
    failures: Limit = field(init=False)
    requests: Limit = field(init=False)
    lately: Limit = field(init=False)

    def __post_init__(self) -> None:
        if self.access.oidc is not None and self.issuer is None:
            self.issuer = Issuer(self.access.oidc)
        self.failures = Limit(self.access.failed_sign_ins, self.access.failed_sign_ins_s)
        self.requests = Limit(self.access.requests_per_minute, 60)
        self.lately = Limit(_TOLD_AGAIN, _TOLD_AGAIN_S)

    def is_open(self, request: HTTPConnection, path: str) -> bool:
        """Whether the configuration says that this needs no sign-in."""
        opened = self.access.open
        if "everything-to-everybody" in opened or needs.OPENED.get(path) in opened:
            return True
        if "this-machine" not in opened or not only_this_machine(self.web, self.access):
            return False
        # a proxy that the configuration does not know may bring anybody here
        return is_loopback(address_of(request)) and not any(name in request.headers for name in _FORWARDED)


@dataclass(frozen=True, slots=True)
class Entered:
    """What the gate leaves with a request. person: None where no sign-in was needed."""

    person: Person | None
    door: Door


class Gate:
    """Inside what answers preflights (CORS), outside everything else: who is it? What they may do, `allowed` says."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket: let through, or answered here."""
        asking = HTTPConnection(scope)
        state = scope.setdefault("state", {})
        if self._door.is_open(asking, scope["path"]):
            state[_STATE] = Entered(None, self._door)
        else:
            found = await anyio.to_thread.run_sync(self._who_is_it, asking)
            if isinstance(found, Response):
                await _answer(found, scope, receive, send)
                return
            state[_STATE] = Entered(found, self._door)
        await self._app(scope, receive, send)

    def _who_is_it(self, asking: HTTPConnection) -> Person | Response:
        door, address = self._door, address_of(asking)
        wait_s = max(door.requests.wait_s(address), door.failures.wait_s(address))
        if wait_s:
            return _later(wait_s)
        door.requests.take(address)
        shown = asking.headers.get("authorization", "")
        try:
            person = self._who(shown)
        except DatabaseUnavailable:
            return answers.problem(503, "the database cannot be used at the moment; try again")
        except Unavailable as error:
            return answers.problem(503, str(error))
        if person is None:
            return self._not_signed_in(address, shown)
        if door.lately.wait_s(key := f"{person} {address}") == 0:
            door.lately.take(key)
            door.told.signed_in(person, address)
        return person

    def _not_signed_in(self, address: str, shown: str) -> Response:
        if shown:  # a browser first asks without
            self._door.failures.take(address)
            self._door.told.refused(address, "password or token not valid here")
        why = "this name and password, or token, are not valid here" if shown else "a sign-in is needed"
        answer = answers.problem(401, f"{why}; {_WAYS}")
        for challenge in _CHALLENGES:
            answer.headers.append("WWW-Authenticate", challenge)
        return answer

    def _who(self, shown: str) -> Person | None:
        scheme, _, credentials = shown.partition(" ")
        match scheme.lower():
            case "basic":
                name, password = _basic(credentials)
                return self._door.accounts.by_password(name, password) if name else None
            case "bearer":
                return self._of_token(credentials.strip())
            case _:
                return None

    def _of_token(self, token: str) -> Person | None:
        if token.startswith(PREFIX):
            return self._door.accounts.by_token(token)
        return self._door.issuer.person(token) if self._door.issuer is not None else None


def allowed(asking: HTTPConnection) -> None:
    """A dependency of every route: may whoever came through the gate do this? Raises NotAuthorized."""
    entered: Entered = asking.scope["state"][_STATE]
    person, route = entered.person, asking.scope["route"]
    method = asking.scope.get("method", "")
    need = needs.needed(needs.service(route), method)
    if person is None or person.role.includes(need):
        return
    entered.door.told.rights_denied(person, address_of(asking), f"{method} {route.path}")
    roles = ", ".join(role for role in AccountRole if role.includes(need))
    raise NotAuthorized(f"role {person.role}: this may not be done; allowed: {roles}")


def person_of(asking: HTTPConnection) -> Person | None:
    """Who came through the gate; None where no sign-in was needed."""
    entered: Entered | None = asking.scope.get("state", {}).get(_STATE)
    return entered.person if entered is not None else None


def address_of(asking: HTTPConnection) -> str:
    """Where the request comes from; behind a known proxy, as that one says."""
    return asking.client.host if asking.client is not None else ""


async def _answer(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
    else:
        await answer(scope, receive, send)


def _basic(credentials: str) -> tuple[str, str]:
    """Name and password (RFC 7617); two empty texts where there are none."""
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _later(wait_s: int) -> Response:
    answer = answers.problem(429, f"too many requests or failed sign-ins from this address; try again in {wait_s} s")
    answer.headers["Retry-After"] = str(wait_s)
    return answer
