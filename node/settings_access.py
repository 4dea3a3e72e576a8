"""The section `access` of config.yaml."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from node.access.people import AccountRole
from node.config_faults import Allowed
from node.settings import FilePath, Seconds, Settings, listed


def _network(address: str) -> str:
    ipaddress.ip_network(address, strict=False)
    return address


class WebTlsSettings(Settings):
    """HTTPS (BCP 195): from TLS 1.2 on, with forward secrecy."""

    certificate_file: FilePath | None = Field(
        default=None, description="The web side's certificate and those up to its CA, PEM; null: unencrypted."
    )
    key_file: FilePath | None = Field(default=None, description="The certificate's key, PEM, without a passphrase.")


class OidcSettings(Settings):
    """An OpenID Connect issuer whose bearer tokens are taken."""

    issuer: Annotated[
        str, Field(pattern=r"^https?://[^\s?#]+$"), Allowed("a URL such as https://login.example/realms/hospital")
    ] = Field(description="The issuer, as `iss` of its tokens; its keys are found by .well-known/openid-configuration.")
    audience: str = Field(min_length=1, description="What `aud` of a token must name: this node at the issuer.")
    role_claim: str = Field(
        default="roles", min_length=1, description="Claim with the roles; dots lead deeper, as realm_access.roles."
    )
    roles: Annotated[
        Mapping[str, AccountRole], Field(min_length=1), Allowed("a mapping to viewer, operator or admin, not empty")
    ] = Field(description="Value of the claim → viewer, operator or admin; the highest counts.")
    ca_file: FilePath | None = Field(default=None, description="CAs of the issuer, PEM; null: the well-known ones.")
    leeway_s: float = Field(default=30.0, ge=0, le=300, description="By how much clocks may differ.")
    keys_s: Seconds = Field(default=300.0, description="The issuer's keys are read again after this long.")


class AccessSettings(Settings):
    """Who may use the web side, and how it is encrypted."""

    open: Annotated[
        tuple[Literal["this-machine", "health", "metrics", "everything-to-everybody"], ...],
        BeforeValidator(listed),
        Allowed("a list of this-machine, health, metrics, everything-to-everybody"),
    ] = Field(
        default=("this-machine",),
        description="What needs no sign-in. this-machine: all, while only this machine can ask: web.host is loopback "
        "and there is no proxy. health, metrics: these pages, from anywhere. everything-to-everybody: whoever reaches "
        "the port sees every patient and may store. []: nothing.",
    )
    tls: WebTlsSettings = Field(default=WebTlsSettings(), description="HTTPS. Renewed files are noticed.")
    behind_proxy: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...],
        BeforeValidator(listed),
        Allowed("a list of IP addresses and networks such as 10.1.2.0/24"),
    ] = Field(
        default=(),
        description="Addresses or networks of proxies that encrypt, whose X-Forwarded-For and -Proto are believed.",
    )
    oidc: OidcSettings | None = Field(default=None, description="Issuer of tokens beside local accounts; null: none.")
    failed_sign_ins: int = Field(
        default=10, ge=1, le=1000, description="Of one address in failed_sign_ins_s; then 429, whatever it shows."
    )
    failed_sign_ins_s: Seconds = Field(default=300.0, description="Time in which they are counted.")
    requests_per_minute: int = Field(
        default=6000, ge=10, le=1_000_000, description="Of one address, where a sign-in is asked for; then 429."
    )
