"""WS-Security: what a receiver that knows the profile, and nothing of the engine, finds in a request."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree
from soap_parts import ENVELOPES

from endpoints.webservice.security import Security, username_token

PASSWORD = "invented-p4ss密码"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
NAMES = {"wsse": f"{WSS}wssecurity-secext-1.0.xsd", "wsu": f"{WSS}wssecurity-utility-1.0.xsd"}


class Verifier:
    """Follows UsernameToken Profile 1.1, section 3.1: known user, right password, young, and never seen before."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.seen: set[bytes] = set()

    def verify(self, header: Any) -> None:
        header = etree.fromstring(etree.tostring(header))
        assert header.tag == f"{{{NAMES['wsse']}}}Security"
        token = header.find("wsse:UsernameToken", NAMES)
        assert token.findtext("wsse:Username", None, NAMES) == "jingluo"
        password = token.find("wsse:Password", NAMES)
        if password.get("Type").endswith("#PasswordText"):
            assert password.text == PASSWORD
            assert token.find("wsse:Nonce", NAMES) is None
            return
        assert password.get("Type") == f"{WSS}username-token-profile-1.0#PasswordDigest"
        shown = token.find("wsse:Nonce", NAMES)
        assert shown.get("EncodingType") == f"{WSS}soap-message-security-1.0#Base64Binary"
        nonce, created = base64.b64decode(shown.text), token.findtext("wsu:Created", None, NAMES)
        expected = hashlib.sha1(nonce + created.encode() + PASSWORD.encode()).digest()
        assert password.text == base64.b64encode(expected).decode()
        at = datetime.strptime(created, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
        assert abs(at - self.now) < 1
        assert nonce not in self.seen, "a replay"
        self.seen.add(nonce)


def security(**more: Any) -> Security:
    return Security(**{"user": "jingluo", "password": PASSWORD, **more})


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("now", [1_767_571_200.0, 1_767_571_200.999999])
def test_a_receiver_accepts_each_request_once(digest: bool, now: float) -> None:
    verifier = Verifier(now)
    for _ in range(100):
        verifier.verify(username_token(security(digest=digest), now, ENVELOPES["1.1"]))
    assert len(verifier.seen) == (100 if digest else 0)


def test_a_wrong_password_is_no_match() -> None:
    wrong = username_token(security(password="other", digest=True), 0.0, ENVELOPES["1.1"])
    with pytest.raises(AssertionError):
        Verifier(0.0).verify(wrong)


def test_two_processes_use_no_nonce_twice() -> None:
    code = (
        "from endpoints.webservice.security import *;"
        "made = [username_token(Security(user='u', password='p', digest=True), 0.0, 'x') for _ in range(50)];"
        "print(*[one.findtext('.//{*}Nonce') for one in made])"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    nonces = " ".join(run.communicate(timeout=60)[0] for run in runs).split()
    assert len(nonces) == len(set(nonces)) == 100


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_timestamp_and_must_understand_are_there_where_they_are_wanted(version: str) -> None:
    plain = username_token(security(), 0.0, ENVELOPES[version])
    assert plain.find("wsu:Timestamp", NAMES) is None
    assert not plain.attrib
    made = username_token(security(timestamp="5m", must_understand=True), 1_767_571_200.5, ENVELOPES[version])
    assert made.get(f"{{{ENVELOPES[version]}}}mustUnderstand") == "1"
    assert made.findtext("wsu:Timestamp/wsu:Created", None, NAMES) == "2026-01-05T00:00:00.500Z"
    assert made.findtext("wsu:Timestamp/wsu:Expires", None, NAMES) == "2026-01-05T00:05:00.500Z"


def test_the_password_is_not_shown() -> None:
    assert PASSWORD not in repr(security())
