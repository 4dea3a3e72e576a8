"""The web server: uvicorn in a thread of the node, on a socket that is bound before the start returns."""

from __future__ import annotations

import asyncio
import socket
import threading

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from node import config_access, logs
from node.address import listen
from node.dimse import tls
from node.dimse.tls import Certificates
from node.settings import WebSettings
from node.settings_access import AccessSettings

log = logs.get(__name__)

_CONNECTIONS = 256  # at the same time; more are answered with 503
_MESSAGE_BYTES = 64 * 1024  # of a websocket, where nobody has anything to say to us
_GRACE_S = 2  # for answers that are under way at a stop


class WebServer:
    """Serves an application where `settings` says. Does nothing where the port is None."""

    def __init__(self, settings: WebSettings, app: ASGIApp, access: AccessSettings | None = None) -> None:
        """access: how it is encrypted, and which proxies are believed."""
        self._settings = settings
        self._access = access or AccessSettings()
        self._app = app
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int | None:
        """The port it listens on, also when the config asked for any; None when it serves nothing."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else None

    def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        at = self._settings
        if at.port is None:
            return
        self._socket = listen(at.host, at.port)
        self._server = uvicorn.Server(_config(self._app, self._access))
        self._thread = threading.Thread(
            target=asyncio.run, args=(_serve(self._server, self._socket, at.threads),), name="web", daemon=True
        )
        self._thread.start()
        tls_on = self._access.tls.certificate_file is not None
        log.info("web listening", host=at.host, port=self.port, path=at.path, tls=tls_on)

    def stop(self) -> None:
        """Stop listening; answers under way get a short grace."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._server.should_exit = True
        self._thread.join(_GRACE_S + 1)
        if self._thread.is_alive():
            self._server.force_exit = True  # the thread ends with the process, if not before
            self._thread.join(1)
        if not self._thread.is_alive():
            self._socket.close()
        self._server = self._thread = self._socket = None


def _config(app: ASGIApp, access: AccessSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        server_header=False,
        proxy_headers=bool(access.behind_proxy),
        forwarded_allow_ips=list(access.behind_proxy),
        timeout_keep_alive=30,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    config.load()
    if access.tls.certificate_file is not None:
        config.ssl = tls.renewing(Certificates(config_access.of_web(access)))
    return config


async def _serve(server: uvicorn.Server, listening: socket.socket, threads: int) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = threads
    await server.serve([listening])
