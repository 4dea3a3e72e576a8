"""Bearer tokens of an OpenID Connect issuer: JWTs (RFC 7519) by keys that its discovery document leads to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from node import logs
from node.access.people import AccountRole, Person
from node.errors import ConfigError, Unavailable
from node.settings_access import OidcSettings

log = logs.get(__name__)

#: Signatures by a key of which only the issuer has the secret half. "none" and HMAC are not among them.
ALGORITHMS = ("RS256", "ES256")
_DISCOVERY = "/.well-known/openid-configuration"
_TIMEOUT_S = 5.0
_COOLDOWN_S = 30.0  # between two looks for a key that is not known


class Issuer:
    """Asks the issuer for its keys when the first token comes, and again when they are old or a new one is named."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: jwt.PyJWKClient | None = None

    def person(self, token: str) -> Person | None:
        """Whose token this is; None where it is not valid, or gives no role here. Raises Unavailable."""
        try:
            # first: what names another issuer, or is no JWT, sends this node nowhere
            claimed = jwt.decode(token, options={"verify_signature": False})
            if claimed.get("iss") != self._settings.issuer:
                return None
            key = self._client().get_signing_key_from_jwt(token)
            claims = self._verified(token, key)
        except jwt.PyJWKClientConnectionError as error:
            log.error("the issuer's keys cannot be read", issuer=self._settings.issuer)
            raise Unavailable("the issuer of this token cannot be reached at the moment; try again") from error
        except jwt.PyJWTError as error:
            log.debug("token not valid", why=type(error).__name__)
            return None
        return self._person(claims)

    def _verified(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        asked = self._settings
        return jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=asked.audience,
            issuer=asked.issuer,
            leeway=asked.leeway_s,
            options={"require": ["iss", "aud", "exp", "sub"]},
        )

    def _person(self, claims: Mapping[str, Any]) -> Person | None:
        found: Any = claims
        for name in self._settings.role_claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        roles = [self._settings.roles[each] for each in values if each in self._settings.roles]
        if not roles:
            log.warning("token without a role here", issuer=self._settings.issuer, claim=self._settings.role_claim)
            return None
        return Person(str(claims["sub"]), max(roles, key=list(AccountRole).index), "issuer")

    def _client(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._keys is None:
                self._keys = jwt.PyJWKClient(
                    self._discovered(),
                    lifespan=self._settings.keys_s,
                    timeout=_TIMEOUT_S,
                    ssl_context=trusted(self._settings),
                    cooldown_duration=min(_COOLDOWN_S, self._settings.keys_s),
                )
            return self._keys

    def _discovered(self) -> str:
        """Where the keys are (OpenID Connect Discovery 1.0, 4). Raises PyJWKClientConnectionError."""
        asked = self._settings
        ca = str(asked.ca_file) if asked.ca_file is not None else True
        try:
            url = asked.issuer.rstrip("/") + _DISCOVERY
            with requests.get(url, timeout=_TIMEOUT_S, verify=ca, allow_redirects=False) as answer:
                answer.raise_for_status()
                found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise jwt.PyJWKClientConnectionError(f"no discovery document: {type(error).__name__}") from error
        uri = found.get("jwks_uri") if isinstance(found, dict) and found.get("issuer") == asked.issuer else None
        if not isinstance(uri, str) or urlsplit(uri).scheme not in ("https", urlsplit(asked.issuer).scheme):
            raise jwt.PyJWKClientConnectionError("the discovery document is not this issuer's")
        return uri


def trusted(settings: OidcSettings) -> ssl.SSLContext:
    """What the issuer's certificate is judged by. Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{settings.ca_file} has no usable certificates (PEM)") from error
