"""The mobile centres: what leaves, what an answer means, and that a lost answer never makes a second payment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from journal_parts import KEYS, NOW
from mobile_parts import APP, OURS, SECRET, THEIRS, PaymentCentre, Said, private_of, read, sealed
from msgspec.structs import replace
from pydantic import ValidationError

from config import registry
from config.errors import Refused, Unreachable
from deploy.sandbox.centre.misbehaviour import Act
from endpoints.base import Ground
from endpoints.insurance.mobile.destination import NhsaMobile
from router.store.insurance_records import InsuranceRecords, insurance_records
from schemas.json import Json
from schemas.message import Message
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

PAY = {"payAuthNo": "AUTH1", "payOrdId": "ORD0001", "payToken": "TOKEN-ORD0001", "orgBizSer": "BIZ1"}
PERSON = {"idNo": "999999198001010011", "userName": "测试一", "idType": "01"}
ENVELOPE = {
    "app_id": APP,
    "app_secret": SECRET,
    "private_key": private_of(OURS),
    "platform_key": THEIRS.shown,
}


@pytest.fixture
async def centre() -> AsyncIterator[PaymentCentre]:
    made = PaymentCentre()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[InsuranceRecords]:
    made = insurance_records(f"sqlite:///{tmp_path}/journal.db", lambda: KEYS, lambda: NOW + 500)
    yield made
    made.close()


@pytest.fixture
async def mobile(centre: PaymentCentre, records: InsuranceRecords) -> AsyncIterator[Any]:
    opened: list[NhsaMobile] = []

    async def open(**more: Any) -> NhsaMobile:
        said = {
            "url": centre.url,
            "centre": "payment",
            "envelope": ENVELOPE,
            "org_code": "H99999900001",
            **more,
        }
        kind = registry.destinations.get("nhsa_mobile")
        ground = Ground("pay.mobile", "json", insurance=records, now=lambda: NOW / 1000)
        opened.append(kind(kind.Options(**said), ground))
        await opened[-1].start()
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


def message(tree: Any, name: str = "", number: int = 1, again: bool = False) -> Message:
    headers = {"param.code": name} if name else {}
    return Message(Json().encode(tree), id=f"{number:032x}", headers=headers, redelivered=again)


async def answered(one: NhsaMobile, asked: Message) -> Said:
    receipt = await one.send(asked)
    answer = read(receipt.answer)
    assert receipt.code == answer["outcome"]
    return answer


async def test_an_order_is_uploaded_paid_asked_for_and_refunded(mobile: Any, centre: PaymentCentre) -> None:
    one = await mobile()
    fees = sample(transaction("MP-6201"))
    fees["data"].pop("orgCodg")
    made = await answered(one, message(fees, "MP-6201"))
    assert (made["outcome"], made["infno"], made["infcode"]) == ("OK", "MP-6201", "0")
    order = made["output"]["data"]["payOrdId"]
    assert centre.named("uldFeeInfo")[0]["data"]["orgCodg"] == "H99999900001"
    paid = await answered(one, message({"input": {"data": PAY | {"payOrdId": order}}}, "6202"))
    assert paid["outcome"] == "OK"
    assert paid["output"]["data"]["fundPay"] == Decimal("20.25")
    shown = await answered(one, message({"infno": "MP-6301", **PAY, **PERSON}))
    assert shown["output"]["data"]["ordStas"] == "6"
    refund = {"payOrdId": order, "appRefdSn": "R1", "appRefdTime": "20240115103000", "refdType": "ALL"}
    assert (await answered(one, message(refund, "MP-6203")))["outcome"] == "OK"
    assert centre.orders[order] == "10"
    assert [path for path, _ in centre.calls] == [
        "uldFeeInfo",
        "pay_order",
        "query_order_info",
        "refund_Order",
    ]


async def test_a_row_is_durable_before_anything_leaves_and_holds_both_ways_in_plain_form(
    mobile: Any, centre: PaymentCentre, records: InsuranceRecords
) -> None:
    one = await mobile(transaction="MP-6202")
    seen: list[Any] = []

    def look(said: Said) -> bytes:
        seen.append(said)
        return sealed({"code": 0}, {"payOrdId": "ORD0001", "ordStas": "3"})

    centre.says["pay_order"] = look
    answer = await answered(one, message(PAY))
    (row,) = await records.search(APP, links={"payOrdId": "ORD0001"})
    assert row.msgid == answer["msgid"]
    assert row.msgid.startswith("00000000001A20260921")
    assert (row.state, row.infno, row.links["orgBizSer"]) == ("OK", "MP-6202", "BIZ1")
    kept = await records.find(row.msgid)
    assert kept is not None
    assert read(kept.request)["data"] == PAY | {"orgCodg": "H99999900001"}
    assert read(kept.answer)["data"]["ordStas"] == "3"


LOST = ["mute", "cut", "html", "error", "garbage", "half", "lose"]


@pytest.mark.parametrize("kind", LOST)
async def test_a_lost_answer_is_unknown_sent_once_and_found_by_a_probe(
    mobile: Any, centre: PaymentCentre, kind: str
) -> None:
    one = await mobile(transaction="MP-6202", timeout="4s" if kind == "mute" else "30s")
    centre.orders["ORD0001"] = "1"
    centre.acts["pay_order"] = [Act(kind)]
    first = await answered(one, message(PAY))
    assert (first["outcome"], first["output"]) == ("UNKNOWN", None)
    again = await answered(one, message(PAY, again=True))
    assert (again["outcome"], again["msgid"]) == ("UNKNOWN", first["msgid"])
    probe = await mobile(transaction="probe")
    asked = {"key": message(PAY).id} if kind == "cut" else {"msgid": first["msgid"]}
    found = await answered(probe, message(asked | {"data": PERSON}))
    assert found["outcome"] == ("PROCESSING" if kind == "lose" else "OK")
    assert (found["infno"], found["msgid"]) == ("MP-6202", first["msgid"])
    later = await answered(one, message(PAY, again=True))
    assert later["outcome"] == found["outcome"]
    assert len(centre.named("pay_order")) == (0 if kind == "lose" else 1)
    assert later["output"]["data"]["feeSumamt"] == Decimal("36.5")


async def test_what_was_answered_before_is_answered_again_and_not_sent_again(
    mobile: Any, centre: PaymentCentre
) -> None:
    one = await mobile(transaction="MP-6202")
    first = await answered(one, message(PAY))
    assert await answered(one, message(PAY, again=True)) == first
    assert len(centre.named("pay_order")) == 1
    await answered(one, message(PAY, number=2))
    assert len(centre.named("pay_order")) == 2


async def test_of_two_who_are_given_one_message_at_once_one_pays(mobile: Any, centre: PaymentCentre) -> None:
    both = [await mobile(transaction="MP-6202") for _ in range(2)]
    for number in range(1, 9):
        told = await asyncio.gather(*(answered(one, message(PAY, number=number)) for one in both))
        assert told[0]["msgid"] == told[1]["msgid"]
        assert len(centre.named("pay_order")) == number


async def test_of_two_who_refund_at_once_one_does(mobile: Any, centre: PaymentCentre) -> None:
    paid = await answered(await mobile(transaction="MP-6202"), message(PAY))
    both = [await mobile(transaction="reverse") for _ in range(2)]
    await asyncio.gather(*(one.send(message({"msgid": paid["msgid"], "data": PERSON})) for one in both))
    assert len(centre.named("refund_Order")) == 1


async def test_a_payment_that_was_reversed_is_not_told_to_be_done(mobile: Any, records: Any) -> None:
    one = await mobile(transaction="MP-6202")
    paid = await answered(one, message(PAY))
    await records.undone(paid["msgid"], "by")
    again = await answered(one, message(PAY, again=True))
    assert (again["outcome"], again["msgid"]) == ("REJECTED", paid["msgid"])


async def test_a_call_without_an_address_leaves_no_row_that_looks_sent(mobile: Any, records: Any) -> None:
    one, asked = await mobile(centre="prescription"), message(sample(transaction("D006")), "D006")
    with pytest.raises(Refused, match="JL-N390"):
        await one.send(asked)
    assert await records.of_key(APP, asked.id) == []


async def test_a_replay_pays_again_only_what_is_known_not_to_be_paid(
    mobile: Any, centre: PaymentCentre
) -> None:
    one = await mobile(transaction="MP-6202")
    centre.acts["pay_order"] = [Act("cut"), Act("status", code="404")]
    assert (await answered(one, message(PAY)))["outcome"] == "UNKNOWN"
    replay = replace(message(PAY, number=2), parent=message(PAY).id)
    with pytest.raises(Refused, match=r"JL-N019.*UNKNOWN"):
        await one.send(replay)
    assert (await answered(one, message(PAY, number=3)))["outcome"] == "REJECTED"
    replay = replace(message(PAY, number=4), parent=message(PAY, number=3).id)
    assert (await answered(one, replay))["outcome"] == "OK"
    assert len(centre.named("pay_order")) == 2


async def test_a_query_is_asked_as_often_as_it_comes(mobile: Any, centre: PaymentCentre) -> None:
    one = await mobile(transaction="MP-6301")
    for again in (False, True):
        assert (await answered(one, message(PAY | PERSON, again=again)))["outcome"] == "OK"
    assert len(centre.calls) == 2


async def test_what_never_left_is_tried_again(mobile: Any, centre: PaymentCentre) -> None:
    one = await mobile(transaction="MP-6202")
    await centre.leave()
    for again in (False, True):
        with pytest.raises(Unreachable) as away:
            await one.send(message(PAY, again=again))
        assert not away.value.maybe_done
    await centre.open()
    assert (await answered(one, message(PAY, again=True)))["outcome"] == "OK"
    assert len(centre.calls) == 1


ANSWERS = [
    ("MP-6202", {"ordStas": "0"}, "PROCESSING"),
    ("MP-6202", {"ordStas": 2}, "PROCESSING"),
    ("MP-6202", {"ordStas": "3"}, "OK"),
    ("MP-6202", {"ordStas": "13"}, "REJECTED"),
    ("MP-6202", {"ordStas": "14"}, "REJECTED"),
    ("MP-6202", {"ordStas": "17"}, "UNKNOWN"),
    ("MP-6202", {}, "UNKNOWN"),
    ("MP-6202", None, "UNKNOWN"),
    ("MP-6203", {"refStatus": "SUCC"}, "OK"),
    ("MP-6203", {"refStatus": "FAIL"}, "REJECTED"),
    ("MP-6203", {"refStatus": "EXP"}, "UNKNOWN"),
    ("MP-6203", {}, "UNKNOWN"),
    ("MP-6201", {"payToken": "T"}, "UNKNOWN"),
    ("MP-6401", None, "OK"),
]
FEES = sample(transaction("MP-6201"))["data"]
FULL = FEES | PAY | PERSON | {"appRefdSn": "R1", "appRefdTime": "20240115103000", "refdType": "ALL"}


@pytest.mark.parametrize(("name", "data", "outcome"), ANSWERS)
async def test_an_outcome_is_what_the_state_in_the_answer_says(
    mobile: Any, centre: PaymentCentre, name: str, data: Any, outcome: str
) -> None:
    one = await mobile(transaction=name)
    for path in ("uldFeeInfo", "pay_order", "refund_Order", "revoke_order"):
        centre.says[path] = lambda _: sealed({"code": 0, "message": "成功"}, data)
    assert (await answered(one, message(FULL)))["outcome"] == outcome


async def test_what_the_centre_refuses_is_said_in_its_words(mobile: Any, centre: PaymentCentre) -> None:
    centre.says["pay_order"] = lambda _: sealed(
        {"code": 40010, "message": "订单已关闭", "success": False}, None
    )
    answer = await answered(await mobile(transaction="MP-6202"), message(PAY))
    assert (answer["outcome"], answer["infcode"], answer["err_msg"]) == ("REJECTED", "40010", "订单已关闭")
    own = await mobile(transaction="MP-6202", unknown_codes=["40010"])
    assert (await answered(own, message(PAY, number=2)))["outcome"] == "UNKNOWN"
    dead = await mobile(transaction="MP-6202", rejected="dead")
    with pytest.raises(Refused, match=r"JL-N312.*40010: 订单已关闭") as refused:
        await dead.send(message(PAY, number=3))
    assert not refused.value.retry
    assert read(refused.value.answer or b"")["outcome"] == "REJECTED"


async def test_nothing_counts_as_done_that_the_platform_did_not_sign(
    mobile: Any, centre: PaymentCentre
) -> None:
    one = await mobile(transaction="MP-6202")
    paid = {"payOrdId": "ORD0001", "ordStas": "6"}
    centre.says["pay_order"] = lambda _: sealed({"code": 0}, paid, OURS)
    forged = await answered(one, message(PAY))
    assert (forged["outcome"], forged["output"]) == ("UNKNOWN", None)
    assert "JL-N302" in forged["err_msg"]
    centre.says["pay_order"] = lambda _: b'{"code": 0, "success": true, "data": {"ordStas": "6"}}'
    assert (await answered(one, message(PAY, number=2)))["outcome"] == "UNKNOWN"
    centre.says["pay_order"] = lambda _: b'{"code": 1, "message": "no", "success": false}'
    assert (await answered(one, message(PAY, number=3)))["outcome"] == "UNKNOWN"
    trusting = await mobile(transaction="MP-6202", unsigned="rejected")
    assert (await answered(trusting, message(PAY, number=4)))["outcome"] == "REJECTED"


async def test_what_a_gateway_turned_away_did_not_reach_the_centre(
    mobile: Any, centre: PaymentCentre
) -> None:
    one = await mobile(transaction="MP-6202", unknown="dead")
    centre.acts["pay_order"] = [Act("status", code="404"), Act("status", code="503")]
    answer = await answered(one, message(PAY))
    assert (answer["outcome"], answer["infcode"]) == ("REJECTED", "http-404")
    with pytest.raises(Refused, match="JL-N313"):
        await one.send(message(PAY, number=2))


async def test_an_input_that_breaks_its_table_leaves_nothing_and_names_the_field(
    mobile: Any, centre: PaymentCentre, records: InsuranceRecords
) -> None:
    one = await mobile(transaction="MP-6202")
    with pytest.raises(
        Refused, match=r"JL-N311: MP-6202 支付下单: /data/payToken: payToken 支付token"
    ) as refused:
        await one.send(message({"data": {**PAY, "payToken": ""}}))
    assert not refused.value.retry
    assert "AUTH1" not in str(refused.value)
    assert not centre.calls
    assert not await records.search(APP)


@pytest.mark.parametrize("body", [b"", b"[]", b"x", b'{"infno": "2207"}', b'{"infno": "MP-6302"}', b"{}"])
async def test_what_is_no_call_of_this_centre_is_refused(mobile: Any, body: bytes) -> None:
    with pytest.raises(Refused, match="JL-N310"):
        await (await mobile()).send(Message(body, id="1"))


async def test_a_probe_finds_what_it_needs_in_what_was_said_of_the_order(
    mobile: Any, centre: PaymentCentre
) -> None:
    one = await mobile()
    await answered(one, message(PAY | PERSON, "MP-6301"))
    centre.acts["pay_order"] = [Act("cut")]
    lost = await answered(one, message(PAY, "MP-6202", number=2))
    found = await answered(one, message({"msgid": lost["msgid"]}, "probe"))
    assert found["outcome"] == "OK"
    assert centre.calls[-1][1]["data"] == {
        **PERSON, "payOrdId": "ORD0001", "payToken": "TOKEN-ORD0001", "orgCodg": "H99999900001"
    }  # fmt: skip
    with pytest.raises(Refused, match="JL-N315"):
        await one.send(message({"msgid": "nothing"}, "probe"))


async def test_a_refund_that_does_not_show_yet_stays_unknown(mobile: Any, centre: PaymentCentre) -> None:
    one = await mobile()
    centre.orders["ORD0001"] = "6"
    centre.acts["refund_Order"] = [Act("lose")]
    lost = await answered(one, message(FULL, "MP-6203"))
    assert lost["outcome"] == "UNKNOWN"
    asked = message({"msgid": lost["msgid"], "data": PAY | PERSON}, "probe")
    assert (await answered(one, asked))["outcome"] == "UNKNOWN"
    centre.orders["ORD0001"] = "10"
    assert (await answered(one, asked))["outcome"] == "OK"
    assert (await answered(one, asked))["outcome"] == "OK"
    assert len(centre.named("query_order_info")) == 2, "what is known is not asked again"


async def test_prescriptions_and_vouchers_have_their_own_data_and_address(
    mobile: Any, centre: PaymentCentre
) -> None:
    prescriptions = await mobile(centre="prescription")
    undo = {
        "hiRxno": "HI1", "drCode": "D1", "undoDrName": "测试医师", "undoDrCertType": "01",
        "undoDrCertno": "999999198001010011", "undoRea": "填错", "undoTime": "2024-01-15 10:30:00",
    }  # fmt: skip
    assert (await answered(prescriptions, message(undo, "D004")))["outcome"] == "OK"
    assert centre.named("rxUndo")[0]["data"] == {**undo, "fixmedinsCode": "H99999900001"}
    with pytest.raises(Refused, match="JL-N390"):
        await prescriptions.send(
            message(
                {"hiRxno": "HI1", "fixmedinsCode": "H1"}
                | dict.fromkeys(("mdtrtId", "psnName", "psnCertType", "certno"), "1"),
                "D006",
            )
        )
    voucher = await mobile(centre="voucher", org_id="ORG1")
    centre.says[""] = lambda _: sealed({"code": 0}, {"userName": "测试一", "ecToken": "T"})
    answer = await answered(voucher, message({"ecQrCode": "QR"}, "EC-QUERY"))
    assert answer["output"]["ecToken"] == "T"
    sent = centre.named("")[0]
    assert (sent["transType"], sent["orgId"], sent["data"]) == ("ec.query", "ORG1", {"ecQrCode": "QR"})


WRONG = [
    {"transaction": "2207"}, {"transaction": "D001"}, {"transaction": "MP-6302"},
    {"addresses": {"MP-1": "/x"}}, {"envelope": ENVELOPE | {"private_key": "00"}}, {"tls": {"verify": False}},
]  # fmt: skip


@pytest.mark.parametrize("more", WRONG, ids=str)
async def test_what_yaml_says_wrongly_is_said_before_anything_runs(mobile: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await mobile(**more)


async def test_a_channels_test_says_what_the_centre_answers_in_plain_form(mobile: Any) -> None:
    one: NhsaMobile = await mobile(transaction="MP-6202")
    said = one.heard(message(PAY), "", b'{"code": 0, "data": {"ordStas": "6"}}', {})
    assert said.code == "OK"
    assert one.heard(message(PAY), "UNKNOWN", b"", {}).code == "UNKNOWN"
    assert one.heard(message(PAY), "", b"", {}).code == "OK"
