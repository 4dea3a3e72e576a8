"""STOW-RS to servers that answer as they should, and to ones that do not."""

from __future__ import annotations

import email
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from node import destinations
from node.destinations import Outgoing, Sent, Target
from node.errors import PermanentDelivery, RetriableDelivery
from node.settings_destinations import Destination, DicomwebServer
from tests.support import require_tool, serving
from tests.support_exams import as_file, view

JSON = "application/dicom+json"
Reply = tuple[int, str, bytes]


@dataclass
class Scripted:
    """A server that answers a POST with what `reply` makes of the object's UID: status, media type, content.

    received: the files, by the UIDs in them; headers: of the latest request. holds: what a search for it finds.
    """

    reply: Callable[[str], Reply]
    holds: set[str] = field(default_factory=set)
    received: list[tuple[str, bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    url: str = ""


@contextmanager
def scripted(
    reply: Callable[[str], Reply], *holds: str, certificate: tuple[Path, Path] | None = None
) -> Iterator[Scripted]:
    """certificate: files of the certificate for localhost and of its key; without them it speaks plain HTTP."""
    made = Scripted(reply, set(holds))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_address[1]}/dicom-web"
    with serving(server):
        yield made


def _handler(made: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            made.connections += 1

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

        def do_POST(self) -> None:
            assert self.path == "/dicom-web/studies"
            made.headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(self.headers["content-length"]))
            head = f"MIME-Version: 1.0\r\nContent-Type: {self.headers['content-type']}\r\n\r\n".encode()
            (part,) = email.message_from_bytes(head + body).get_payload()
            assert part.get_content_type() == "application/dicom"
            file = body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]
            uid = str(dcmread(BytesIO(file)).SOPInstanceUID)
            made.received.append((uid, file))
            self._answer(*made.reply(uid))

        def do_GET(self) -> None:
            found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in made.holds if f"={uid}&" in self.path]
            self._answer(200, JSON, json.dumps(found).encode())

        def _answer(self, status: int, media_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            if status == 307:
                self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(content)

    return Handler


def us(value: int) -> dict[str, object]:
    return {"vr": "US", "Value": [value]}


def module(sequence: str, uid: str, **reason: int) -> bytes:
    """A Store Instances Response Module with the object in one of its sequences."""
    tags = {"warning": "00081196", "failure": "00081197"}
    item = {"00081155": {"vr": "UI", "Value": [uid]}, **{tags[name]: us(value) for name, value in reason.items()}}
    tag = {"stored": "00081199", "failed": "00081198", "other": "0008119A"}[sequence]
    return json.dumps({tag: {"vr": "SQ", "Value": [item]}}).encode()


def stored(uid: str) -> Reply:
    return 200, JSON, module("stored", uid)


def failed(http: int, reason: int) -> Callable[[str], Reply]:
    return lambda uid: (http, JSON, module("failed", uid, failure=reason))


def plain(http: int, content: bytes = b"", media_type: str = "text/html") -> Callable[[str], Reply]:
    return lambda _uid: (http, media_type, content)


@pytest.fixture
def objects(tmp_path: Path) -> list[Outgoing]:
    made = []
    for number in (1, 2, 3):
        dataset = view(number, PatientName="Ødegård^Åse", PatientID="secret-1")
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(as_file(dataset))
        made.append(Outgoing(sop_instance_uid=dataset.SOPInstanceUID, sop_class_uid=dataset.SOPClassUID, path=path))
    return made


def send(objects: list[Outgoing], url: str, **settings: object) -> list[Sent]:
    server = DicomwebServer(url=url, **{"connection_timeout_s": 5, "answer_timeout_s": 20, **settings})
    place = Destination(type="dicomweb_store", server=server, results=("summary_sc",))
    target = Target(name="place", destination=place, peer=None, calling_ae_title="MAMMO_NODE")
    return list(destinations.load("dicomweb_store").send(objects, target))


def outcome(sent: Sent) -> object:
    return type(sent.error) if sent.error else "delivered"


def test_files_go_byte_by_byte_one_per_request_on_one_connection(objects: list[Outgoing]) -> None:
    with scripted(stored) as server:
        sent = send(objects, server.url)
    assert [(each.sop_instance_uid, each.status, each.error) for each in sent] == [
        (each.sop_instance_uid, 0, None) for each in objects
    ]
    assert server.received == [(each.sop_instance_uid, each.path.read_bytes()) for each in objects]
    assert server.connections == 1
    assert server.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert server.headers["accept"].startswith("application/dicom+json")


XML = """<?xml version="1.0"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
<DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI">
<Value number="1">{uid}</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>"""


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (lambda uid: (200, f"{JSON}; charset=utf-8", module("stored", uid)), 0),
        (lambda uid: (200, JSON, b"[" + module("stored", uid) + b"]"), 0),
        (lambda uid: (200, "application/dicom+xml", XML.format(uid=uid).encode()), 0),
        (lambda uid: (202, JSON, module("stored", uid, warning=0xB000)), 0xB000),
        (plain(200), 0),
        (failed(409, 0x0111), 0x0111),
    ],
    ids=["JSON", "in a list", "XML", "warning", "nothing said", "duplicate"],
)
def test_what_counts_as_delivered(objects: list[Outgoing], reply: Callable[[str], Reply], status: int) -> None:
    with scripted(reply) as server:
        (sent,) = send(objects[:1], server.url)
    assert (sent.status, sent.error) == (status, None)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (failed(409, 0xA700), RetriableDelivery, "409, 0xA700: it is out of resources"),
        (failed(202, 0xA7FF), RetriableDelivery, "202, 0xA7FF"),
        (failed(409, 0xA900), PermanentDelivery, "409, 0xA900"),
        (failed(200, 0xC000), PermanentDelivery, "200, 0xC000"),
        (failed(409, 0x0122), PermanentDelivery, "409, 0x0122"),
        (failed(409, 0x0110), PermanentDelivery, "409, 0x0110"),
        (lambda uid: (409, JSON, module("other", uid, failure=0xC122)), PermanentDelivery, "409, 0xC122"),
        (plain(400), PermanentDelivery, "400"),
        (plain(307), PermanentDelivery, "307"),
        (plain(404), PermanentDelivery, "404"),
        (plain(409, b"{"), PermanentDelivery, "409"),
        (plain(413), PermanentDelivery, "413"),
        (plain(401), RetriableDelivery, "401"),
        (plain(429), RetriableDelivery, "429"),
        (plain(500), RetriableDelivery, "500"),
        (plain(503, b"<html>busy</html>"), RetriableDelivery, "503"),
        (plain(200, b"<html>sign in</html>"), RetriableDelivery, "not what became of the object"),
        (plain(202), RetriableDelivery, "not what became of the object"),
        (lambda _uid: (200, JSON, module("stored", "1.2.3")), RetriableDelivery, "not what became of the object"),
        (plain(200, b"0" * 3_000_000), RetriableDelivery, "not what became of the object"),
    ],
)
def test_what_is_tried_again_and_what_is_not(
    objects: list[Outgoing], reply: Callable[[str], Reply], error: type[Exception], words: str
) -> None:
    with scripted(reply) as server:
        (sent,) = send(objects[:1], server.url)
    assert type(sent.error) is error
    assert words in str(sent.error)


@pytest.mark.parametrize("reply", [failed(409, 0xB00E), failed(409, 0x0110), plain(409)])
def test_what_is_refused_but_found_there_is_delivered(objects: list[Outgoing], reply: Callable[[str], Reply]) -> None:
    with scripted(reply, objects[0].sop_instance_uid) as server:
        sent = send(objects[:2], server.url)
    assert [outcome(each) for each in sent] == ["delivered", PermanentDelivery]


def test_one_refused_object_keeps_no_other_back(objects: list[Outgoing]) -> None:
    refused = objects[1].sop_instance_uid
    with scripted(lambda uid: failed(409, 0xA900)(uid) if uid == refused else stored(uid)) as server:
        sent = send(objects, server.url)
    assert [outcome(each) for each in sent] == ["delivered", PermanentDelivery, "delivered"]
    assert len(server.received) == 3


def test_a_server_that_hangs_is_left_after_the_time_that_was_given(objects: list[Outgoing]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dicom-web"
        sent = send(objects[:2], url, answer_timeout_s=0.3)
    assert [outcome(each) for each in sent] == [RetriableDelivery] * 2
    assert "did not answer in 0.3 s" in str(sent[0].error)


def _hang_up(listening: socket.socket) -> None:
    listening.accept()[0].close()


def test_a_server_that_ends_the_connection_is_tried_again(objects: list[Outgoing]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        thread = threading.Thread(target=_hang_up, args=(rude,))
        thread.start()
        (sent,) = send(objects[:1], f"http://127.0.0.1:{rude.getsockname()[1]}/dicom-web")
        thread.join()
    assert outcome(sent) is RetriableDelivery
    assert "cannot be reached, or ended the connection" in str(sent.error)


def test_headers_of_a_file_are_sent_and_read_anew_and_its_absence_is_no_end(
    objects: list[Outgoing], tmp_path: Path
) -> None:
    file = tmp_path / "headers"
    with scripted(stored) as server:
        for token in ("first", "second"):
            file.write_text(f"# sign-in\nAuthorization: Bearer {token}\nX-Site: Nord\n")
            send(objects[:1], server.url, headers_file=file)
            assert (server.headers["authorization"], server.headers["x-site"]) == (f"Bearer {token}", "Nord")
        file.unlink()
        sent = send(objects, server.url, headers_file=file)
    assert [outcome(each) for each in sent] == [RetriableDelivery] * 3
    assert "destinations.place.server: " in str(sent[0].error)


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    objects: list[Outgoing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with scripted(stored) as server:
        (sent,) = send(objects[:1], server.url)
    assert sent.error is None
    assert "authorization" not in server.headers


def test_a_certificate_that_nobody_vouches_for_is_told_and_one_that_the_file_has_is_taken(
    objects: list[Outgoing], tmp_path: Path
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = [require_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    subprocess.run([*made, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True, timeout=60)
    with scripted(stored, certificate=(certificate, key)) as server:
        (sent,) = send(objects[:1], server.url)
        assert outcome(sent) is RetriableDelivery
        assert "no trusted connection: self-signed certificate" in str(sent.error)
        assert server.received == []
        (sent,) = send(objects[:1], server.url, ca_file=certificate)
        assert sent.error is None
        (sent,) = send(objects[:1], server.url.replace("localhost", "127.0.0.1"), ca_file=certificate)
        assert "IP address mismatch" in str(sent.error)


def test_what_is_told_never_has_anything_of_the_patient(objects: list[Outgoing]) -> None:
    quoting = json.dumps({"00081198": {"Value": [{"00081197": us(0xC000), "00100010": {"Value": ["Ødegård^Åse"]}}]}})
    replies = [plain(409, quoting.encode(), JSON), plain(500, "Ødegård secret-1".encode())]
    for reply in replies:
        with scripted(reply) as server:
            (sent,) = send(objects[:1], server.url)
        assert not any(part in f"{sent.error!r}" for part in ("Ødegård", "Åse", "secret-1", "%C3"))
