"""Passwords, kept as scrypt hashes (RFC 7914); the cost is written beside each, so that it can grow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from node.errors import ConfigError

LEAST, MOST = 12, 1000
_N, _R, _P = 2**15, 8, 3  # 32 MB and some 0.2 s
_SCHEME = "scrypt"


def checked(password: str, name: str) -> str:
    """The password, if it may be one. Raises ConfigError, without telling it."""
    if not LEAST <= len(password) <= MOST or password.lower() == name.lower():
        raise ConfigError(f"password: not allowed; allowed: {LEAST} to {MOST} characters, and not the account's name")
    return password


def hashed(password: str) -> str:
    """What is kept of a password."""
    salt = secrets.token_bytes(16)
    return "$".join([_SCHEME, str(_N), str(_R), str(_P), _text(salt), _text(_derived(password, salt, _N, _R, _P))])


def is_right(password: str, kept: str) -> bool:
    """Whether `kept` was made of this password. Never for "", that of an account without one."""
    scheme, _, rest = kept.partition("$")
    if scheme != _SCHEME or len(password) > MOST:
        return False
    n, r, p, salt, wanted = rest.split("$")
    found = _derived(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
