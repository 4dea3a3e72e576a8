"""The web server itself: where it listens, who may ask, what it logs, how it stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import checks, logs
from node.settings import LoggingSettings, WebSettings
from node.web.server import WebServer
from tests.support_exams import exam, settings, view
from tests.support_web import Web, path_of, web


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Web]:
    with web(tmp_path, web={"port": 0, "allowed_origins": "http://127.0.0.1:3000"}) as served:
        served.put(*exam())
        yield served


def test_without_a_port_nothing_listens() -> None:
    async def nothing(*_: object) -> None: ...

    server = WebServer(WebSettings(), nothing)
    server.start()
    assert server.port is None
    server.stop()


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        config = settings(tmp_path, web={"port": busy.getsockname()[1]})
        assert not next(check for check in checks.every(config) if check.what == "web address").ok
        with pytest.raises(OSError, match="in use"):
            WebServer(config.web, lambda *_: None).start()  # type: ignore[arg-type]


def test_pages_of_an_allowed_origin_may_read_and_others_may_not(served: Web) -> None:
    allowed = served.get("/studies", Origin="http://127.0.0.1:3000")
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:3000"
    assert served.get("/studies", Origin="http://elsewhere").headers["Access-Control-Allow-Origin"] is None
    asked = served.ask(
        "OPTIONS",
        "/studies",
        Origin="http://127.0.0.1:3000",
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="accept,authorization",
    )
    assert asked.status == 200
    assert "accept" in asked.headers["Access-Control-Allow-Headers"].lower()


def test_without_origins_no_page_from_elsewhere_may_read(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        assert served.get("/studies", Origin="http://x").headers["Access-Control-Allow-Origin"] is None


def test_a_name_that_was_made_to_lead_here_is_not_answered(served: Web) -> None:
    """So that a web page from elsewhere cannot reach the node through its visitor's browser."""
    assert served.get("/studies", Host="evil.example").status == 421
    for odd in ("[::1", "evil_host.example", "a b", ""):
        assert served.get("/studies", Host=odd).status in (400, 421), odd
    assert served.get("/studies", Host="localhost").status == 200


def test_links_are_where_the_asker_is_or_where_the_proxy_shows_them(served: Web, tmp_path: Path) -> None:
    (study,) = served.get("/studies", Host=f"localhost:{served.node.web.port}").json
    assert study["00081190"]["Value"][0].startswith(f"http://localhost:{served.node.web.port}/dicom-web/")
    shown = {"port": 0, "public_url": "https://pacs.example/dicom"}
    with web(tmp_path / "other", web=shown, access={"open": "everything-to-everybody"}) as other:
        other.put(view())
        (study,) = other.get("/studies", Host="pacs.example").json
        assert study["00081190"]["Value"][0].startswith("https://pacs.example/dicom/studies/")


def test_the_description_of_the_interface_is_served_and_loads_nothing(served: Web) -> None:
    root = served.base.removesuffix("/dicom-web")
    paths = served.get(f"{root}/openapi.json").json["paths"]
    assert "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}" in paths
    for page in ("/docs", "/redoc"):
        assert served.get(root + page).status == 404


def test_requests_are_logged_without_their_query_and_without_paths_that_are_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    logs.configure(LoggingSettings(format="json", file=file))
    try:
        with web(tmp_path) as served:
            served.put(view())
            served.get("/studies?PatientName=Hansen&PatientID=P17")
            served.get("/studies?StudyDate=Hansen")
            served.get("/patients/P17-Hansen")
            served.get(path_of(view()) + "/metadata")
    finally:
        logs.configure(LoggingSettings())
    text = file.read_text()
    assert "Hansen" not in text
    assert "P17" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 400, 404, 200]
    assert requests[3]["path"].endswith("/metadata")


def test_a_stop_while_an_answer_is_read_slowly_takes_no_longer_than_its_grace(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        served.put(*exam())
        connection = socket.create_connection(("127.0.0.1", served.node.web.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        study = view().StudyInstanceUID
        connection.sendall(f"GET /dicom-web/studies/{study} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(10) == b"HTTP/1.1 2"
        began = time.monotonic()
        served.node.web.stop()
        assert time.monotonic() - began < 4
        connection.close()
    assert not [each for each in threading.enumerate() if each.name == "web"]


def test_a_database_that_is_gone_is_503(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        served.node.database.engine.dispose()
        database = tmp_path / "node.sqlite"
        database.rename(tmp_path / "away")
        database.mkdir()
        for path in ("/studies", "/studies/1.2.3", "/studies/1.2.3/metadata"):
            answer = served.get(path)
            assert (answer.status, "database" in answer.error) == (503, True), path
        database.rmdir()
        (tmp_path / "away").rename(database)
        assert served.get("/studies").status == 200
