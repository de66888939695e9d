"""Mobile payment from the fees to the refund, with the sandbox's centre as the other side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from centre_parts import Hospital as Counter
from centre_parts import line, registration, signed_in
from journal_parts import KEYS

from config import registry
from config.errors import Refused
from config.settings import LimitSettings
from deploy.sandbox.centre import Application, Centre, MobileCentre
from deploy.sandbox.centre.settings import HOSPITAL
from deploy.sandbox.signing import KeyPair
from endpoints.base import Ground
from endpoints.insurance.mobile.destination import NhsaMobile
from endpoints.web import WebServer
from router.clock import now_ms
from router.store.insurance_records import InsuranceRecords, insurance_records
from schemas.json import Json
from schemas.message import Message, Reply
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

OURS, THEIRS = KeyPair.new(), KeyPair.new()
SECRET = "SECRET0000000000000000000000TEST"
JSON = Json()
Tree = dict[str, Any]


@dataclass
class Engine:
    """Takes the notices."""

    got: list[Message] = field(default_factory=list)

    def deliver(self, message: Message) -> asyncio.Future[Reply]:
        self.got.append(message)
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        done.set_result(Reply("accepted", id="1"))
        return done


@dataclass
class Hospital:
    counter: Counter
    centre: Centre
    mobile: MobileCentre
    records: InsuranceRecords
    parties: dict[str, NhsaMobile] = field(default_factory=dict)
    sent: int = 0

    async def ask(self, name: str, tree: Tree, use: str = "payment", id: str = "", **more: Any) -> Tree:
        self.sent += 1
        headers = {"param.code": name}
        asked = Message(JSON.encode(tree), id=id or f"{self.sent:032x}", headers=headers)
        answer: Tree = JSON.decode((await self.party(use, **more).send(asked)).answer)
        return answer

    def party(self, use: str, **more: Any) -> NhsaMobile:
        key = f"{use}{more}"
        if key not in self.parties:
            kind = registry.destinations.get("nhsa_mobile")
            said = {"url": self.mobile.url, "centre": use, "envelope": envelope(use), "org_code": HOSPITAL}
            ground = Ground("pay.mobile", "json", insurance=self.records)
            self.parties[key] = kind(kind.Options(**said, **more), ground)
        return self.parties[key]

    @property
    def payer(self) -> Tree:
        patient = self.centre.persons[0]
        return {"idNo": patient.certno, "userName": patient.psn_name, "idType": "01"}

    async def fees(self, number: str) -> Tree:
        """Of a visit that the counter has registered."""
        patient = self.centre.persons[0]
        visit = (await self.counter.done("2201", registration(patient, f"O{number}")))["data"]["mdtrt_id"]
        lines = [
            line(patient, visit, "F1", "XTEST000000000000001", "25.00", "4"),
            line(patient, visit, "F2", "XTEST000000000000003", "6.50"),
        ]
        whole = sample(transaction("MP-6201"))["data"]
        said = {
            "psnNo": patient.psn_no, "insutype": "310", "medOrgOrd": number, "chrgBchno": number,
            "ecToken": patient.token, "insuCode": patient.insuplc_admdvs, "medType": "11", "feeType": "01",
            "iptOtpNo": f"O{number}", "medfeeSumamt": Decimal("106.50"), "mdtrtId": visit, "acctUsedFlag": "1",
            "feedetailList": [{_camel(name): value for name, value in row.items()} for row in lines],
        }  # fmt: skip
        made = {**whole, **self.payer, **said}
        return {name: value for name, value in made.items() if name != "orgCodg"}

    async def order(self, number: str) -> Tree:
        """Its payOrdId and payToken."""
        made = await self.ask("MP-6201", {"data": await self.fees(number)})
        assert made["outcome"] == "OK", made
        told: Tree = made["output"]["data"]
        return {name: told[name] for name in ("payOrdId", "payToken")}

    async def pay(self, order: Tree, **more: Any) -> Tree:
        tree = {**order, "payAuthNo": "AUTH1", "orgBizSer": f"B{order['payOrdId']}", "acctUsedFlag": "1"}
        return await self.ask("MP-6202", tree, **more)

    def refund(self, order: Tree, paid: Tree, number: str) -> Tree:
        return {
            "payOrdId": order["payOrdId"], "appRefdSn": number, "appRefdTime": "20260105103000", "refdType": "ALL",
            "totlRefdAmt": paid["feeSumamt"], "psnAcctRefdAmt": paid["psnAcctPay"],
            "fundRefdAmt": paid["fundPay"], "cashRefdAmt": paid["ownPayAmt"], "payAuthNo": "AUTH1",
        }  # fmt: skip

    def state(self, order: Tree) -> str:
        return self.centre.books.orders[order["payOrdId"]].state


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def application(use: Any) -> Application:
    return Application(f"APP{use.upper():0<29}", SECRET, OURS.public, THEIRS, use, HOSPITAL)


def envelope(use: str) -> Tree:
    app = application(use)
    keys = {"private_key": f"{OURS.private:064x}", "platform_key": THEIRS.shown}
    return {"app_id": app.app_id, "app_secret": SECRET, **keys}


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with signed_in() as known:
        uses = [application(use) for use in ("payment", "voucher", "prescription")]
        mobile = MobileCentre(known.centre, *uses)
        await mobile.start()
        records = insurance_records(f"sqlite:///{tmp_path}/journal.db", lambda: KEYS, now_ms)
        made = Hospital(known, known.centre, mobile, records)
        yield made
        for party in made.parties.values():
            await party.stop()
        made.records.close()
        await mobile.stop()


async def test_a_patient_pays_by_telephone_and_gets_it_back_and_every_fen_adds_up(hospital: Hospital) -> None:
    shown = await hospital.ask("EC-QUERY", {"ecQrCode": hospital.centre.persons[0].token}, "voucher")
    assert shown["output"]["idNo"] == hospital.centre.persons[0].certno
    order = await hospital.order("1")
    paid = await hospital.pay(order)
    told = paid["output"]["data"]
    assert (paid["outcome"], told["ordStas"]) == ("OK", "6")
    assert told["feeSumamt"] == Decimal("106.50")
    assert told["feeSumamt"] == told["ownPayAmt"] + told["psnAcctPay"] + told["fundPay"]
    asked = await hospital.ask("MP-6301", {**order, **hospital.payer})
    assert asked["output"]["data"]["fundPay"] == told["fundPay"]
    back = await hospital.ask("MP-6203", hospital.refund(order, told, "R1"))
    assert (back["outcome"], hospital.state(order)) == ("OK", "refunded")


async def test_a_notice_of_the_payment_comes_in_signed_and_its_answer_is_read(hospital: Hospital) -> None:
    web, engine = WebServer("127.0.0.1", 0, LimitSettings()), Engine()
    await web.start()
    kind = registry.sources.get("nhsa_mobile")
    source = kind(kind.Options(path="/notice", envelope=envelope("payment")), Ground("paid", "json", web=web))
    await source.start(engine.deliver)
    try:
        order = await hospital.order("1")
        await hospital.pay(order)
        url = f"http://127.0.0.1:{web.port}/notice"
        status, body = await hospital.mobile.notify(url, order["payOrdId"])
        assert status == 200
        assert str(hospital.mobile.read(body, application("payment").app_id).head["code"]) == "0"
        status, _ = await hospital.mobile.notify(url, order["payOrdId"], forged=True)
        assert status == 400
    finally:
        await source.stop()
        await web.stop()
    (notice,) = engine.got
    told = JSON.decode(notice.body)["data"]
    assert (told["payOrdId"], told["feeSumamt"]) == (order["payOrdId"], Decimal("106.50"))


async def test_fees_are_taken_back_before_they_are_paid_and_not_after(hospital: Hospital) -> None:
    order, other = await hospital.order("1"), await hospital.order("2")
    assert (await hospital.ask("MP-6401", {**order, **hospital.payer}))["outcome"] == "OK"
    assert hospital.state(order) == "revoked"
    await hospital.pay(other)
    refused = await hospital.ask("MP-6401", {**other, **hospital.payer})
    assert (refused["outcome"], refused["infcode"]) == ("REJECTED", "-1")
    assert "已支付" in refused["err_msg"]


@pytest.mark.parametrize("kind", ["cut", "html", "garbage", "half", "forged", "null", "error"])
async def test_a_payment_whose_answer_is_lost_is_found_paid_and_is_paid_once(
    hospital: Hospital, kind: str
) -> None:
    order = await hospital.order("1")
    hospital.mobile.behave("6202", kind, times=1)
    lost = await hospital.pay(order, id="a" * 32)
    assert lost["outcome"] == "UNKNOWN"
    assert hospital.state(order) == "paid"
    again = await hospital.pay(order, id="a" * 32)
    assert (again["outcome"], again["msgid"]) == ("UNKNOWN", lost["msgid"])
    found = await hospital.ask("probe", {"msgid": lost["msgid"]})
    assert (found["outcome"], found["output"]["data"]["ordStas"]) == ("OK", "6")
    assert len(hospital.centre.books.settlements) == 1


async def test_a_payment_that_never_arrived_is_found_open(hospital: Hospital) -> None:
    order = await hospital.order("1")
    hospital.mobile.behave("6202", "lose", times=1)
    lost = await hospital.pay(order)
    found = await hospital.ask("probe", {"msgid": lost["msgid"]})
    assert (lost["outcome"], found["outcome"]) == ("UNKNOWN", "PROCESSING")
    assert not hospital.centre.books.settlements


async def test_what_the_centre_has_not_done_yet_is_told_so(hospital: Hospital) -> None:
    order = await hospital.order("1")
    hospital.mobile.behave("6202", "pending", times=1)
    assert (await hospital.pay(order))["outcome"] == "PROCESSING"
    hospital.mobile.behave("6202", "refuse", times=1, text="余额不足")
    refused = await hospital.pay(await hospital.order("2"))
    assert (refused["outcome"], refused["err_msg"]) == ("REJECTED", "余额不足")


async def test_a_refund_that_expired_is_unknown_until_the_order_shows_it(hospital: Hospital) -> None:
    order = await hospital.order("1")
    paid = (await hospital.pay(order))["output"]["data"]
    hospital.mobile.behave("6203", "fail", times=1)
    assert (await hospital.ask("MP-6203", hospital.refund(order, paid, "R1")))["outcome"] == "REJECTED"
    hospital.mobile.behave("6203", "exp", times=1)
    lost = await hospital.ask("MP-6203", hospital.refund(order, paid, "R2"))
    assert lost["outcome"] == "UNKNOWN"
    found = await hospital.ask("probe", {"msgid": lost["msgid"]})
    assert (found["outcome"], hospital.state(order)) == ("OK", "refunded")


async def test_what_is_paid_is_refunded_and_what_is_open_is_taken_back(hospital: Hospital) -> None:
    order, other = await hospital.order("1"), await hospital.order("2")
    await hospital.ask("MP-6301", {**order, **hospital.payer})
    paid = await hospital.pay(order)
    for _ in range(2):
        back = await hospital.ask("reverse", {"msgid": paid["msgid"]})
        assert (back["outcome"], back["state"], hospital.state(order)) == ("OK", "REVERSED", "refunded")
    (refund,) = hospital.centre.books.orders[order["payOrdId"]].refunds
    assert (refund.number, refund.amount_fen) == (f"R{paid['msgid']}", 10650)
    hospital.mobile.behave("6202", "lose", times=1)
    lost = await hospital.pay(other)
    back = await hospital.ask("reverse", {"msgid": lost["msgid"]})
    assert (back["outcome"], hospital.state(other)) == ("OK", "revoked")


async def test_a_refund_whose_answer_is_lost_is_made_once(hospital: Hospital) -> None:
    order = await hospital.order("1")
    paid = await hospital.pay(order)
    hospital.mobile.behave("6203", "cut", times=1)
    hospital.mobile.behave("6301", "cut", skip=1, times=1)
    first = await hospital.ask("reverse", {"msgid": paid["msgid"]}, unknown="dead")
    assert (first["outcome"], first["state"]) == ("UNKNOWN", "OK")
    second = await hospital.ask("reverse", {"msgid": paid["msgid"]}, unknown="dead")
    assert (second["outcome"], second["by"]) == ("UNKNOWN", first["by"])
    again = await hospital.ask("reverse", {"msgid": paid["msgid"]}, unknown="dead")
    assert (again["outcome"], again["state"]) == ("OK", "REVERSED")
    assert len(hospital.centre.books.orders[order["payOrdId"]].refunds) == 1


async def test_fees_whose_order_is_paid_are_not_taken_back_before_the_payment(hospital: Hospital) -> None:
    made = await hospital.ask("MP-6201", {"data": await hospital.fees("1")})
    order = {name: made["output"]["data"][name] for name in ("payOrdId", "payToken")}
    await hospital.pay(order)
    back = await hospital.ask("reverse", {"msgid": made["msgid"]})
    assert (back["outcome"], hospital.state(order)) == ("REJECTED", "paid")
    assert "请先退费" in back["text"]


async def test_a_settlement_asks_by_its_own_key(hospital: Hospital) -> None:
    order = await hospital.order("1")

    async def asked(direction: str, about: str = "", tree: Tree | None = None) -> Tree:
        headers = {"param.code": "MP-6202", "key": "S1/pay", "direction": direction, "about": about}
        party = hospital.party("payment")
        hospital.sent += 1
        sent = Message(JSON.encode(tree or {}), id=f"{hospital.sent:032x}", headers=headers)
        answer: Tree = JSON.decode((await party.send(sent)).answer)
        return answer

    assert await asked("probe", "do") == {"outcome": "ABSENT", "final": True}
    hospital.mobile.behave("6202", "cut", times=1)
    pay = {**order, "payAuthNo": "AUTH1", "orgBizSer": "B1"}
    assert (await asked("do", tree=pay))["outcome"] == "UNKNOWN"
    assert (await asked("probe", "do"))["outcome"] == "OK"
    assert (await asked("do", tree=pay))["outcome"] == "OK"
    assert await asked("probe", "undo") == {"outcome": "ABSENT", "final": True}
    assert (await asked("undo"))["outcome"] == "OK"
    assert (await asked("probe", "undo"))["outcome"] == "OK"
    assert (hospital.state(order), len(hospital.centre.books.orders[order["payOrdId"]].refunds)) == (
        "refunded",
        1,
    )


async def test_a_prescription_is_checked_signed_sent_and_taken_back(hospital: Hospital) -> None:
    tree = sample(transaction("D001"), whole=True)
    tree["valiEndTime"] = "2999-12-31 00:00:00"
    tree["mdtrtinfo"]["certno"] = hospital.centre.persons[0].certno
    made = (await hospital.ask("D001", tree, "prescription"))["output"]
    file = {"originalValue": "处方", "originalRxFile": "5aSE5pa5", "fixmedinsCode": HOSPITAL}
    signed = (await hospital.ask("D002", file, "prescription"))["output"]
    upload = {
        **sample(transaction("D003")),
        **made,
        "rxFile": signed["rxFile"],
        "signDigest": signed["signDigest"],
    }
    sent = await hospital.ask("D003", upload, "prescription")
    assert sent["outcome"] == "OK"
    shown = await hospital.ask("D005", {"hiRxno": made["hiRxno"], "fixmedinsCode": HOSPITAL}, "prescription")
    assert shown["output"]["rxStasName"] == "有效"
    with pytest.raises(Refused, match=r"JL-N311.*undoRea"):
        await hospital.ask("reverse", {"msgid": sent["msgid"]}, "prescription")
    undo = {name: value for name, value in sample(transaction("D004")).items() if name not in made}
    hospital.mobile.behave("D004", "cut", times=1)
    lost = await hospital.ask("reverse", {"msgid": sent["msgid"], "data": undo}, "prescription")
    assert (lost["outcome"], lost["state"]) == ("UNKNOWN", "OK")
    again = await hospital.ask("reverse", {"msgid": sent["msgid"], "data": undo}, "prescription")
    assert (again["outcome"], again["state"], again["by"]) == ("OK", "REVERSED", lost["by"])
    asked = {**sample(transaction("D006")), "hiRxno": made["hiRxno"]}
    addresses = {"D006": "/fixmedins/rxChkInfoQuery"}
    reviewed = await hospital.ask("D006", asked, "prescription", addresses=addresses)
    assert reviewed["output"]["rxStasName"] == "已撤销"
