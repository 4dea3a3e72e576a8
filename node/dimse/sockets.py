"""What every association needs of its socket."""

from __future__ import annotations

import socket

from pynetdicom import evt


def no_delay(event: evt.Event) -> None:
    """TCP_NODELAY: without it every small object waits some 40 ms for a delayed acknowledgement."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
