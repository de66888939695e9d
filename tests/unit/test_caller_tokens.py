"""Callers that show a token: whose it is, while it is good, and what false ones cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from caller_parts import SECRETS, House, jwks
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

APP = """
callers:
  app:
    token: {issuer: sso, audience: jingluo, claims: {client_id: app}, %s}
    scopes: [patients, payments]
"""


def token(key: Any, algorithm: str, kid: str | None = None, **claims: Any) -> str:
    said = {"iss": "sso", "aud": "jingluo", "client_id": "app", "exp": time.time() + 60, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return "Bearer " + jwt.encode(said, key, algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture(scope="module")
def rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


async def test_a_token_comes_in_while_it_is_good_and_for_what_it_says(
    house: House, tmp_path: Path, rsa_key: Any
) -> None:
    (tmp_path / "sso.json").write_text(jwks(("1", rsa_key)))
    house.know(APP % "keys: sso.json")
    await house.door(scope="payments")
    now = time.time()
    for status, claims in (
        (202, {}),
        (202, {"scope": "openid payments"}),
        (202, {"aud": ["other", "jingluo"], "nbf": now + 10}),
        (403, {"scope": "patients"}),
        (403, {"scp": ["patients"]}),
        (401, {"exp": now - 60}),
        (401, {"exp": None}),
        (401, {"exp": "soon"}),
        (401, {"nbf": now + 60}),
        (401, {"iss": "other"}),
        (401, {"aud": "other"}),
        (401, {"aud": None}),
        (401, {"client_id": "other"}),
    ):
        assert (await house.post(token(rsa_key, "RS256", "1", **claims))).status_code == status, claims
    assert house.engine.got[0].headers["caller.name"] == "app"
    good = token(rsa_key, "RS256", "1")
    assert (await house.post(good)).status_code == 202
    house.skew_s = 120
    assert (await house.post(good)).status_code == 401, "also where it was good before"


async def test_a_token_that_no_key_of_the_file_made_is_refused(
    house: House, tmp_path: Path, rsa_key: Any
) -> None:
    public = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "sso.pem").write_bytes(public)
    house.know(APP % "keys: sso.pem")
    await house.door(callers="app")
    assert (await house.post(token(rsa_key, "PS256"))).status_code == 202
    other = rsa.generate_private_key(65537, 2048)
    head, body, _ = token("x" * 32, "HS256").removeprefix("Bearer ").split(".")
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), public
    )
    confused = f"{head}.{body}." + jwt.utils.base64url_encode(mac).decode()
    unsigned = token(None, "none")
    for shown in (
        token(other, "RS256"),
        f"Bearer {confused}",
        unsigned,
        "Bearer a.b.c",
        "Bearer " + "a" * 9000,
    ):
        assert (await house.post(shown)).status_code == 401
    assert {reason for _, reason in house.refused} == {"token"}


async def test_a_new_key_of_the_issuer_is_known_without_a_restart_and_the_old_one_no_more(
    house: House, tmp_path: Path, rsa_key: Any
) -> None:
    fresh = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "sso.json").write_text(jwks(("1", rsa_key)))
    house.know(APP % "keys: sso.json")
    await house.door(callers="app")
    old, new = token(rsa_key, "RS256", "1"), token(fresh, "ES256", "2")
    assert [(await house.post(one)).status_code for one in (old, new)] == [202, 401]
    (tmp_path / "sso.json").write_text(jwks(("1", rsa_key), ("2", fresh)))
    assert [(await house.post(one)).status_code for one in (old, new)] == [202, 202]
    (tmp_path / "sso.json").write_text("half a fi")
    assert (await house.post(new)).status_code == 202, "what it said before, until it is whole"
    (tmp_path / "sso.json").write_text(jwks(("2", fresh)))
    assert [(await house.post(one)).status_code for one in (old, new)] == [401, 202]


async def test_an_issuer_may_sign_by_hmac_with_a_secret(house: House) -> None:
    house.know(APP % "secret: secret://token-key")
    await house.door(callers="app")
    assert (await house.post(token(SECRETS["token-key"], "HS256"))).status_code == 202
    assert (await house.post(token("u" * 40, "HS256"))).status_code == 401


async def test_false_tokens_are_looked_at_ten_times_a_second_and_a_known_one_still_comes_in(
    house: House,
) -> None:
    house.know(APP % "secret: secret://token-key")
    await house.door(callers="app")
    good = token(SECRETS["token-key"], "HS256")
    assert (await house.post(good)).status_code == 202
    told = [(await house.post(token("u" * 40, "HS256"))).status_code for _ in range(12)]
    assert told == [401] * 10 + [429] * 2
    assert (await house.post(good)).status_code == 202
    assert (await house.post(token(SECRETS["token-key"], "HS256", jti="2"))).status_code == 429
    house.skew_s = 1.0
    assert (await house.post(token(SECRETS["token-key"], "HS256", jti="2"))).status_code == 202
