"""The ways to the insurance centre, how it misbehaves on them, and how it calls back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from decimal import Decimal as D

import msgspec
import pytest
from centre_parts import Ear, Hospital, bill, charged, key, read, registration, signed_in
from endpoint_parts import until

from deploy.sandbox.centre import Centre, Settings
from deploy.sandbox.centre.__main__ import main
from deploy.sandbox.centre.misbehaviour import Act, order
from deploy.sandbox.centre.transports import ApiKey, Csb, Open, Transport, Unlawful, XTif
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.sample import sample

NOW = 1_705_285_800.0


def _x_tif(nonce: str = "a1b2c3d4e5f6", **more: str) -> dict[str, str]:
    text = f"1705285800TESTKEY{nonce}1705285800"
    made = {"x-tif-paasid": "P", "x-tif-timestamp": "1705285800", "x-tif-nonce": nonce}
    return {**made, "x-tif-signature": hashlib.sha256(text.encode()).hexdigest(), **more}


def _csb(**more: str) -> dict[str, str]:
    made = {"_api_access_key": "AK", "_api_name": "hssServives", "_api_version": "1.0.0"}
    made["_api_timestamp"] = "1705285800000"
    text = "&".join(f"{name}={value}" for name, value in sorted(made.items()))
    signature = base64.b64encode(hmac.digest(b"SK", text.encode(), "sha1")).decode()
    return {**made, "_api_signature": signature, **more}


def test_the_worked_examples_of_both_gateways_are_let_in() -> None:
    assert _x_tif()["x-tif-signature"] == "f50b72f305def017178d496ded36cb1682128b976dc5019b0830616432604dce"
    assert _csb()["_api_signature"] == "sLkk9C06Vr8lCM+j3E2wp68koAw="
    XTif("P", "TESTKEY").check(_x_tif(), NOW)
    upper = _x_tif()["x-tif-signature"].upper()
    XTif("P", "TESTKEY", upper=True).check(_x_tif(**{"x-tif-signature": upper}), NOW)
    Csb("AK", "SK", "hssServives").check(_csb(), NOW)
    ApiKey("K").check({"apikey": "K"}, NOW)
    Open().check({}, NOW)


@pytest.mark.parametrize(
    ("transport", "headers", "now"),
    [
        (XTif("P", "TESTKEY"), {}, NOW),
        (XTif("P", "TESTKEY"), _x_tif(), NOW + 301),
        (XTif("P", "OTHER"), _x_tif(), NOW),
        (XTif("Q", "TESTKEY"), _x_tif(), NOW),
        (XTif("P", "TESTKEY"), _x_tif("abc"), NOW),
        (XTif("P", "TESTKEY", upper=True), _x_tif(), NOW),
        (Csb("AK", "SK", "hssServives"), {}, NOW),
        (Csb("AK", "SK", "hssServives"), _csb(), NOW - 301),
        (Csb("AK", "XX", "hssServives"), _csb(), NOW),
        (Csb("AK", "SK", "other"), _csb(), NOW),
        (Csb("AK", "SK", "hssServives"), _csb(_api_version="2"), NOW),
        (ApiKey("K"), {"apikey": "L"}, NOW),
        (ApiKey("K"), {}, NOW),
    ],
)
def test_what_is_not_signed_right_is_not_let_in(
    transport: Transport, headers: dict[str, str], now: float
) -> None:
    with pytest.raises(Unlawful):
        transport.check(headers, now)


def test_a_nonce_is_good_once() -> None:
    gateway = XTif("P", "TESTKEY")
    gateway.check(_x_tif(), NOW)
    with pytest.raises(Unlawful, match="重复"):
        gateway.check(_x_tif(), NOW + 1)
    gateway.check(_x_tif("a1b2c3d4e5f7"), NOW + 1)


async def test_the_gateway_answers_401_and_nothing_arrives() -> None:
    centre = Centre(settings=Settings(transport=ApiKey("K")))
    await centre.start()
    hospital = Hospital(centre)
    status, said = await hospital.raw(hospital.written("9001", {}), "/9001")
    assert (status, read(said)["infcode"]) == (401, -1)
    assert not centre.books.msgids
    hospital.headers = {"apikey": "K"}
    await hospital.sign_in()
    await centre.stop()


@pytest.mark.parametrize(
    "path", ["/2201", "/fsi/api/outpatientDocInfoService/outpatientRregistration", "/", "/csb"]
)
async def test_a_transaction_is_found_by_its_address_or_its_envelope(path: str) -> None:
    async with signed_in() as hospital:
        assert await hospital.done("2201", registration(hospital.patient), path=path)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"infno":1}', b"[" * 5000])
async def test_what_is_no_envelope_is_answered_with_a_refusal(body: bytes) -> None:
    async with signed_in() as hospital:
        _, said = await hospital.raw(body, "/2201")
        assert read(said)["infcode"] == -1


async def test_the_code_may_be_a_text_and_fields_and_nodes_a_provinces_own() -> None:
    settings = Settings(
        infcode_as_text=True,
        fund_includes_account=True,
        input_nodes={"2207": "mdtrtinfo"},
        renamed={"psn_part_amt": "psn_part_am"},
    )
    async with signed_in(settings) as hospital:
        mdtrt_id = await charged(hospital)
        tree = bill(hospital.patient, mdtrt_id, "86.50")
        assert "[mdtrtinfo]" in await hospital.refused("2207", tree)
        said = await hospital.call("2207", {"mdtrtinfo": tree["data"]})
        assert said["infcode"] == "0"
        setl = said["output"]["setlinfo"]
        assert setl["psn_part_am"] == D("67.60")
        assert setl["fund_pay_sumamt"] == setl["hifp_pay"] + setl["acct_pay"] == D("86.50")
        assert sum(row["fund_payamt"] for row in said["output"]["setldetail"]) == D("86.50")


async def test_the_family_account_stands_inside_or_beside_the_account() -> None:
    for inside in (True, False):
        async with signed_in(Settings(family_inside_account=inside), person=6) as hospital:
            mdtrt_id = await charged(hospital)
            setl = (await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"]
            assert setl["acct_mulaid_pay"] == D("67.60")
            assert setl["acct_pay"] == (D("67.60") if inside else 0)


@pytest.mark.parametrize(
    ("kind", "code"), [("error", "500"), ("status", "503"), ("html", "502"), ("page", "200")]
)
async def test_an_answer_may_be_of_the_gateway_and_not_of_the_centre(kind: str, code: str) -> None:
    async with signed_in() as hospital:
        hospital.centre.behave("2201", kind, times=1)
        status, said = await hospital.raw(hospital.written("2201", registration(hospital.patient)), "/2201")
        assert str(status) == code
        assert not said.startswith(b"{")
        assert len(hospital.centre.books.visits) == (0 if kind == "status" else 1)


async def test_a_code_may_be_another_than_minus_one_and_a_sign_in_may_be_over_at_once() -> None:
    async with signed_in() as hospital:
        tree = registration(hospital.patient)
        hospital.centre.behave("2201", "code", code="-999", text="系统异常", times=1)
        said = await hospital.call("2201", tree)
        assert (said["infcode"], said["err_msg"]) == (-999, "系统异常")
        hospital.centre.behave("2201", "expired", times=1)
        assert "重新签到" in await hospital.refused("2201", tree)
        assert "重新签到" in await hospital.refused("2201", tree)
        await hospital.sign_in()
        assert await hospital.done("2201", tree)


async def test_a_copy_on_the_way_changes_nothing_and_is_refused() -> None:
    async with signed_in() as hospital:
        mdtrt_id = await charged(hospital)
        hospital.centre.behave("2207", "repeat", times=1)
        tree = bill(hospital.patient, mdtrt_id, "86.50")
        assert await hospital.refused("2207", tree) == "报文ID重复"
        assert len(hospital.centre.books.settlements) == 1
        assert hospital.centre.books.msgids[hospital.msgid].outcome == "0"


async def test_an_answer_that_comes_twice_is_two_on_the_wire_and_one_in_the_books() -> None:
    async with signed_in() as hospital:
        hospital.centre.behave("2201", "double", times=1)
        body = hospital.written("2201", registration(hospital.patient))
        _, said = await hospital.raw(body, "/2201")
        assert said.count(b"inf_refmsgid") == 2
        assert len(hospital.centre.books.visits) == 1


async def test_late_and_delayed_differ_in_when_it_is_done() -> None:
    async with signed_in() as hospital:
        centre = hospital.centre
        centre.behave("2201", "late", seconds=30, times=1)
        waiting = asyncio.create_task(hospital.unanswered("2201", registration(hospital.patient), 2.0))
        await until(lambda: bool(centre.books.visits))
        await waiting
        centre.behave("2201", "delayed", seconds=4, times=1)
        await hospital.unanswered("2201", registration(hospital.patient, "O2"), 2.0)
        await until(lambda: len(centre.books.visits) == 2)


async def test_orders_hold_for_a_count_a_share_and_after_some() -> None:
    async with signed_in() as hospital:
        centre = hospital.centre
        centre.behave("5101", "refuse", skip=1, times=1, text="不行")
        said = [(await hospital.call("5101", {}))["err_msg"] for _ in range(3)]
        assert said == ["", "不行", ""]
        centre.behave("*", "refuse", share=0.5, text="不行")
        said = [(await hospital.call("5101", {}))["err_msg"] for _ in range(40)]
        assert set(said) == {"", "不行"}
        centre.well()
        assert (await hospital.call("5101", {}))["err_msg"] == ""
        with pytest.raises(ValueError, match="there are"):
            centre.behave("5101", "sing")


async def test_a_query_lags_for_a_time() -> None:
    async with signed_in() as hospital:
        centre = hospital.centre
        centre.behave("5203", "lag", seconds=3600)
        mdtrt_id = await charged(hospital)
        setl = (await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"]
        asked = key(hospital, mdtrt_id, setl_id=setl["setl_id"])
        for _ in range(2):
            assert "未查询到" in await hospital.refused("5203", asked)
        centre.let_pass(seconds=3601)
        await hospital.sign_in()
        assert await hospital.done("5203", asked)


def test_orders_are_read_from_words() -> None:
    assert order("2207=mute*1") == ("2207", Act("mute"), 1.0, 1.0)
    assert order("late:2.5@20%") == ("*", Act("late", 2.5), float("inf"), 0.2)
    assert order("2201=code:-999")[1] == Act("code", 0, "-999")
    for word in ("2207=sing", "late:soon", "=mute", ""):
        with pytest.raises(ValueError, match="write"):
            order(word)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    for said in (["--misbehave", "2207=sing"], ["--x-tif", "A"], ["--catalogue-rows", "1399=1"]):
        assert main(said) == 2
        assert "write" in capsys.readouterr().err


async def test_many_at_once_make_whole_books() -> None:
    """Forty visits over as many connections: no number twice, no line lost, the account to the fen."""
    async with signed_in() as hospital:
        books = hospital.centre.books
        visits = await asyncio.gather(*(charged(hospital, f"O{n}") for n in range(40)))
        assert len(set(visits)) == 40
        assert len(books.fees) == 120
        bills = (hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")) for mdtrt_id in visits)
        made = [one["setlinfo"] for one in await asyncio.gather(*bills)]
        assert len({setl["setl_id"] for setl in made}) == 40
        paid = sum(setl["acct_pay"] for setl in made)
        assert books.accounts[hospital.patient.psn_no].balance_fen == 200_000 - paid * 100
        assert sum(setl["act_pay_dedc"] for setl in made) == 50
        assert {one.times for one in books.msgids.values()} == {1}


async def test_the_centre_calls_the_hospital() -> None:
    async with Ear(b'{"infcode":"0","output":null}') as ear:
        centre = Centre()
        status, said = await centre.tell(ear.url, "7102", {"data": {"hi_rxno": "R1"}})
    assert (status, said["infcode"]) == (200, "0")
    heard = json.loads(ear.heard[0])
    assert (heard["infno"], heard["input"]) == ("7102", {"data": {"hi_rxno": "R1"}})


async def test_the_hospital_hears_what_a_pharmacy_does_with_its_prescription() -> None:
    async with signed_in() as first, Ear(b'{"infcode":"0","output":null}') as ear:
        centre = first.centre
        centre.hospital_url = ear.url
        for name in ("7204", "7206"):
            shop = Hospital(centre, code=centre.prepare(name).code)
            await shop.sign_in()
            await shop.done(name, msgspec.to_builtins(sample(transaction(name))))
        await until(lambda: len(centre.told) == 2)
        assert sorted(centre.told) == [("7102", 200), ("7103", 200)]
        for body in ear.heard:
            heard = json.loads(body)
            assert checker(transaction(heard["infno"])).request(heard["input"]) == []
