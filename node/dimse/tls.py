"""TLS of associations and of the web, by BCP 195 (PS3.15 B.12): 1.2 and later, forward secrecy, AEAD ciphers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node import logs
from node.errors import ConfigError
from node.settings import PeerTls
from node.settings_network import TlsSettings

log = logs.get(__name__)

_CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """What a connection is wrapped with. Raises ConfigError when a file is missing or cannot be used."""
    if settings.certificate_file is None:
        raise ConfigError("there is no certificate_file")
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    with _usable():
        # no passphrase is asked for at a terminal that is not there
        context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
        if settings.client_ca_file is not None:
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: PeerTls) -> ssl.SSLContext:
    """What a connection to a peer is wrapped with, of the files as they are now. Raises ConfigError."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = settings.check_name
    with _usable():
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
        else:
            context.load_default_certs()
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigError(f"the certificate, its key or the CAs cannot be used: {error}") from error


class Certificates:
    """The context for the next connection. Renewed files are taken over; when they are of no use the old stay."""

    def __init__(self, settings: TlsSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._read = self._versions()
        self._context = server_context(settings)

    def context(self) -> ssl.SSLContext:
        """The context of the files as they are now."""
        with self._lock:
            now = self._versions()
            if now != self._read:
                self._read = now
                try:
                    self._context = server_context(self.settings)
                    log.info("certificates read anew")
                except ConfigError as error:
                    log.error("renewed certificates cannot be used; the old ones stay", problem=str(error))
            return self._context

    def _versions(self) -> list[tuple[int, int] | None]:
        files = (self.settings.certificate_file, self.settings.key_file, self.settings.client_ca_file)
        return [_version(path) for path in files if path is not None]


def renewing(certificates: Certificates) -> ssl.SSLContext:
    """One context for a listener, whose connections each take that of the files as they are then."""

    def renewed(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = certificates.context()

    context = server_context(certificates.settings)
    context.sni_callback = renewed
    return context


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
