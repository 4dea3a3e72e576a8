"""What the section `access` must agree with: nothing is open beyond this machine, nor readable on the way, unsaid."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic_core import InitErrorDetails

from node.access.issuer import trusted
from node.config_faults import fault, told
from node.dimse import tls
from node.errors import ConfigError
from node.settings import Peer, WebSettings
from node.settings_access import AccessSettings, OidcSettings
from node.settings_network import TlsSettings

_OPEN = "everything-to-everybody"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def only_this_machine(web: WebSettings, access: AccessSettings) -> bool:
    """Whether nobody from elsewhere can ask, not through a proxy either."""
    shown = urlsplit(web.public_url).hostname if web.public_url else "localhost"
    return is_loopback(web.host) and is_loopback(shown or "") and not access.behind_proxy


def faults(web: WebSettings, access: AccessSettings) -> Iterator[InitErrorDetails]:
    """Everything that does not fit."""
    yield from _beyond(web, access)
    yield from _tls(access)
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


def _tls(access: AccessSettings) -> Iterator[InitErrorDetails]:
    at = ("access", "tls")
    if access.tls.certificate_file is None:
        if access.tls.key_file is not None:
            yield fault((*at, "key_file"), str(access.tls.key_file), "null without a certificate_file")
        return
    try:
        tls.server_context(of_web(access))
    except ConfigError as error:
        yield told(at, str(error))


def faults_of_peers(peers: Mapping[str, Peer]) -> Iterator[InitErrorDetails]:
    """Certificates of TLS to peers that cannot be used."""
    for name, peer in peers.items():
        at = ("peers", name, "tls")
        if peer.tls is None:
            continue
        if peer.tls.certificate_file is None and peer.tls.key_file is not None:
            yield fault((*at, "key_file"), str(peer.tls.key_file), "null without a certificate_file")
        try:
            tls.client_context(peer.tls)
        except ConfigError as error:
            yield told(at, str(error))


def of_web(access: AccessSettings) -> TlsSettings:
    """HTTPS as `node.dimse.tls` reads it."""
    return TlsSettings(certificate_file=access.tls.certificate_file, key_file=access.tls.key_file)


def _oidc(oidc: OidcSettings) -> Iterator[InitErrorDetails]:
    parts = urlsplit(oidc.issuer)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield fault(("access", "oidc", "issuer"), oidc.issuer, "https beyond this machine: who signs could be changed")
    try:
        trusted(oidc)
    except ConfigError as error:
        yield told(("access", "oidc", "ca_file"), str(error))
