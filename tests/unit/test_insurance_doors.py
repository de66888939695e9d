"""The doors at which insurance centres call: what is taken, what is refused, and what either hears."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from endpoint_parts import FakeEngine, opening
from mobile_parts import APP, OURS, SECRET, THEIRS, private_of, sealed, unsealed
from pydantic import ValidationError

from config import registry
from endpoints.base import Ground
from endpoints.web import WebServer
from schemas.message import Message, Reply
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

ENVELOPE = {
    "app_id": APP, "app_secret": SECRET, "private_key": private_of(OURS), "platform_key": THEIRS.shown
}  # fmt: skip
NOTICE = {"payOrdId": "ORD0001", "callType": "PAY", "feeSumamt": 36.5, "medOrgOrd": "订单1"}
HEAD = {"appId": APP, "version": "2.0.1", "timestamp": "20240115103000"}
AT_S = 1705285800.25
ID = f"{int(AT_S * 1000):012x}" + "0" * 20
Open = Callable[..., Any]


@pytest.fixture
async def mobile(web: WebServer) -> AsyncIterator[Open]:
    async with opening("nhsa_mobile", Ground("paid", "json", web=web)) as open:
        yield lambda engine, **more: open(engine, path="/notice", envelope=ENVELOPE, **more)


@pytest.fixture
async def inbound(web: WebServer) -> AsyncIterator[Open]:
    async with opening("nhsa", Ground("called", "json", web=web, now=lambda: AT_S)) as open:
        yield lambda engine, **more: open(
            engine, path="/insurance", fixmedins_code="H99999900001", mdtrtarea_admvs="999900", **more
        )


async def test_a_notice_is_a_message_in_plain_form_and_known_again_by_what_it_says(
    mobile: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await mobile(engine)
    for head in (HEAD, {**HEAD, "timestamp": "20240115103100"}):
        answer = await client.post("/notice", content=sealed(head, NOTICE))
        said = unsealed(answer.content)
        assert (answer.status_code, said["appId"], said["code"], said["success"]) == (200, APP, 0, True)
    await client.post("/notice", content=sealed(HEAD, {**NOTICE, "callType": "REFUND"}))
    first, again, other = engine.got
    assert json.loads(first.body) == {"data": NOTICE}
    assert first.headers["infno"] == "MP-6302"
    assert first.once == again.once
    assert first.once != other.once


async def test_a_notice_that_the_platform_did_not_sign_reaches_no_engine(
    mobile: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await mobile(engine)
    for forged in (
        sealed(HEAD, NOTICE, OURS),
        json.dumps({**HEAD, "data": NOTICE}).encode(),
        b"<xml/>",
        sealed(HEAD, NOTICE).replace(b"20240115103000", b"20240115103001"),
    ):
        answer = await client.post("/notice", content=forged)
        said = unsealed(answer.content)
        assert (answer.status_code, said["code"], said["success"]) == (400, -1, False)
        assert "JL-N30" in said["message"]
    assert not engine.got
    assert not engine.refused


async def test_a_notice_without_its_order_is_refused_and_filed(
    mobile: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await mobile(engine)
    said = unsealed((await client.post("/notice", content=sealed(HEAD, {"callType": "PAY"}))).content)
    assert (said["code"], said["success"]) == (-1, False)
    assert "payOrdId 支付订单号" in said["message"]
    (filed,) = engine.refused
    assert (filed.fault_code, filed.once) == ("JL-N311", None)


async def test_a_centre_whose_notice_was_not_kept_is_asked_to_send_it_again(
    mobile: Open, client: httpx2.AsyncClient
) -> None:
    await mobile(FakeEngine(Reply("failed", code="JL-B001", text="no broker", retry_after_s=7)))
    answer = await client.post("/notice", content=sealed(HEAD, NOTICE))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert unsealed(answer.content)["code"] == -1
    assert "broker" not in unsealed(answer.content)["message"]


async def test_a_body_over_the_limit_is_not_read_and_its_head_is_filed(
    mobile: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await mobile(engine, max_size="1KB")
    answer = await client.post("/notice", content=b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "JL-E201")
    assert engine.refused[0].fault_code == "JL-E201"


async def ask(client: httpx2.AsyncClient, infno: str, tree: Any, **more: Any) -> dict[str, Any]:
    body = {"infno": infno, "msgid": "M1", "fixmedins_code": "H99999900001", "input": tree, **more}
    answer = await client.post("/insurance", json=body)
    assert answer.status_code == 200
    made: dict[str, Any] = answer.json()
    return made


async def test_a_call_of_the_centre_is_a_message_and_has_six_fields_back(
    inbound: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine(Reply("accepted", id=ID))
    await inbound(engine)
    tree = json.loads(json.dumps(sample(transaction("7103")), default=float))
    assert await ask(client, "7103", tree) == {
        "infcode": "0",
        "inf_refmsgid": "99990020240115103000" + "3215299255",
        "refmsg_time": "20240115103000250",
        "respond_time": "20240115103000250",
        "err_msg": "",
        "output": None,
    }
    await ask(client, "7103", tree, inf_time="2024-01-15 10:31:00")
    await ask(client, "7103", tree, msgid="M2")
    first, again, other = engine.got
    assert json.loads(first.body)["input"] == tree
    assert (first.headers["infno"], first.headers["msgid"]) == ("7103", "M1")
    assert first.once == again.once
    assert first.once != other.once


REFUSED: list[tuple[str, Any, dict[str, str], str]] = [
    ("2207", {"data": {}}, {}, "infno"),
    ("7102", {"data": {"hi_rxno": ""}}, {}, "hi_rxno 医保处方编号"),
    ("6201", {}, {"fixmedins_code": "H99999900009"}, "fixmedins_code"),
    ("6201", {}, {"msgid": ""}, "msgid"),
]


@pytest.mark.parametrize(("infno", "tree", "more", "named"), REFUSED)
async def test_a_call_that_is_not_ours_or_breaks_its_table_is_refused_and_filed(
    inbound: Open, client: httpx2.AsyncClient, infno: str, tree: Any, more: dict[str, str], named: str
) -> None:
    engine = FakeEngine()
    await inbound(engine)
    answer = await ask(client, infno, tree, **more)
    assert answer["infcode"] == "-1"
    assert answer["err_msg"].startswith(
        f"JL-N321: {named}" if named != "hi_rxno 医保处方编号" else "JL-N321: /data"
    )
    assert named in answer["err_msg"]
    assert len(engine.refused) == 1


async def test_what_is_no_envelope_is_answered_in_one_and_reaches_no_engine(
    inbound: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await inbound(engine)
    for body in (b"", b"[]", b'{"infno": "6201"}', b"\xff"):
        answer = await client.post("/insurance", content=body)
        assert (answer.status_code, answer.json()["infcode"]) == (400, "-1")
    assert not engine.got
    assert not engine.refused


ANSWERS: list[tuple[bytes, str, Any, str]] = [
    (b'{"ok": 1.10}', "0", {"ok": 1.1}, ""),
    (b'{"outcome": "OK", "output": {"a": 1}}', "0", {"a": 1}, ""),
    ('{"outcome": "REJECTED", "err_msg": "无此订单", "output": null}'.encode(), "-1", None, "无此订单"),
    (b"<xml/>", "0", None, ""),
]


@pytest.mark.parametrize(("body", "infcode", "output", "text"), ANSWERS)
async def test_what_a_destination_answers_is_the_output(
    inbound: Open, client: httpx2.AsyncClient, body: bytes, infcode: str, output: Any, text: str
) -> None:
    await inbound(FakeEngine(Reply("answered", id=ID, body=body)))
    answer = await ask(client, "6201", {})
    assert (answer["infcode"], answer["output"], answer["err_msg"]) == (infcode, output, text)


async def test_a_door_that_was_closed_is_another_channels_to_open(inbound: Open) -> None:
    first = await inbound(FakeEngine())
    with pytest.raises(OSError, match="taken"):
        await inbound(FakeEngine())
    first.close()
    await inbound(FakeEngine())


def test_only_what_a_centre_calls_can_be_taken() -> None:
    options = registry.sources.get("nhsa").Options
    for wrong in (["2207"], ["9999"]):
        with pytest.raises(ValidationError, match=r"2207|9999"):
            options(path="/x", accepts=wrong)
    assert options(path="/x", accepts="7102").accepts == ("7102",)


def test_a_channels_test_gives_an_envelope_and_reads_what_goes_back() -> None:
    kind = registry.sources.get("nhsa")
    source = kind(kind.Options(path="/x"), Ground("called", "json", now=lambda: AT_S))
    body = json.dumps({"infno": "6201", "msgid": "M1", "input": {}}).encode()
    assert source.received(Message(body)).headers["infno"] == "6201"
    assert source.received(Message(b"x")).fault_code == "JL-N320"
    assert source.told(Message(body), Reply("accepted", id=ID)).code == "0"
    assert source.told(Message(body), Reply("refused", code="JL-N321", text="no")).code == "-1"
