"""Security: what protects the connections, and what does not."""

from __future__ import annotations

from node.conformance import audit
from node.conformance.document import Bullets, Section
from node.conformance.facts import Facts

_NOTHING_ELSE = (
    "For audit messages see [[Audit trail]]. Nothing else of PS3.15 is claimed: no digital signature is made or "
    "judged, nothing is de-identified. Where the network is not trusted, protect it by other means."
)


def section(facts: Facts) -> Section:
    """Chapter 8."""
    listening = facts.config.node.host
    return Section(
        "Security",
        sections=(
            Section(
                "Security profiles",
                (_transport(facts), _outgoing(facts), _NOTHING_ELSE),
            ),
            audit.section(facts),
            Section(
                "Association level security",
                (
                    Bullets(
                        (
                            f"It listens on {listening}. An address beyond the host takes a person's consent in the "
                            "configuration (`node.allow_non_loopback`) and callers that are named.",
                            "Calling AE title, the caller's address and the called AE title are checked, see "
                            "[[Rejected associations]].",
                            "A caller may be held to some services (`callers`: may, move_to): C-STORE, C-FIND, C-GET "
                            "and storage commitment are then refused with 0x0124, C-MOVE with 0xA801.",
                            "Associations are limited in number, in all and for each caller, and in time; connections "
                            "are, in all and for each address. The last associations are for addresses that have none.",
                            "Objects are limited in size. A UID that is none is refused before it names a file.",
                        )
                    ),
                ),
            ),
            Section(
                "Security of DICOMweb",
                (
                    Bullets(
                        (
                            _web(facts),
                            *_access(facts),
                            "On loopback a request whose Host is not this node's is refused (421), so that pages from "
                            "elsewhere cannot reach it through a browser.",
                            _origins(facts),
                        )
                    ),
                ),
            ),
            Section(
                "Patients' data",
                (
                    Bullets(
                        (
                            "Received and made objects lie unencrypted below the object folder: encrypt the disk.",
                            "Logs hold neither names nor IDs of patients; studies are named by Study Instance UID.",
                            "Pictures may show whose they are: names are burned into the pixels of the summary card. "
                            "All say that something is burned in (Burned In Annotation YES).",
                        )
                    ),
                ),
            ),
        ),
    )


def _transport(facts: Facts) -> str:
    tls = facts.config.network.tls
    if not tls.is_on:
        return "Associations that come in are not encrypted in this configuration; `network.tls` would have them so."
    shown = "a certificate is asked of callers" if tls.client_ca_file else "no certificate is asked of callers"
    return (
        "Associations that come in are encrypted as the BCP 195 profile says (PS3.15 B.12): TLS 1.2 or later with "
        f"forward secrecy; {shown}."
    )


def _outgoing(facts: Facts) -> str:
    encrypted = [peer.ae_title for peer in facts.config.peers.values() if peer.tls is not None]
    return (
        "Associations that go out are encrypted by the same profile, and the peer's certificate is judged, where "
        f"`peers` says so (`tls`); in this configuration to: {', '.join(encrypted) or 'none'}."
    )


def _access(facts: Facts) -> tuple[str, ...]:
    access = facts.config.access
    issuer = f"tokens of {access.oidc.issuer}" if access.oidc is not None else "no tokens of an issuer"
    return (
        f"Without a sign-in is open: {', '.join(access.open) or 'nothing'} (`access.open`). this-machine counts only "
        "while nobody from elsewhere can ask.",
        "Signing in: HTTP Basic (RFC 7617) with a local account, or a bearer token (RFC 6750) that this node issued; "
        f"{issuer} (OpenID Connect: RS256, ES256). 401 without, 403 with too little, 429 for too many.",
        "Roles: a viewer searches and retrieves, an operator also stores, an admin may do all.",
        "HTTPS is served." if access.tls.certificate_file else "HTTPS is not served in this configuration.",
    )


def _web(facts: Facts) -> str:
    web = facts.config.web
    if web.port is None:
        return "DICOMweb is not served in this configuration."
    return (
        f"DICOMweb listens on {web.host}. An address beyond the host takes a person's consent in the configuration "
        "(`web.allow_non_loopback`)."
    )


def _origins(facts: Facts) -> str:
    origins = ", ".join(facts.config.web.allowed_origins)
    return (
        f"Pages of {origins} may read the answers in a browser (CORS)."
        if origins
        else "No other page may read answers."
    )
