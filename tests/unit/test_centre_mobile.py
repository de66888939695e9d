"""Mobile payment, e-voucher and e-prescription at the insurance centre, by an envelope that is sealed by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from centre_parts import PATIENCE_S, Ear, Tree, line, signed_in
from endpoint_parts import until

from config.secrets import Secret
from deploy.sandbox.centre import Application, Centre, MobileCentre, Settings, sealing
from deploy.sandbox.centre.settings import HOSPITAL
from deploy.sandbox.http import ask
from deploy.sandbox.signing import KeyPair, holds, sm3
from endpoints.insurance.sm_envelope import Envelope, EnvelopeOptions
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.sample import sample

OURS, THEIRS = KeyPair.new(), KeyPair.new()
_PATHS = {"6201": "uldFeeInfo", "6202": "pay_order", "6203": "refund_Order", "6301": "query_order_info"}
_PATHS |= {"6401": "revoke_order"}
_RX = {"D001": "uploadChk", "D002": "rxFixmedinsSign", "D003": "rxFileUpld", "D004": "rxUndo"}
_RX |= {"D005": "hospRxDetlQuery", "D006": "D006", "D007": "rxSetlInfoQuery"}


def _application(use: Any, **fields: Any) -> Application:
    return Application(
        f"APP{use.upper():0<29}",
        "SECRET0000000000000000000000TEST",
        OURS.public,
        THEIRS,
        use,
        HOSPITAL,
        **fields,
    )


@dataclass
class Phone:
    """The institution's side. Its envelope is made by the functions of the platform with the keys the other way."""

    centre: Centre
    mobile: MobileCentre

    async def raw(self, use: str, path: str, data: Tree, **head: str) -> tuple[int, bytes]:
        mine = _application(use)
        sender = Application(mine.app_id, mine.secret, THEIRS.public, OURS, mine.use, HOSPITAL)
        body = sealing.sealed({"timestamp": "20260105100000", **head}, data, sender)
        return await ask(self.mobile.port, "POST", path, {}, body, PATIENCE_S)

    async def call(self, use: str, path: str, data: Tree, **head: str) -> tuple[Any, Any]:
        """Data and envelope of an answer whose signature holds."""
        _, said = await self.raw(use, path, data, **head)
        mine = _application(use)
        tree = json.loads(said)
        if "encData" not in tree:
            return None, tree
        letter = sealing.opened(
            said, Application(mine.app_id, mine.secret, THEIRS.public, OURS, mine.use, HOSPITAL)
        )
        return _numbers(letter.data), letter.head

    async def pay(self, code: str, data: Tree) -> Any:
        told, head = await self.call("payment", f"/org/local/api/hos/{_PATHS[code]}", data)
        assert str(head["code"]) == "0", head
        return told

    async def rx(self, code: str, data: Tree) -> Any:
        told, head = await self.call("prescription", f"/fixmedins/{_RX[code]}", data)
        assert str(head["code"]) == "0", head
        return told

    def fees(self, number: str = "ORD1") -> Tree:
        patient = self.centre.persons[0]
        rows = [
            line(patient, "", "F1", "XTEST000000000000001", "25.00", "4"),
            line(patient, "", "F2", "XTEST000000000000003", "6.50"),
        ]
        return {
            **self.payer(),
            "orgId": "1",
            "insutype": "310",
            "psnNo": patient.psn_no,
            "medOrgOrd": number,
            "begntime": "2026-01-05 10:00:00",
            "ecToken": patient.token,
            "insuCode": patient.insuplc_admdvs,
            "iptOtpNo": f"O{number}",
            "medType": "11",
            "feeType": "01",
            "medfeeSumamt": "106.50",
            "acctUsedFlag": "0",
            "chrgBchno": number,
            "feedetailList": [{_camel(name): value for name, value in row.items()} for row in rows],
        }

    def payer(self) -> Tree:
        patient = self.centre.persons[0]
        who = {"idNo": patient.certno, "userName": patient.psn_name, "idType": "01"}
        return {**who, "orgCodg": HOSPITAL}


def _numbers(value: Any) -> Any:
    """What was read digit by digit, as Decimal."""
    if isinstance(value, sealing.Number):
        return D(value)
    if isinstance(value, dict):
        return {name: _numbers(inner) for name, inner in value.items()}
    return [_numbers(inner) for inner in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    async with signed_in() as hospital:
        uses = [_application("payment"), _application("prescription"), _application("voucher")]
        mobile = MobileCentre(hospital.centre, *uses)
        await mobile.start()
        yield Phone(hospital.centre, mobile)
        await mobile.stop()


def test_the_worked_example_of_the_envelope_comes_out() -> None:
    """Source: the vector of the facts on the SM2/SM4 envelope, all of it invented."""
    data = sealing.parsed(
        b'{"orgCodg":"H99999900001","feeType":"01","medfeeSumamt":36.5,"memo":"","extData":{},'
        b'"feedetailList":[{"pric":"36.50","cnt":"1","feedetlSn":"F0001"}]}'
    )
    app, secret = "TESTAPP000000000000000000000001A", "TESTSECRET0000000000000000000001"
    head = {
        "appId": app,
        "encType": "SM4",
        "signType": "SM2",
        "timestamp": "20240115103000",
        "version": "2.0.1",
    }
    text = sealing.sign_text({**head, "data": data}, secret)
    assert sm3(text.encode()).hex() == "db7f4ac16a2ec9986bf35eafd73addd02cfb9cc89f1b9c8010a04b4ecedadde5"
    made = Application(app, secret, OURS.public, THEIRS, "payment", HOSPITAL)
    assert made.cipher == b"546B6241695D4926"


@pytest.mark.parametrize("portal", [False, True])
@pytest.mark.parametrize("short", [False, True])
def test_the_platform_and_the_gateway_read_each_other(portal: bool, short: bool) -> None:
    mine = _application("payment", portal=portal, short_numbers=short)
    options = EnvelopeOptions(
        variant="portal" if portal else "payment",
        app_id=mine.app_id,
        app_secret=Secret(mine.secret),
        private_key=Secret(f"{OURS.private:064x}"),
        platform_key=THEIRS.shown,
    )
    gateway = Envelope(options)
    data = {"feeSumamt": D("36.50"), "name": "欧阳", "none": "", "rows": [{"cnt": D("1.0"), "sn": "F1"}]}
    letter = sealing.opened(gateway.request(data, 1_767_600_000.0).wire, mine)
    assert letter.data["name"] == "欧阳"
    answer = gateway.opened(sealing.sealed({"code": 0, "success": True, "timestamp": "1"}, data, mine))
    assert answer.signed
    assert answer.data["feeSumamt"] == D("36.50")


def test_a_signature_of_another_key_or_of_other_bytes_does_not_hold() -> None:
    made = bytes.fromhex(OURS.sign(b"said"))
    assert holds(OURS.public, b"said", made)
    assert not holds(OURS.public, b"sair", made)
    assert not holds(THEIRS.public, b"said", made)
    assert not holds(OURS.public, b"said", bytes(64))


async def test_an_order_is_uploaded_paid_asked_for_and_refunded(phone: Phone) -> None:
    books = phone.centre.books
    made = await phone.pay("6201", phone.fees())
    key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
    asked = await phone.pay("6301", key)
    assert (asked["ordStas"], D(asked["fundPay"])) == ("1", 0)
    paying = {**key, "payAuthNo": "AUTH1", "orgBizSer": "B1"}
    paid = await phone.pay("6202", paying)
    amounts = {name: D(paid[name]) for name in ("feeSumamt", "ownPayAmt", "psnAcctPay", "fundPay")}
    # 100.00 in scope, the deductible takes 50, the fund 70 % of the rest.
    assert amounts == {
        "feeSumamt": D("106.50"),
        "ownPayAmt": D("71.50"),
        "psnAcctPay": 0,
        "fundPay": D("35.00"),
    }
    assert await phone.pay("6202", paying) == paid
    assert len(books.settlements) == 1
    back = {
        "payOrdId": made["payOrdId"],
        "appRefdSn": "R1",
        "appRefdTime": "20260105110000",
        "refdType": "CASH",
    }
    part = {**back, "totlRefdAmt": "1.50", "cashRefdAmt": "1.50"}
    assert (await phone.pay("6203", part))["refStatus"] == "SUCC"
    assert (await phone.pay("6203", part))["refStatus"] == "SUCC"
    too_much = {**part, "appRefdSn": "R2", "totlRefdAmt": "70.50", "cashRefdAmt": "70.50"}
    assert (await phone.pay("6203", too_much))["refStatus"] == "FAIL"
    whole = {"cashRefdAmt": "70.00", "psnAcctRefdAmt": "0", "fundRefdAmt": "35.00", "totlRefdAmt": "105.00"}
    assert (await phone.pay("6203", {**back, **whole, "appRefdSn": "R3", "refdType": "ALL"}))[
        "refStatus"
    ] == "SUCC"
    assert (await phone.pay("6301", key))["ordStas"] == "8"
    assert sorted(one.refd_setl_flag for one in books.settlements.values()) == ["0", "1"]


async def test_fees_are_revoked_before_they_are_paid_and_not_after(phone: Phone) -> None:
    made = await phone.pay("6201", phone.fees())
    key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
    for _ in range(2):
        await phone.pay("6401", key)
    assert not phone.centre.books.fees
    made = await phone.pay("6201", phone.fees())
    key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
    await phone.pay("6202", {**key, "payAuthNo": "A", "orgBizSer": "B1"})
    _, head = await phone.call("payment", "/org/local/api/hos/revoke_order", key)
    assert "已支付" in head["message"]


async def test_an_order_may_be_told_wrong_or_late(phone: Phone) -> None:
    mobile = phone.mobile
    made = await phone.pay("6201", phone.fees())
    key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
    mobile.behave("6202", "pending", times=1)
    mobile.behave("6301", "lag", times=1)
    assert (await phone.pay("6202", {**key, "payAuthNo": "A", "orgBizSer": "B1"}))["ordStas"] == "2"
    assert [(await phone.pay("6301", key))["ordStas"] for _ in range(2)] == ["1", "6"]
    mobile.behave("6301", "forged", times=1)
    with pytest.raises(sealing.Unreadable, match="验签失败"):
        await phone.pay("6301", key)
    mobile.behave("6203", "exp", times=1)
    back = {
        "payOrdId": made["payOrdId"],
        "appRefdSn": "R1",
        "appRefdTime": "20260105110000",
        "refdType": "HI",
    }
    back |= {"psnAcctRefdAmt": "0", "fundRefdAmt": "35.00", "totlRefdAmt": "35.00"}
    assert [(await phone.pay("6203", back))["refStatus"] for _ in range(2)] == ["EXP", "SUCC"]
    mobile.behave("6301", "lose", times=1)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await phone.pay("6301", key)


async def test_an_envelope_that_is_not_the_institutions_is_refused(phone: Phone) -> None:
    _, head = await phone.call("payment", "/org/local/api/hos/pay_order", {})
    assert "payOrdId" in head["message"]
    path = "/org/local/api/hos/uldFeeInfo"
    for body in (
        b"",
        b"[]",
        b'{"appId":"x"}',
        b'{"appId":"APPPAYMENT0000000000000000000000","encData":"00"}',
    ):
        _, said = await ask(phone.mobile.port, "POST", path, {}, body, PATIENCE_S)
        assert json.loads(said)["success"] is False
    mine = _application("payment")
    stranger = Application(mine.app_id, mine.secret, THEIRS.public, KeyPair.new(), mine.use, HOSPITAL)
    body = sealing.sealed({"timestamp": "1"}, phone.fees(), stranger)
    _, said = await ask(phone.mobile.port, "POST", path, {}, body, PATIENCE_S)
    assert "验签失败" in json.loads(said)["message"]
    assert not phone.centre.books.orders


async def test_the_voucher_names_its_holder(phone: Phone) -> None:
    patient = phone.centre.persons[3]
    told, _ = await phone.call("voucher", "/", {"ecQrCode": patient.token}, transType="ec.query", orgId="1")
    assert (told["userName"], told["idNo"]) == (patient.psn_name, patient.certno)
    _, head = await phone.call("voucher", "/", {"ecQrCode": "none"}, transType="ec.query")
    assert "无效" in head["message"]


async def test_a_prescription_is_checked_signed_uploaded_asked_for_and_undone(phone: Phone) -> None:
    patient = phone.centre.persons[0]
    tree: Tree = msgspec.to_builtins(sample(transaction("D001")))
    tree["rxdrugdetail"] = [msgspec.to_builtins(sample(transaction("D001"), whole=True))["rxdrugdetail"][0]]
    tree["mdtrtinfo"] = {"certno": patient.certno, "medType": "11", "mdtrtTime": "2026-01-05 10:00:00"}
    tree["mdtrtinfo"] |= {"iptOtpNo": "O1", "maindiagCode": "J00", "maindiagName": "感冒", "patnAge": 44}
    tree |= {"hospRxno": "RX1", "valiEndTime": "2999-01-01 00:00:00", "diseinfo": []}
    made = await phone.rx("D001", tree)
    assert await phone.rx("D001", tree) == made
    signed = await phone.rx(
        "D002", {"fixmedinsCode": HOSPITAL, "originalValue": "x", "originalRxFile": "eA=="}
    )
    told: Tree = {**made, "rxFile": signed["rxFile"], "signDigest": signed["signDigest"]}
    _, head = await phone.call("prescription", "/fixmedins/rxFileUpld", {**told, "signDigest": "eA=="})
    assert "签名" in head["message"]
    assert (await phone.rx("D003", told))["rxStasName"] == "有效"
    for name in ("D005", "D006", "D007"):
        answer = await phone.rx(name, {"hiRxno": made["hiRxno"], "fixmedinsCode": HOSPITAL})
        assert checker(transaction(name)).response(answer) == []
        assert answer["rxStasCodg"] == "1"
    undo = {"hiRxno": made["hiRxno"], "undoDrName": "x", "undoRea": "x", "undoTime": "2026-01-05 11:00:00"}
    for _ in range(2):
        await phone.rx("D004", undo)
    assert (await phone.rx("D005", {"hiRxno": made["hiRxno"]}))["rxStasName"] == "已撤销"


async def test_a_notice_tells_the_hospital_what_became_of_an_order(phone: Phone) -> None:
    made = await phone.pay("6201", phone.fees())
    key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
    await phone.pay("6202", {**key, "payAuthNo": "A", "orgBizSer": "B1"})
    async with Ear(b"{}") as ear:
        assert await phone.mobile.notify(ear.url, made["payOrdId"]) == (200, b"{}")
        phone.mobile.notify_url = ear.url
        await phone.pay("6202", {**key, "payAuthNo": "A", "orgBizSer": "B1"})
        await until(lambda: bool(phone.mobile.told))
    assert phone.mobile.told == [(made["payOrdId"], 200)]
    got = ear.heard
    mine = _application("payment")
    letter = sealing.opened(
        got[0], Application(mine.app_id, mine.secret, THEIRS.public, OURS, mine.use, HOSPITAL)
    )
    assert (letter.data["payOrdId"], letter.data["ordStas"]) == (made["payOrdId"], "6")


async def test_the_states_of_orders_are_the_provinces_own() -> None:
    async with signed_in(Settings(order_status={"paid": "3"})) as hospital:
        mobile = MobileCentre(hospital.centre, _application("payment"))
        await mobile.start()
        phone = Phone(hospital.centre, mobile)
        made = await phone.pay("6201", phone.fees())
        key = {"payOrdId": made["payOrdId"], "payToken": made["payToken"], **phone.payer()}
        assert (await phone.pay("6202", {**key, "payAuthNo": "A", "orgBizSer": "B1"}))["ordStas"] == "3"
        await mobile.stop()
