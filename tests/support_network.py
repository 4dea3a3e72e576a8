"""Bytes on the wire, well and badly formed, for peers that no library would play."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import pytest

MG = "1.2.840.10008.5.1.4.1.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
COMMAND, LAST_OF_COMMAND, DATA, LAST_OF_DATA = 1, 3, 0, 2


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU; `length` where it should not be true."""
    return struct.pack(">BxL", kind, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def associate(calling: str = "PACS", called: str = "MAMMO_NODE", contexts: Sequence[str] = (MG,)) -> bytes:
    """An A-ASSOCIATE-RQ; context 1 is the first abstract syntax, 3 the second, …, with Explicit VR Little Endian."""
    items = item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract in enumerate(contexts):
        syntaxes = item(0x30, abstract.encode()) + item(0x40, EXPLICIT.encode())
        items += item(0x20, struct.pack("B3x", 2 * number + 1) + syntaxes)
    items += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    return pdu(1, struct.pack(">HH", 1, 0) + titles + bytes(32) + items)


def value(control: int, data: bytes, context_id: int = 1) -> bytes:
    """One presentation data value."""
    return struct.pack(">LBB", len(data) + 2, context_id, control) + data


def data(*values: bytes) -> bytes:
    """A P-DATA-TF."""
    return pdu(4, b"".join(values))


def element(number: int, content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return struct.pack("<HHL", 0, number, len(content)) + content


def c_store(sop_instance_uid: str, sop_class_uid: str = MG, message_id: int = 1) -> bytes:
    """The command set of a C-STORE-RQ."""
    body = element(0x0002, sop_class_uid.encode()) + element(0x0100, struct.pack("<H", 1))
    body += element(0x0110, struct.pack("<H", message_id)) + element(0x0700, struct.pack("<H", 0))
    body += element(0x0800, struct.pack("<H", 0)) + element(0x1000, sop_instance_uid.encode())
    return element(0x0000, struct.pack("<L", len(body))) + body


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A TCP connection from one of loopback's addresses."""
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


def established(port: int, address: str = "127.0.0.1", **request: object) -> socket.socket:
    """A connection whose association was accepted."""
    peer = connect(port, address)
    peer.sendall(associate(**request))  # type: ignore[arg-type]
    answer = answered(peer)
    assert answer[:1] == b"\x02", f"no association: {answer!r}"
    return peer


def answered(peer: socket.socket) -> bytes:
    """The next PDU that the node sends; b"" when it has closed the connection."""
    try:
        header = _exactly(peer, 6)
        return header + _exactly(peer, struct.unpack(">xxL", header)[0]) if header else b""
    except ConnectionError:
        return b""
    except TimeoutError:
        pytest.fail("the node neither answered nor closed the connection", pytrace=False)


def _exactly(peer: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        more = peer.recv(count - len(content))
        if not more:
            return b""
        content += more
    return content
