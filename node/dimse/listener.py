"""Where associations come in. It only accepts: whatever a peer may hold up has a thread of its own, and a limit."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Any, cast

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node import logs
from node.audit.doors import Doors
from node.dimse.tls import Certificates
from node.dimse.upper import Arrives, UpperAssociation, WatchedAssociation, Wire
from node.settings_network import NetworkSettings

log = logs.get(__name__)

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a listener has to know of those who come. left: called with every association that ended, however it did.

    doors: is told of those who were not let in.
    """

    network: NetworkSettings
    certificates: Certificates | None
    arrives: Arrives
    left: Callable[[Association], None]
    doors: Doors


class Listener(ThreadedAssociationServer):
    """pynetdicom's server; connections are capped in all and for each address, and TLS is not begun while accepting."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any, admission: Admission, **options: Any) -> None:
        self.admission = admission
        self._counting = threading.Lock()
        self._connected: set[tuple[str, int]] = set()
        self._refusals, self._told_at = 0, 0.0
        super().__init__(*arguments, **options)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept, and nothing that the peer could hold up."""
        connection, address = cast("socket.socket", self.socket).accept()
        connection.settimeout(self.admission.network.network_timeout_s)
        with contextlib.suppress(OSError):  # the peer may have gone
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        """Is there room for a connection from there?"""
        with self._counting:
            here = Counter(host for host, _ in self._connected)
            full = len(self._connected) >= self.admission.network.maximum_connections
            if full or here[client_address[0]] >= self.admission.network.maximum_connections_per_address:
                self._refused(client_address[0])
                return False
            self._connected.add(client_address[:2])
        return True

    def _refused(self, address: str) -> None:
        """Tell, but no more often than once a second."""
        self._refusals += 1
        if time.monotonic() - self._told_at > 1:
            log.warning("connections refused: too many are open", latest_address=address, count=self._refusals)
            self._refusals, self._told_at = 0, time.monotonic()

    def forget(self, client_address: Any) -> None:
        """A connection has ended."""
        with self._counting:
            self._connected.discard(client_address[:2])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that did not become an association."""
        problem = sys.exception()
        expected = isinstance(problem, OSError)  # TLS was not agreed on, or the peer has gone
        log.warning(
            "connection failed", address=client_address[0], problem=type(problem).__name__, exc_info=not expected
        )
        self.forget(client_address)

    def shutdown(self) -> None:
        """Listen no more; what is connected stays."""
        BaseServer.shutdown(self)
        self.server_close()

    def service_actions(self) -> None:
        """Nothing: pynetdicom collects garbage here, while others wait to be accepted."""


class Handler(RequestHandler):
    """One connection: TLS where it is configured, then an association in a thread of its own."""

    server: Listener

    def handle(self) -> None:
        """Start the association. Raises OSError when TLS cannot be agreed on."""
        if self.server.admission.certificates is not None:
            try:
                self._begin_tls(self.server.admission.certificates.context())
            except OSError as error:
                why = getattr(error, "reason", None) or type(error).__name__
                self.server.admission.doors.failed(self.client_address[0], str(why))
                raise
        association = self._association()
        evt.trigger(association, evt.EVT_CONN_OPEN, {"address": self.client_address})
        association.start()

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        network = self.server.admission.network
        self.request.settimeout(network.association_timeout_s)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(network.network_timeout_s)

    def _association(self) -> Association:
        server = self.server
        association = self._made()
        association.ended = self._ended
        association.name = f"AcceptorThread-{next(_NUMBERS)}"  # pynetdicom knows an acceptor's by "AcceptorThread"
        association._server = server
        association.set_socket(Wire(association, client_socket=self.request))
        association.requestor.address_info = self.remote
        acceptor = association.acceptor
        acceptor.ae_title, acceptor.address_info = server.ae_title, self.local
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        acceptor.supported_contexts = server.contexts  # negotiation reads them only; pynetdicom copies all 2,000
        _bind(server, association)
        return association

    def _made(self) -> WatchedAssociation:
        network = self.server.admission.network
        if network.upper_layer == "stock":
            return WatchedAssociation(self.ae, MODE_ACCEPTOR)
        return UpperAssociation(self.ae, MODE_ACCEPTOR, self.server.admission.arrives, network.minimum_bytes_per_s)

    def _ended(self, association: Association) -> None:
        self.server.forget(self.client_address)
        self.server.admission.left(association)


def doors_of(association: Association) -> Doors:
    """Where to tell of what the association's caller may not do."""
    server = getattr(association, "_server", None)  # set above; our own associations have none
    return server.admission.doors if isinstance(server, Listener) else Doors()


def _bind(server: Listener, association: Association) -> None:
    """The server's handlers become the association's: one of an intervention, any number of a notification."""
    for event in server.get_events():
        bound = server.get_handlers(event)
        for handler, arguments in [bound] if isinstance(bound, tuple) else bound:
            if handler is not None:
                association.bind(event, handler, arguments)
