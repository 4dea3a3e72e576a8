"""The MLLP listener: an event loop in a thread of the node, on a socket that is bound before the start returns.

The framing is python-hl7's. A peer that is silent, slow or talks nonsense costs its own connection and no other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from asyncio import IncompleteReadError
from collections.abc import Callable

from hl7.mllp import HL7StreamReader, HL7StreamWriter, InvalidBlockError, start_hl7_server

from node import logs
from node.address import is_loopback, listen
from node.dimse import tls
from node.dimse.tls import Certificates
from node.settings_hl7 import Hl7Settings

log = logs.get(__name__)

_HANDSHAKE_S = 10
_GRACE_S = 3


class Hl7Listener:
    """Takes messages where `settings` says. Does nothing where the port is None."""

    def __init__(self, settings: Hl7Settings, answer: Callable[[bytes], bytes]) -> None:
        """answer: called in a thread, with a message without its frame."""
        self._settings, self._answer = settings, answer
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._open = 0

    @property
    def port(self) -> int | None:
        """The port it listens on, also when the config asked for any; None when it takes nothing."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else None

    def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound, ConfigError when TLS cannot be used."""
        at = self._settings
        if at.port is None:
            return
        context = tls.renewing(Certificates(at.tls)) if at.tls.is_on else None
        self._socket = listening = listen(at.host, at.port)
        ready = threading.Event()
        serving = self._serve(listening, context, ready)
        self._thread = threading.Thread(target=asyncio.run, args=(serving,), name="hl7", daemon=True)
        self._thread.start()
        ready.wait(_GRACE_S)
        log.info("HL7 listening", host=at.host, port=self.port, tls=at.tls.is_on)

    def stop(self) -> None:
        """Stop listening. A message that was kept and not answered any more is answered when it comes again."""
        if self._thread is None or self._loop is None or self._ended is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_GRACE_S)
        self._thread = self._socket = None

    async def _serve(self, at: socket.socket, context: ssl.SSLContext | None, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        secured = {"ssl": context, "ssl_handshake_timeout": _HANDSHAKE_S} if context is not None else {}
        limit = self._settings.maximum_message_bytes
        server = await start_hl7_server(self._talk, sock=at, limit=limit, **secured)
        ready.set()
        await self._ended.wait()
        server.close()

    async def _talk(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        """One connection: message after message, each answered before the next is read."""
        self._open += 1
        try:
            if self._welcome(writer):
                while True:
                    async with asyncio.timeout(self._settings.idle_timeout_s):
                        content = await reader.readblock()
                    writer.writeblock(await asyncio.to_thread(self._answer, content))
                    async with asyncio.timeout(self._settings.idle_timeout_s):
                        await writer.drain()
        except InvalidBlockError:
            log.warning("HL7 connection closed: no MLLP")
        except ValueError:
            log.warning("HL7 connection closed: the message is too large")
        except (OSError, IncompleteReadError, TimeoutError):
            pass  # the peer has gone, or has nothing to say
        finally:
            self._open -= 1
            writer.close()

    def _welcome(self, writer: HL7StreamWriter) -> bool:
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if self._open > self._settings.maximum_connections:
            log.warning("HL7 connection refused: too many", address=address)
            return False
        if not admitted(address, self._settings.senders):
            log.warning("HL7 connection refused: not among hl7.senders", address=address)
            return False
        return True


def admitted(address: str, senders: tuple[str, ...]) -> bool:
    """Whether messages may come from this IP address; with no senders named: from this machine only."""
    if not senders:
        return is_loopback(address)
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in ipaddress.ip_network(each, strict=False) for each in senders)
