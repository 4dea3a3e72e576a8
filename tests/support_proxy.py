"""A network that fails: a TCP proxy on loopback that cuts some connections in the middle, for real."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class FailingProxy:
    """Passes connections on to `target`. Of every five, `of_five` are cut (RST) after some bytes of one direction."""

    target: int
    of_five: int = 1
    cuts: int = 0
    port: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(5))
    _count: int = 0

    def limit(self) -> tuple[int | None, int | None]:
        """Bytes of (requests, answers) after which the next connection is cut."""
        self._count += 1
        if self._count % 5 >= self.of_five:
            return None, None
        self.cuts += 1
        if self._count % 2:
            return self._random.choice((0, 100, 2_000, 20_000)), None
        return None, self._random.choice((0, 300, 500))  # what came of the object nobody hears


@contextmanager
def failing_proxy(target: int, of_five: int = 1) -> Iterator[FailingProxy]:
    """A proxy for the length of the block."""
    proxy = FailingProxy(target, of_five)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(listener, proxy), daemon=True)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _accept(listener: socket.socket, proxy: FailingProxy) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = socket.create_connection(("127.0.0.1", proxy.target), 10)
        except OSError:
            near.close()
            continue
        requests, answers = proxy.limit()
        for ends, limit in (((near, far), requests), ((far, near), answers)):
            threading.Thread(target=_pass, args=(*ends, limit), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        while content := source.recv(65536):
            passed += len(content)
            if limit is not None and passed > limit:
                for each in (source, sink):  # an RST, not a goodbye
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.shutdown(socket.SHUT_RDWR)
                break
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
    for each in (source, sink):
        if limit is not None and passed > limit:
            each.close()
