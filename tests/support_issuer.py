"""A small OpenID Connect issuer on a real socket of loopback: discovery, keys that rotate, tokens it signs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support import serving

AUDIENCE = "mammo-node"


class Issuer:
    """`url` is its name. `rotate` makes a new key and withdraws the old ones."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/realm"
        self.asked: list[str] = []
        self.answers = True
        self._keys: dict[str, tuple[str, Any]] = {}
        self.rotate()

    def rotate(self, algorithm: str = "RS256") -> None:
        key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
        self._keys = {f"key-{time.monotonic_ns()}": (algorithm, key)}

    def token(self, /, roles: object = ("radiology",), signed_with: Any = None, **claims: object) -> str:
        """A token with the claims that are given; None leaves one out. signed_with: another's key."""
        ((number, (algorithm, key)),) = self._keys.items()
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "kari", "iat": now, "exp": now + 300}
        content = {**usual, "realm_access": {"roles": roles}, **claims}
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, signed_with or key, algorithm, {"kid": number})

    def content(self, path: str) -> Any:
        """What is at a path."""
        self.asked.append(path)
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {"keys": [self._public(*each) for each in self._keys.items()]} if path == "/realm/keys" else None

    def _public(self, number: str, kept: tuple[str, Any]) -> dict[str, Any]:
        algorithm, key = kept
        of = RSAAlgorithm if algorithm == "RS256" else ECAlgorithm
        return {**of.to_jwk(key.public_key(), as_dict=True), "kid": number, "use": "sig", "alg": algorithm}


@contextmanager
def issuer() -> Iterator[Issuer]:
    """One that answers for the length of the block."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = made.content(self.path) if made.answers else None
            body = json.dumps(content).encode()
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    made = Issuer(server.server_port)
    with serving(server):
        yield made
