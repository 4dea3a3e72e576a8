"""A RIS that speaks HL7 v2 by hl7apy, where the node speaks it by python-hl7: the two judge each other."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pydicom
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPServer
from hl7apy.parser import parse_message
from pydicom.dataset import Dataset

from node.results import Report, measurement_sr
from tests.support import serving


def measurement_report(report: Report, **changes: object) -> Dataset:
    """The exam's measurement report, as read from its file. changes: keyword → value."""
    made = measurement_sr.build(report, measurement_sr.OPTIONS())[""]
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return pydicom.dcmread(io.BytesIO(as_bytes(made)))


def as_bytes(report: Dataset) -> bytes:
    buffer = io.BytesIO()
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    pydicom.dcmwrite(buffer, report, enforce_file_format=True)
    return buffer.getvalue()


def judged(text: str) -> Message:
    """The message as hl7apy reads it: groups, required fields, data types, lengths. Raises where it is not in order."""
    message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    message.validate()
    return message


def segments(message: Message, name: str) -> list[Any]:
    """All segments of that name, in whatever groups they are."""
    found: list[Any] = []
    for child in message.children:
        if child.classname == "Group":
            found += segments(child, name)
        elif child.name == name:
            found.append(child)
    return found


@dataclass
class Ris:
    """Takes ORU^R01; what it does with each is the next word of its script, and AA when there is none.

    "AA", "AE", "AR", "locked" (AE with 206); "silent": no answer; "other": the answer to another message only;
    "late": that one first; "noise": something that is no HL7.
    """

    port: int = 0
    script: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    text: str = ""
    silence_s: float = 1.0

    def answer(self, text: str) -> str:
        message = judged(text)
        self.received.append(text)
        word = self.script.pop(0) if self.script else "AA"
        if word == "silent":
            time.sleep(self.silence_s)
            return ""
        if word == "noise":
            return "\x0bHTTP/1.1 400 Bad Request\x1c\r"
        own = self._ack(message, {"locked": "AE", "late": "AA", "other": "AA"}.get(word, word), word == "locked")
        other = self._ack(message, "AE", False, "SOMETHING-ELSE") if word in ("late", "other") else ""
        return other if word == "other" else other + own

    def _ack(self, message: Message, code: str, locked: bool, identifier: str = "") -> str:
        ack = Message("ACK", version="2.5.1", validation_level=VALIDATION_LEVEL.STRICT)
        ack.msh.msh_7, ack.msh.msh_9, ack.msh.msh_10, ack.msh.msh_11 = "20261201", "ACK^R01^ACK", "RIS1", "P"
        ack.msa.msa_1, ack.msa.msa_2 = code, identifier or message.msh.msh_10.value
        if code != "AA":
            ack.add_segment("ERR")
            ack.err.err_3 = "206^Application record locked^HL70357" if locked else "204^Unknown key identifier^HL70357"
            ack.err.err_4 = "E"
            ack.err.err_8 = self.text
        return str(ack.to_mllp())


class _Taken(AbstractHandler):
    def __init__(self, message: str, ris: Ris) -> None:
        super().__init__(message)
        self._ris = ris

    def reply(self) -> str:
        return self._ris.answer(self.incoming_message)


class _Wrong(AbstractErrorHandler):
    """What hl7apy cannot take is kept for the test to see, and not answered."""

    def __init__(self, error: Exception, message: str, ris: Ris) -> None:
        super().__init__(error, message)
        self._ris = ris

    def reply(self) -> str:
        self._ris.received.append(f"not in order: {self.exc!r}")
        return ""


@contextmanager
def listening_ris(port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Ris]:
    """A RIS at a port of loopback; with a context it speaks TLS."""
    ris = Ris()
    server = MLLPServer("127.0.0.1", port, {"ORU^R01^ORU_R01": (_Taken, ris), "ERR": (_Wrong, ris)}, timeout=20)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ris.port = int(server.server_address[1])
    with serving(server):
        yield ris


def framed(text: str | bytes) -> bytes:
    return b"\x0b" + (text if isinstance(text, bytes) else text.encode()) + b"\x1c\r"


def answered(connection: socket.socket) -> str:
    """The next message on a connection, without its frame; "" when it is closed."""
    content = b""
    while not content.endswith(b"\x1c\r"):
        more = connection.recv(65536)
        if not more:
            return ""
        content += more
    return content[1:-2].decode()
