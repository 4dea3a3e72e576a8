"""The least that can take what `dcmsend` sends: bytes to a file, fsync, answer. `python benchmarks/_raw.py FOLDER PORT`

No DICOM but what the sender insists on: the association is accepted as asked for, and the answer to a C-STORE is
the same bytes but for the message ID. Nothing is parsed, hashed, named or indexed.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from pathlib import Path

_MOST = 131072


def accepted(request: bytes) -> bytes:
    """The A-ASSOCIATE-AC to an A-ASSOCIATE-RQ: every context, with the first syntax it was proposed with."""
    items, offset = [], 74
    while offset < len(request):
        kind, length = struct.unpack_from(">BxH", request, offset)
        body = request[offset + 4 : offset + 4 + length]
        offset += 4 + length
        if kind == 0x10:
            items.append(struct.pack(">BxH", kind, length) + body)
        elif kind == 0x20:
            abstract = 4 + struct.unpack_from(">H", body, 6)[0]
            transfer = body[4 + abstract : 8 + abstract + struct.unpack_from(">H", body, 6 + abstract)[0]]
            items.append(struct.pack(">BxHB3x", 0x21, 4 + len(transfer), body[0]) + transfer)
    uid = b"1.2.3"
    user = struct.pack(">BxHL", 0x51, 4, _MOST) + struct.pack(">BxH", 0x52, len(uid)) + uid
    body = request[6:74] + b"".join(items) + struct.pack(">BxH", 0x50, len(user)) + user
    return struct.pack(">BxL", 2, len(body)) + body


def stored(context_id: int, message_id: int) -> bytes:
    """A C-STORE-RSP with status 0000."""
    elements = [(0x0100, 0x8001), (0x0120, message_id), (0x0800, 0x0101), (0x0900, 0)]
    command = b"".join(struct.pack("<HHLH", 0, tag, 2, value) for tag, value in elements)
    command = struct.pack("<HHLL", 0, 0, 4, len(command)) + command
    value = struct.pack(">LBB", len(command) + 2, context_id, 3) + command
    return struct.pack(">BxL", 4, len(value)) + value


def serve(connection: socket.socket, folder: Path) -> None:
    """One association."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer, end, number, message_id = memoryview(bytearray(4 * 1024 * 1024)), 0, 0, 0
    file = None
    while count := connection.recv_into(buffer[end:]):
        end += count
        offset = 0
        while offset + 6 <= end:
            kind, length = struct.unpack_from(">BxL", buffer, offset)
            if offset + 6 + length > end:
                break
            pdu, offset = buffer[offset : offset + 6 + length], offset + 6 + length
            if kind == 1:
                connection.sendall(accepted(bytes(pdu)))
            elif kind == 5:
                connection.sendall(struct.pack(">BxLL", 6, 4, 0))
            elif kind == 4:
                at = 6
                while at < len(pdu):
                    size, context_id, control = struct.unpack_from(">LBB", pdu, at)
                    value, at = pdu[at + 6 : at + 4 + size], at + 4 + size
                    if control & 1:
                        message_id = struct.unpack("<H", bytes(value).split(b"\0\0\x10\x01\x02\0\0\0")[1][:2])[0]
                        continue
                    if file is None:
                        number += 1
                        file = os.open(folder / f"{threading.get_ident()}-{number}", os.O_WRONLY | os.O_CREAT)
                    os.write(file, value)
                    if control & 2:
                        os.fsync(file)
                        os.close(file)
                        file = None
                        connection.sendall(stored(context_id, message_id))
        buffer[: end - offset] = buffer[offset:end]
        end -= offset


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            threading.Thread(target=serve, args=(listening.accept()[0], folder), daemon=True).start()


if __name__ == "__main__":
    main()
