"""Who may use the web side: accounts, tokens, roles, what is open, and how often one may ask."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from node import logs
from node.access import accounts as local
from node.access.accounts import Accounts
from node.access.limits import Limit
from node.access.people import AccountRole
from node.cli import make_app as command_line
from node.config import config_from
from node.errors import ConfigError
from node.settings import LoggingSettings
from node.web import needs
from storage import access as kept
from tests.support_audit import told
from tests.support_exams import view
from tests.support_web import Answer, Web, web

PASSWORD = "correct horse battery"
CLOSED = {"open": []}
ROLES = list(AccountRole)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A node that nobody may ask without signing in; an account of each role, named as the role."""
    with web(tmp_path_factory.mktemp("closed"), access={**CLOSED, "failed_sign_ins": 1000}) as served:
        for role in ROLES:
            Accounts(served.node.database).add(role.value, role, PASSWORD)
        served.put(view())
        yield served


@pytest.fixture(scope="module")
def tokens(closed: Web) -> dict[AccountRole, str]:
    return {role: Accounts(closed.node.database).issue(role.value, "tests", 1) for role in ROLES}


def every_route(served: Web) -> list[tuple[str, str, str]]:
    """Method, path and service of everything that the application answers, as its description lists it."""
    described = ask(served, "GET", "/openapi.json", **basic("viewer")).json["paths"]
    return [
        (method.upper(), path, (told.get("tags") or [""])[0])
        for path, methods in described.items()
        for method, told in methods.items()
    ]


def at_root(served: Web, path: str) -> str:
    return served.base.removesuffix("/dicom-web") + re.sub(r"\{[^}]*\}", "1.2.3", path)


def ask(served: Web, method: str, path: str, **headers: str) -> Answer:
    return served.ask(method, at_root(served, path), data=b"" if method == "POST" else None, **headers)


def test_every_route_names_the_role_it_needs_and_holds_to_it(closed: Web, tokens: dict[AccountRole, str]) -> None:
    found = every_route(closed)
    assert len(found) > 20, "the routes were not found"
    for method, path, service in found:
        where = f"{method} {path}"
        assert service in needs.NEEDS, f"{where}: node/web/needs.py does not say who may ask for it"
        assert ask(closed, method, path).status == 401, where
        need = needs.needed(service, method)
        for role in ROLES:
            status = ask(closed, method, path, **bearer(tokens[role])).status
            assert (status == 403) is not role.includes(need), f"{where} as {role}: {status}"
            assert status != 401, where


def test_a_password_signs_in_and_a_wrong_one_does_not(closed: Web) -> None:
    assert closed.get("/studies", **basic("viewer")).status == 200
    for wrong in (basic("viewer", PASSWORD + "!"), basic("nobody"), basic("", ""), {"Authorization": "Basic %%"}):
        answer = closed.get("/studies", **wrong)
        assert answer.status == 401
        assert "Basic realm" in str(answer.headers.get_all("WWW-Authenticate"))


def test_what_is_not_there_is_no_secret_but_is_told_to_nobody_unknown(closed: Web) -> None:
    assert closed.get("/nothing").status == 401
    assert closed.get("/nothing", **basic("viewer")).status == 404


def test_the_refused_are_told_what_is_allowed(closed: Web, tokens: dict[AccountRole, str]) -> None:
    refused = closed.ask("POST", "/studies", data=b"", **bearer(tokens[AccountRole.VIEWER]))
    assert (refused.status, refused.error) == (
        403,
        "role viewer: this may not be done; allowed: operator, admin",
    )


def test_tokens_are_kept_as_hashes_expire_and_can_be_revoked(closed: Web) -> None:
    accounts, records = Accounts(closed.node.database), kept.Accounts(closed.node.database)
    accounts.add("program", AccountRole.VIEWER, None)
    token = accounts.issue("program", "a dashboard", 1)
    assert closed.get("/studies", **bearer(token)).status == 200
    assert closed.get("/studies", **basic("program", "")).status == 401, "an account without a password"
    file = closed.node.config.storage.database_url.removeprefix("sqlite:///")
    content = b"".join(each.read_bytes() for each in Path(file).parent.glob(Path(file).name + "*"))
    assert token.encode() not in content
    assert PASSWORD.encode() not in content
    accounts.revoke(accounts.tokens()[-1].id)
    assert closed.get("/studies", **bearer(token)).status == 401
    ago = datetime.now(UTC) - timedelta(days=2)
    old = kept.Token(id=0, account="program", purpose="", created_at=ago, expires_at=ago + timedelta(days=1))
    records.add_token(old, local._sha(local.PREFIX + "old"))
    assert closed.get("/studies", **bearer(local.PREFIX + "old")).status == 401


def test_a_changed_password_ends_the_old_one_and_the_tokens_at_once(closed: Web) -> None:
    accounts = Accounts(closed.node.database)
    accounts.add("changing", AccountRole.VIEWER, PASSWORD)
    token = accounts.issue("changing", "", 1)
    assert closed.get("/studies", **basic("changing")).status == 200
    accounts.set_password("changing", PASSWORD + " staple")
    assert closed.get("/studies", **basic("changing")).status == 401
    assert closed.get("/studies", **bearer(token)).status == 401
    assert closed.get("/studies", **basic("changing", PASSWORD + " staple")).status == 200
    accounts.remove("changing")
    assert closed.get("/studies", **basic("changing", PASSWORD + " staple")).status == 401


def test_on_this_machine_viewers_need_no_account_until_a_proxy_may_bring_others(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        assert served.get("/studies").status == 200
        assert served.get("/studies", X_Forwarded_For="10.0.0.1").status == 401, "a proxy nobody named"
    with web(tmp_path, web={"port": 0, "public_url": "https://pacs.example/dicom-web"}) as shown:
        assert shown.get("/studies").status == 401
        assert ask(shown, "GET", "/health/live").status == 401
    opened = {"open": ["health", "metrics"]}
    with web(tmp_path, web={"port": 0, "public_url": "https://pacs.example/dicom-web"}, access=opened) as watched:
        assert [ask(watched, "GET", path).status for path in ("/health/live", "/metrics")] == [200, 200]
        assert watched.get("/studies").status == 401


def test_pages_of_other_origins_may_sign_in(tmp_path: Path) -> None:
    origin = "http://127.0.0.1:3000"
    with web(tmp_path, web={"port": 0, "allowed_origins": origin}, access=CLOSED) as served:
        asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
        assert served.ask("OPTIONS", "/studies", Origin=origin, **asked).status == 200
        refused = served.get("/studies", Origin=origin)
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, origin)


def test_too_many_failed_sign_ins_of_an_address_and_then_the_right_one_waits_too(tmp_path: Path) -> None:
    limits = {**CLOSED, "failed_sign_ins": 3, "behind_proxy": ["127.0.0.1"]}
    with web(tmp_path, access=limits) as served:
        Accounts(served.node.database).add("viewer", AccountRole.VIEWER, PASSWORD)
        wrong = [served.get("/studies", **bearer("x"), X_Forwarded_For="10.0.0.1").status for _ in range(4)]
        assert wrong == [401, 401, 401, 429]
        late = served.get("/studies", **basic("viewer"), X_Forwarded_For="10.0.0.1")
        assert late.status == 429
        assert 1 <= int(late.headers["Retry-After"]) <= 100
        assert served.get("/studies", **basic("viewer"), X_Forwarded_For="10.0.0.2").status == 200
        assert served.get("/studies", **basic("viewer"), X_Forwarded_For="10.0.0.1, 10.0.0.2").status == 200, (
            "what the caller himself claims, left of what the proxy says, was believed"
        )


def test_too_many_requests_of_an_address(tmp_path: Path) -> None:
    with web(tmp_path, access={**CLOSED, "requests_per_minute": 10}) as served:
        statuses = [served.get("/studies").status for _ in range(13)]
    assert statuses[:10] == [401] * 10
    assert 429 in statuses[10:]


def test_a_limit_fills_again_and_counts_an_ipv6_network_as_one() -> None:
    now = [0.0]
    limit = Limit(2, 10, lambda: now[0])
    limit.take("2001:db8::1")
    limit.take("2001:db8::2")
    assert limit.wait_s("2001:db8::3") == 5
    assert limit.wait_s("2001:db8:1::3") == 0
    now[0] = 5.0
    assert limit.wait_s("2001:db8::3") == 0


def test_sign_ins_are_told_and_what_was_typed_is_not(closed: Web, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    logs.configure(LoggingSettings(format="json", file=file))
    try:
        Accounts(closed.node.database).add("told", AccountRole.VIEWER, PASSWORD)
        for _ in range(3):
            closed.get("/studies", **basic("told"))
        closed.get("/studies", **basic("hunter2typed-here", "secret-typed"))
        closed.ask("POST", "/studies", data=b"", **basic("told"))
    finally:
        logs.configure(LoggingSettings())
    said = file.read_text()
    events = [json.loads(line)["event"] for line in said.splitlines()]
    found = {event: events.count(event) for event in ("signed in", "sign-in refused", "rights denied")}
    assert found == {"signed in": 1, "sign-in refused": 1, "rights denied": 1}
    assert not any(typed in said for typed in ("hunter2", "secret-typed", PASSWORD))


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        (
            {"access": {"open": ["all"]}},
            r"access\.open\.0: value 'all' is not allowed; allowed: a list of this-machine, ",
        ),
        (
            {"web": {"host": "0.0.0.0", "allow_non_loopback": True}},
            r"access\.tls\.certificate_file: value null is not allowed; .*everything-to-everybody",
        ),
        ({"access": {"tls": {"key_file": "a.key"}}}, r"access\.tls\.key_file: .*null without a certificate_file"),
        ({"access": {"tls": {"certificate_file": "absent.pem"}}}, r"access\.tls: the certificate"),
        (
            {"access": {"behind_proxy": ["nowhere"]}},
            r"access\.behind_proxy\.0: value 'nowhere' is not allowed; allowed: a list of IP",
        ),
        (
            {"access": {"oidc": {"issuer": "http://login.example", "audience": "a", "roles": {"a": "viewer"}}}},
            r"access\.oidc\.issuer: .*https beyond this machine",
        ),
        (
            {"access": {"oidc": {"issuer": "https://login.example", "audience": "a", "roles": {"a": "king"}}}},
            r"access\.oidc\.roles\.a: value 'king' is not allowed; allowed: a mapping to viewer",
        ),
    ],
)
def test_what_cannot_be_stops_the_start(sections: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        config_from(sections, tmp_path)


def test_beyond_this_machine_openness_takes_plain_words(tmp_path: Path) -> None:
    beyond = {"host": "0.0.0.0", "allow_non_loopback": True, "port": 0}
    config_from({"web": beyond, "access": {"open": "everything-to-everybody"}}, tmp_path)
    config_from({"web": beyond, "access": {"behind_proxy": "10.0.0.1"}}, tmp_path)


def test_commands_keep_accounts(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{database_url: 'sqlite:///{tmp_path}/new/node.sqlite', object_folder: new/objects}}")

    def run(*words: str, typed: str = "") -> str:
        arguments = ["account", *words, "--config", str(config)]
        done = CliRunner().invoke(command_line(arguments), arguments, input=typed)
        if isinstance(done.exception, ConfigError):
            return str(done.exception)
        assert done.exit_code == 0, done.output
        return done.output

    assert "password: not allowed; allowed: 12 to 1000 characters" in run(
        "add", "x", "--role", "admin", typed="short\n"
    )
    run("add", "kari", "--role", "operator", typed=PASSWORD + "\n")
    run("add", "dashboard", "--role", "viewer", "--no-password")
    token = run("token", "dashboard", "--for", "wall screen").strip()
    assert token.startswith("mammo_")
    assert "already" in run("add", "kari", "--role", "viewer", "--no-password")
    listed = run("list")
    assert re.search(r"kari +operator +yes", listed), listed
    assert re.search(r"1 +dashboard +wall screen", listed), listed
    assert token not in listed
    run("revoke", "1")
    run("password", "kari", typed=PASSWORD + "2\n")
    run("remove", "kari")
    assert "kari" not in run("list", "--json")
    audited = told(tmp_path / "mammo-node-data" / "audit", "Security Alert: User Security Attributes Changed")
    assert [each.text for each in audited] == [
        "kari: account added, operator",
        "dashboard: account added, viewer",
        "dashboard: token issued for 90 days: wall screen",
        "token 1: token revoked",
        "kari: password changed, tokens ended",
        "kari: account removed, with its tokens",
    ]


def test_the_event_channel_asks_who_it_is(closed: Web, tokens: dict[AccountRole, str]) -> None:
    url = f"ws://127.0.0.1:{closed.node.web.port}/ws/subscribers/RIS"
    with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None):
        pass
    assert refused.value.response.status_code == 403
    with connect(url, proxy=None, additional_headers=bearer(tokens[AccountRole.VIEWER])) as channel:
        assert channel.ping().wait(30), "a viewer may listen"
