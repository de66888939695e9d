"""Who may call a web door: signatures, tokens, addresses, scopes, rates. What strangers hear, and what the log says."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from caller_parts import SECRETS, House
from signing import header, parts, signed, sm2_key, sm2_signed

from config import sm2

KIOSK = """
callers:
  kiosk:
    keys: [{hmac-sm3: secret://kiosk-key}]
    scopes: [payments]
"""
# Signatures


async def test_a_signed_request_comes_in_and_the_message_knows_who_sent_it(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    answer = await house.post(signed("POST", "/v1/a?x=%E4%B8%AD", b"{}"), path="/v1/a?x=%E4%B8%AD")
    assert answer.status_code == 202
    (message,) = house.engine.got
    assert message.headers["caller.name"] == "kiosk"
    assert "authorization" not in message.headers


FORGED: dict[str, dict[str, str]] = {
    "unknown": {"app": "nobody"},
    "signature": {"signature": "0" * 64},
    "time": {"time": "1700000000"},
    "digest": {},
}


@pytest.mark.parametrize("wrong", [*FORGED, "nothing", "basic", "half", "long"])
async def test_a_stranger_hears_the_same_whatever_was_wrong(house: House, wrong: str) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    said = parts("POST", "/v1/a", b"{}") | FORGED.get(wrong, {})
    shown = {
        "nothing": "",
        "basic": "Basic YTpi",
        "half": "JINGLUO-HMAC-SM3 app=kiosk",
        "long": "JINGLUO-HMAC-SM3 app=" + "k" * 5000,
    }.get(wrong, header(said))
    with structlog.testing.capture_logs() as logs:
        answer = await house.post(shown, body=b"[]" if wrong == "digest" else b"{}")
    told = answer.json()
    ref = told.pop("ref", None)
    assert answer.status_code == 401
    assert told == {
        "title": "Unauthorized",
        "status": 401,
        "detail": "who calls is not known, or not proved 调用方身份未能确认",
        "code": "JL-E214",
    }
    assert answer.headers["www-authenticate"] == "JINGLUO-HMAC-SM3, JINGLUO-SM2, Bearer"
    reason = wrong if wrong in FORGED else "unknown"
    assert house.refused == [("a", reason)]
    (line,) = [entry for entry in logs if entry["event"] == "caller.refused"]
    assert (line["reason"], line["peer"], line["ref"]) == (reason, "127.0.0.1", ref or line["ref"])
    assert house.engine.got == []


async def test_what_was_signed_is_what_counts(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    await house.door(callers=["kiosk"], method="PUT")
    good = signed("POST", "/v1/a")
    for method, path in (("PUT", "/v1/a"), ("POST", "/v1/a?x=1"), ("POST", "/v1/%61")):
        answer = await house.client.request(method, path, headers={"authorization": good})
        assert answer.status_code == 401, (method, path)
    assert {reason for _, reason in house.refused} == {"signature"}
    assert (await house.post(good, b"")).status_code == 202


async def test_a_body_that_was_changed_on_the_way_is_filed_as_refused(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    answer = await house.post(signed("POST", "/v1/a", b'{"fen": 100}'), b'{"fen": 900}')
    assert answer.status_code == 401
    (filed,) = house.engine.refused
    assert (filed.fault_code, filed.headers["caller.name"]) == ("JL-E214", "kiosk")
    large = b"[" + b"1," * 1_500_000 + b"1]"
    assert (await house.post(signed("POST", "/v1/a", large), large)).status_code == 202
    assert (await house.post(signed("POST", "/v1/a", large), large[:-2] + b"2]")).status_code == 401
    assert len(house.engine.got) == 1


async def test_a_request_that_comes_again_is_refused_and_a_new_nonce_makes_it_new(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    once = signed("POST", "/v1/a", b"{}")
    answers = await asyncio.gather(*(house.post(once) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 401, 401, 401, 401]
    assert {reason for _, reason in house.refused} == {"replay"}
    assert (await house.post(signed("POST", "/v1/a", b"{}"))).status_code == 202


async def test_a_clock_may_differ_by_the_window_and_no_more(house: House) -> None:
    house.know("window: 1m\n" + KIOSK)
    await house.door(callers=["kiosk"])
    for skew_s, status in ((55, 202), (-55, 202), (65, 401), (-65, 401)):
        house.skew_s = skew_s
        assert (await house.post(signed("POST", "/v1/a", b"{}"))).status_code == status
    assert [reason for _, reason in house.refused] == ["time", "time"]


async def test_both_keys_are_good_while_they_rotate_and_each_alone_before_and_after(house: House) -> None:
    house.know(
        """
callers:
  kiosk:
    keys:
      - {hmac-sm3: secret://kiosk-key, until: "2126-06-02T00:00:00+08:00"}
      - {hmac-sm3: secret://next-key, from: "2126-06-01T00:00:00+08:00"}
"""
    )
    await house.door(callers=["kiosk"])
    begins = datetime.fromisoformat("2126-06-01T00:00:00+08:00").timestamp()
    for after_s, good in ((-60, [True, False]), (60, [True, True]), (86_460, [False, True])):
        house.skew_s = begins + after_s - time.time()
        at = begins + after_s
        keys = (SECRETS["kiosk-key"], SECRETS["next-key"])
        answers = [await house.post(signed("POST", "/v1/a", b"{}", key=key, at=at)) for key in keys]
        assert [answer.status_code == 202 for answer in answers] == good


async def test_an_sm2_signature_of_openssl_comes_in_once(house: House, tmp_path: Path) -> None:
    private, public = sm2_key(tmp_path)
    house.know(f"callers: {{his: {{keys: [{{sm2: {public.name}}}]}}}}")
    await house.door(callers=["his"])
    once = sm2_signed(private, "POST", "/v1/a", b"{}")
    assert [(await house.post(once)).status_code for _ in range(2)] == [202, 401]
    other = sm2_signed(sm2_key(tmp_path)[0], "POST", "/v1/a", b"{}")
    assert (await house.post(other)).status_code == 401
    assert [reason for _, reason in house.refused] == ["replay", "signature"]


async def test_an_sm2_callers_public_key_is_no_key_for_an_hmac(house: House, tmp_path: Path) -> None:
    _, public = sm2_key(tmp_path)
    house.know(f"callers: {{his: {{keys: [{{sm2: {public.name}}}]}}}}")
    await house.door(callers=["his"])
    for key in (public.read_text(), ""):
        assert (await house.post(signed("POST", "/v1/a", b"{}", app="his", key=key))).status_code == 401


# Who, from where, what for, how often


async def test_without_a_word_of_who_may_call_only_this_machine_may(house: House) -> None:
    await house.door()
    assert (await house.post()).status_code == 202
    house.web.app.router.routes.clear()
    await house.door("/v1/b")
    scope_client = _Far(house)
    answer = await scope_client.post("/v1/b")
    assert (answer["status"], answer["body"]["code"]) == (403, "JL-E213")
    assert house.refused == [("b", "machine")]
    await house.door("/v1/c", callers="anybody")
    assert (await scope_client.post("/v1/c"))["status"] == 202


class _Far:
    """A caller at another address: what the server's own sockets cannot be here."""

    def __init__(self, house: House, address: str = "10.20.0.7") -> None:
        self.house, self.address = house, address

    async def post(self, path: str, authorization: str = "") -> dict[str, Any]:
        sent: list[Any] = []
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [(b"authorization", authorization.encode())], "state": {},
            "client": (self.address, 40_000), "server": ("127.0.0.1", 80), "scheme": "http", "root_path": "",
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        await self.house.web.app(scope, receive, send)
        body = b"".join(event.get("body", b"") for event in sent[1:])
        return {"status": sent[0]["status"], "body": json.loads(body)}


@pytest.mark.parametrize(
    ("address", "status"),
    [("10.20.0.7", 202), ("10.21.0.7", 401), ("::ffff:10.20.0.7", 202), ("fd00::1", 202), ("fd01::1", 401)],
)
async def test_a_caller_comes_from_its_own_addresses_only(house: House, address: str, status: int) -> None:
    house.know(KIOSK + "    addresses: [10.20.0.0/16, 'fd00::/16']\n")
    await house.door(callers=["kiosk"])
    answer = await _Far(house, address).post("/v1/a", signed("POST", "/v1/a", b"{}"))
    assert answer["status"] == status
    assert [reason for _, reason in house.refused] == (["address"] if status == 401 else [])


async def test_a_channel_lets_in_by_name_by_scope_or_by_both(house: House) -> None:
    house.know(KIOSK + "  other:\n    keys: [{hmac-sm3: secret://kiosk-key}]\n    scopes: [patients]\n")
    await house.door("/v1/name", callers="kiosk")
    await house.door("/v1/scope", scope="patients")
    await house.door("/v1/both", callers=["kiosk", "other"], scope="patients")
    for path, kiosk, other in (("/v1/name", 202, 403), ("/v1/scope", 403, 202), ("/v1/both", 403, 202)):
        for app, status in (("kiosk", kiosk), ("other", other)):
            answer = await house.post(signed("POST", path, b"{}", app=app), path=path)
            assert answer.status_code == status, (path, app)
            assert status == 202 or answer.json()["code"] == "JL-E213"


async def test_who_calls_too_often_is_told_when_to_come_back_and_others_are_served(house: House) -> None:
    house.know(KIOSK + "    rate: 2\n    burst: 3\n  other:\n    keys: [{hmac-sm3: secret://kiosk-key}]\n")
    await house.door(scope="")
    await house.door("/v1/b", callers=["kiosk", "other"])
    answers = [await house.post(signed("POST", "/v1/b", b"{}"), path="/v1/b") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert (answers[3].json()["code"], answers[3].headers["retry-after"]) == ("JL-E215", "1")
    assert (await house.post(signed("POST", "/v1/b", b"{}", app="other"), path="/v1/b")).status_code == 202
    house.skew_s = 1.0
    again = [(await house.post(signed("POST", "/v1/b", b"{}"), path="/v1/b")).status_code for _ in range(3)]
    assert again == [202, 202, 429]


async def test_a_forger_who_tries_often_is_counted_and_does_not_flood_the_log(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    with structlog.testing.capture_logs() as logs:
        for _ in range(20):
            await house.post("Bearer x")
    assert len(house.refused) == 20
    assert 5 <= len([entry for entry in logs if entry["event"] == "caller.refused"]) < 20


async def test_false_signatures_are_looked_at_ten_times_a_second_and_keep_nobody_else_out(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = sm2_key(tmp_path)
    house.know(KIOSK + f"  his: {{keys: [{{sm2: {public.name}}}]}}\n")
    await house.door(callers=["his", "kiosk"])
    looked: list[bytes] = []
    verify = sm2.verify
    monkeypatch.setattr(sm2, "verify", lambda *asked: (looked.append(asked[1]), verify(*asked))[1])

    def forged(nonce: int) -> str:
        return header(parts("POST", "/v1/a", b"{}", app="his", nonce=f"forged-{nonce}"), "JINGLUO-SM2")

    answers = [await house.post(forged(n)) for n in range(30)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 20
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("JL-E228", "1")
    assert len(looked) == 10
    assert house.refused[-1] == ("a", "failures")
    good = sm2_signed(private, "POST", "/v1/a", b"{}")
    assert (await house.post(good)).status_code == 429, "nobody can say yet whose it is"
    assert (await _Far(house).post("/v1/a", good))["status"] == 202, "from where it always comes"
    assert (await house.post(signed("POST", "/v1/a", b"{}"))).status_code == 202, "another caller"
    house.skew_s = 1.0
    assert [(await house.post(forged(n))).status_code for n in range(40, 51)] == [401] * 10 + [429]
    house.skew_s = 2.0
    assert (await house.post(sm2_signed(private, "POST", "/v1/a", b"{}"))).status_code == 202


async def test_one_machines_many_ipv6_addresses_are_one_place_to_forge_from(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    false = [header(parts("POST", "/v1/a", b"{}") | {"signature": "0" * 64}) for _ in range(12)]
    told = [(await _Far(house, f"fd00::{n}").post("/v1/a", one))["status"] for n, one in enumerate(false, 1)]
    assert told == [401] * 10 + [429] * 2
    assert (await _Far(house, "fd00:0:0:1::1").post("/v1/a", false[0]))["status"] == 401


# Callers that change


async def test_a_caller_that_goes_is_a_stranger_at_once(house: House) -> None:
    house.know(KIOSK)
    await house.door(callers=["kiosk"])
    assert (await house.post(signed("POST", "/v1/a", b"{}"))).status_code == 202
    house.know("callers: {}")
    assert (await house.post(signed("POST", "/v1/a", b"{}"))).status_code == 401
