"""What the section `access` must agree with: nothing is open beyond this machine, nor readable on the way, unsaid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from urllib.parse import urlsplit

from pydantic_core import InitErrorDetails

from node.access.issuer import trusted
from node.address import is_loopback
from node.config_faults import Location, fault, told
from node.dimse import tls
from node.errors import ConfigError
from node.settings import Peer, PeerTls, WebSettings
from node.settings_access import AccessSettings, OidcSettings
from node.settings_network import TlsSettings

_OPEN = "everything-to-everybody"


def only_this_machine(web: WebSettings, access: AccessSettings) -> bool:
    """Whether nobody from elsewhere can ask, not through a proxy either."""
    shown = urlsplit(web.public_url).hostname if web.public_url else "localhost"
    return is_loopback(web.host) and is_loopback(shown or "") and not access.behind_proxy


def faults(web: WebSettings, access: AccessSettings) -> Iterator[InitErrorDetails]:
    """Everything that does not fit."""
    yield from _beyond(web, access)
    yield from faults_of_listener(("access", "tls"), of_web(access))
    if access.oidc is not None:
        yield from _oidc(access.oidc)


def _beyond(web: WebSettings, access: AccessSettings) -> Iterator[InitErrorDetails]:
    if is_loopback(web.host):
        return
    if not web.allow_non_loopback:
        yield fault(("web", "host"), web.host, "127.0.0.1, or set web.allow_non_loopback: true")
    elif access.tls.certificate_file is None and not access.behind_proxy and _OPEN not in access.open:
        text = "a certificate, or access.behind_proxy: passwords and images would go unencrypted"
        yield fault(("access", "tls", "certificate_file"), None, f"{text}; or access.open: [{_OPEN}]")


def faults_of_listener(at: Location, settings: TlsSettings) -> Iterator[InitErrorDetails]:
    """Files of TLS that comes in which cannot be used, or are there without a certificate."""
    yield from _without_certificate(at, settings, "key_file", "client_ca_file")
    if settings.is_on:
        yield from _unusable(at, lambda: tls.server_context(settings))


def faults_of_peers(peers: Mapping[str, Peer]) -> Iterator[InitErrorDetails]:
    """The same of TLS to peers."""
    for name, peer in peers.items():
        if peer.tls is not None:
            yield from faults_of_client(("peers", name, "tls"), peer.tls)


def faults_of_client(at: Location, settings: PeerTls) -> Iterator[InitErrorDetails]:
    """The same of TLS that goes out."""
    yield from _without_certificate(at, settings, "key_file")
    yield from _unusable(at, partial(tls.client_context, settings))


def _without_certificate(at: Location, settings: TlsSettings | PeerTls, *keys: str) -> Iterator[InitErrorDetails]:
    given = [key for key in keys if getattr(settings, key) is not None]
    for key in given if settings.certificate_file is None else ():
        yield fault((*at, key), str(getattr(settings, key)), "null without a certificate_file")


def _unusable(at: Location, read: Callable[[], object]) -> Iterator[InitErrorDetails]:
    try:
        read()
    except ConfigError as error:
        yield told(at, str(error))


def of_web(access: AccessSettings) -> TlsSettings:
    """HTTPS as `node.dimse.tls` reads it."""
    return TlsSettings(certificate_file=access.tls.certificate_file, key_file=access.tls.key_file)


def _oidc(oidc: OidcSettings) -> Iterator[InitErrorDetails]:
    parts = urlsplit(oidc.issuer)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield fault(("access", "oidc", "issuer"), oidc.issuer, "https beyond this machine: who signs could be changed")
    yield from _unusable(("access", "oidc", "ca_file"), lambda: trusted(oidc))
