"""Syslog messages (RFC 5424) and the connections they go over: TLS (RFC 5425, PS3.15 A.6), TCP, UDP (A.7).

Syslog has no answers. What was sent counts as taken when the other host's kernel has acknowledged every byte and the
connection still stands; a server that dies right then loses what it had not kept, and the sequenceId of the next
message shows the gap. What was sent and is not known to be taken is sent again: twice is better than never.
"""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from typing import Protocol

from node.audit.trail import Record
from node.dimse.tls import client_context
from node.settings_audit import SyslogSettings

_NOTICE, _WARNING = 85, 84  # facility 10, security and authorization; severity 5 and 4
_WELL = 'EventOutcomeIndicator="0"'
_MSGID = "DICOM+RFC3881"  # PS3.15 A.6
_SEQUENCE = 2**31 - 1  # RFC 5424 7.3.1
_LOOK_S = 0.005
_REFUSED_WITHIN_S = 0.2


class Line(Protocol):
    """A way to the server. Every method raises OSError."""

    def send(self, message: bytes) -> None:
        """Put one message on its way."""

    def settle(self) -> None:
        """Return when what was sent is taken, as far as that can be known."""

    def close(self) -> None:
        """No more."""


def message(record: Record, machine: str) -> bytes:
    """The syslog message of a record. machine: the host's name."""
    priority = _NOTICE if _WELL in record.message else _WARNING
    at = record.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    host = machine.encode("ascii", "replace").decode()[:255] or "-"
    sequence = f'[meta sequenceId="{(record.number - 1) % _SEQUENCE + 1}"]'
    header = f"<{priority}>1 {at} {host} mammo-node - {_MSGID} {sequence} \N{ZERO WIDTH NO-BREAK SPACE}"
    return (header + record.message).encode()


def connected(settings: SyslogSettings) -> Line:
    """A new connection. Raises OSError, and ConfigError where a file of TLS cannot be used."""
    if settings.host is None:
        raise OSError("audit.syslog.host is not set")
    if settings.transport == "udp":
        return Datagrams(settings.host, settings.port)
    plain = socket.create_connection((settings.host, settings.port), timeout=settings.timeout_s)
    if settings.transport == "tcp":
        return Stream(plain, settings.timeout_s)
    try:
        name = settings.tls.certificate_name or settings.host
        return Stream(client_context(settings.tls).wrap_socket(plain, server_hostname=name), settings.timeout_s)
    except BaseException:
        plain.close()
        raise


class Stream:
    """TCP or TLS; each message with its length before it (RFC 5425 4.3, RFC 6587 3.4.1)."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection, self._timeout_s = connection, timeout_s
        self._is_new = True

    def send(self, message: bytes) -> None:
        """See `Line`."""
        self._stands()
        self._connection.settimeout(self._timeout_s)
        self._connection.sendall(b"%d " % len(message) + message)

    def settle(self) -> None:
        """See `Line`. A server that does not like our certificate says so only after TLS 1.3 has begun: wait for it."""
        if self._is_new:
            select.select([self._connection], [], [], _REFUSED_WITHIN_S)
            self._is_new = False
        end = time.monotonic() + self._timeout_s
        while self._unacknowledged():
            self._stands()
            if time.monotonic() > end:
                raise TimeoutError("the server takes nothing")
            time.sleep(_LOOK_S)
        self._stands()

    def close(self) -> None:
        """See `Line`."""
        with suppress(OSError):
            self._connection.close()

    def _unacknowledged(self) -> int:
        """Bytes that the other host has not acknowledged (tcp(7), SIOCOUTQ)."""
        found = fcntl.ioctl(self._connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", found)[0])

    def _stands(self) -> None:
        """Raises OSError when the server has closed the connection. It has nothing to say; what it says is dropped."""
        self._connection.settimeout(0)
        try:
            while self._connection.recv(4096):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        raise ConnectionError("the server closed the connection")


class Datagrams:
    """UDP: nobody knows what becomes of it."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.connect(address)

    def send(self, message: bytes) -> None:
        """See `Line`."""
        self._socket.send(message)

    def settle(self) -> None:
        """See `Line`."""

    def close(self) -> None:
        """See `Line`."""
        self._socket.close()
