"""Bearer tokens of an OpenID Connect issuer, by its own keys, over real sockets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support import wait_until
from tests.support_issuer import AUDIENCE, Issuer, issuer
from tests.support_web import Web, web

ROLES = {"radiology": "viewer", "modality": "operator"}


@pytest.fixture(scope="module")
def by() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture(scope="module")
def served(by: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    oidc = {"issuer": by.url, "audience": AUDIENCE, "role_claim": "realm_access.roles", "roles": ROLES, "keys_s": 0.2}
    access = {"open": [], "failed_sign_ins": 1000, "oidc": {**oidc, "leeway_s": 0}}
    with web(tmp_path_factory.mktemp("issuer"), access=access) as made:
        yield made


def status(served: Web, token: str, method: str = "GET") -> int:
    data = b"" if method == "POST" else None
    return served.ask(method, "/studies", data=data, Authorization=f"Bearer {token}").status


def unsigned(by: Issuer) -> str:
    """The issuer's own words, with the algorithm that needs no key."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{head}.{by.token().split('.')[1]}."


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_its_tokens_sign_in_with_the_role_they_name(served: Web, by: Issuer, algorithm: str) -> None:
    by.rotate(algorithm)
    wait_until(lambda: status(served, by.token()) == 200, 10, "the key to be taken up")
    assert status(served, by.token(), "POST") == 403
    assert status(served, by.token(roles=["radiology", "modality"]), "POST") in (400, 415)
    assert status(served, by.token(roles="modality"), "POST") in (400, 415)


def test_what_is_not_quite_right_signs_nobody_in(served: Web, by: Issuer) -> None:
    wait_until(lambda: status(served, by.token()) == 200, 10, "the key to be taken up")
    now = int(time.time())
    by_another = rsa.generate_private_key(65537, 2048)
    by.rotate("RS256")
    wrong = {
        "expired": by.token(exp=now - 60),
        "without an end": by.token(exp=None),
        "not yet": by.token(nbf=now + 3600),
        "for another": by.token(aud="another"),
        "for nobody": by.token(aud=None),
        "of another issuer": by.token(iss="https://evil.example"),
        "of nobody": by.token(sub=None),
        "of a role that means nothing here": by.token(roles=["cleaning"]),
        "without roles": by.token(realm_access=None),
        "roles that are none": by.token(roles=7),
        "signed by another": by.token(signed_with=by_another),
        "unsigned": unsigned(by),
        "no token": "abc.def.ghi",
    }
    assert {why: status(served, token) for why, token in wrong.items()} == dict.fromkeys(wrong, 401)


def test_a_withdrawn_key_signs_nobody_in_any_more_and_the_new_one_does(served: Web, by: Issuer) -> None:
    old = by.token()
    wait_until(lambda: status(served, old) == 200, 10, "the key to be taken up")
    by.rotate()
    wait_until(lambda: status(served, by.token()) == 200, 10, "the key to be taken up")
    assert status(served, old) == 401


def test_an_issuer_that_does_not_answer_is_told_and_comes_back(by: Issuer, tmp_path: Path) -> None:
    oidc = {"issuer": by.url, "audience": AUDIENCE, "role_claim": "realm_access.roles", "roles": ROLES}
    with web(tmp_path, access={"open": [], "oidc": oidc}) as served:
        by.answers = False
        assert status(served, by.token()) == 503
        by.answers = True
        assert status(served, by.token()) == 200


def test_its_keys_are_not_asked_for_with_each_request(by: Issuer, tmp_path: Path) -> None:
    oidc = {"issuer": by.url, "audience": AUDIENCE, "role_claim": "realm_access.roles", "roles": ROLES}
    with web(tmp_path, access={"open": [], "oidc": oidc}) as served:
        by.asked.clear()
        assert [status(served, by.token()) for _ in range(5)] == [200] * 5
        assert by.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]
