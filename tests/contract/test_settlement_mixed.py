"""Insurance and cash by one password, through a whole engine: both halves, or neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from centre_parts import Hospital, signed_in
from engine_parts import running, write_site
from mobile_fees import request
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.centre import Application, MobileCentre
from deploy.sandbox.centre.settings import HOSPITAL
from deploy.sandbox.mixed.insurance import AtCentre
from deploy.sandbox.mixed.party import MixedWechat
from deploy.sandbox.paying import CHINA
from deploy.sandbox.signing import KeyPair
from router.engine import Engine
from tests.payment.alipay_parts import private_pem, public_pem, rsa

PIPELINE = Path(__file__).parents[1] / "settlement" / "pipelines" / "mixed-payment.yaml"
REFUND = PIPELINE.with_name("mixed-refund.yaml")
OURS, THEIRS = KeyPair.new(), KeyPair.new()
SECRET, API_KEY = "SECRET0000000000000000000000TEST", "0123456789abcdef0123456789ABCDEF"
MERCHANT, APP = "1900000001", "wx0000000000000001"
PAYMENT = Application("APPPAYMENT0000000000000000000001", SECRET, OURS.public, THEIRS, "payment", HOSPITAL)
SYSTEMS = """\
systems:
  mobile:
    kind: nhsa_mobile
    centre: payment
    url: {mobile}
    org_code: {code}
    envelope: {{app_id: {app}, app_secret: secret://app, private_key: secret://key, platform_key: {platform}}}
  mixed:
    kind: wechat_medical
    url: {wechat}
    merchant: "1900000001"
    app: wx0000000000000001
    serial: 5157F09EFDC096DE15EBE81A47057A7200000001
    private_key: secret://merchant
    api_key: secret://apiv3
    wechat_keys: {{PUB_KEY_ID_0100000001: secret://wechat}}
    city: "530100"
    institution: 示例医院
    institution_no: {code}
    callback: http://127.0.0.1:9/notices/mixed
"""
TO = """\
channel: calls-of-{system}
from: {{calls: {system}}}
format: json
index: {{settlement: $@header.settlement, step: $@header.step}}
to: {{party: {{send: {{system: {system}}}}}}}
reply: party
timeout: 40s
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_APP", SECRET)
    monkeypatch.setenv("JINGLUO_SECRET_KEY", f"{OURS.private:064x}")
    monkeypatch.setenv("JINGLUO_SECRET_MERCHANT", private_pem(rsa("merchant")))
    monkeypatch.setenv("JINGLUO_SECRET_APIV3", API_KEY)
    monkeypatch.setenv("JINGLUO_SECRET_WECHAT", public_pem(rsa("wechat")))


class Place:
    """The centre, WeChat on it, and the HIS."""

    def __init__(self, counter: Hospital, town: Town) -> None:
        self.counter, self.town = counter, town
        self.mobile = MobileCentre(counter.centre, PAYMENT)
        self.insurance = AtCentre(counter.centre)
        known = (MERCHANT, APP, public_pem(rsa("merchant")), API_KEY)
        self.wechat = MixedWechat(*known, insurance=self.insurance, key=rsa("wechat"))
        self.wechat.telling = False  # F28: no notice ever comes

    def site(self, folder: Path) -> Path:
        systems = SYSTEMS.format(
            mobile=self.mobile.url,
            code=HOSPITAL,
            app=PAYMENT.app_id,
            platform=THEIRS.shown,
            wechat=self.wechat.url,
        )
        his = CALLS.format(system="his", port=self.town.port)
        calls = {f"calls-of-{name}": TO.format(system=name) for name in ("mobile", "mixed")}
        site = write_site(folder, {"calls-of-his": his, **calls}, systems)
        (site / "maps").mkdir()
        (site / "maps" / "call.yaml").write_text(MAP)
        (site / "channels" / "settlements").mkdir()
        for path in (PIPELINE, REFUND):
            pipeline = path.read_text().replace("every: 5s", "every: 1s")
            (site / "channels" / "settlements" / path.name).write_text(pipeline)
        return site

    async def asked(self) -> dict[str, Any]:
        asked = await request(self.counter)
        asked.pop("channel")
        asked["fees"]["acctUsedFlag"] = "0"  # or nothing would be left to be paid in cash
        split = self.insurance.split(HOSPITAL, asked["fees"])
        patient = self.counter.centre.persons[0]
        gov, own, cash = (str(Decimal(fen) / 100) for fen in (split.funds, split.own_acct, split.psn_cash))
        return asked | {
            "cash": cash,
            "insurance": {"gov": gov, "self": own, "cash": cash},
            "openid": "o1",
            "payer": {"name": patient.psn_name, "id": patient.certno},
            "place": "102.682296,25.054260",
            "ordered_at": datetime.now(CHINA).isoformat(timespec="seconds"),
        }


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with signed_in() as counter:
        town = await Town().start()
        made = Place(counter, town)
        await made.mobile.start()
        await made.wechat.start()
        yield made
        await made.wechat.stop()
        await made.mobile.stop()
        await town.stop()


async def ended(engine: Engine, number: str = "S1") -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    async with asyncio.timeout(40):
        while (told := await desk.show(number, 5))["state"] in ("RUNNING", "WAITING"):
            await asyncio.to_thread(engine.settings.site.exists)  # others have their turn
    return told


async def paid(engine: Engine, place: Place, **halves: bool) -> dict[str, Any]:
    """The patient authorises and gives the password; what the settlement comes to."""
    desk = engine.makers.desk
    assert desk is not None
    place.wechat.authorise("AUTH1")
    told = await desk.begin("mixed-payment", await place.asked(), "kiosk", 30)
    assert told["state"] == "WAITING", str(told)[-900:]
    place.wechat.pays_mixed(told["facts"]["order"], **halves)
    return await ended(engine)


async def balances(engine: Engine) -> list[int]:
    desk = engine.makers.desk
    assert desk is not None
    names = ("transit:S1", "clearing:wechat", "receivable:fund", "receivable:account", "income:his")
    return [await desk._book.balance(name) for name in names]


async def test_f28_f30_both_halves_are_settled_without_a_notice_and_refunded_though_the_answer_is_exp(
    tmp_path: Path, place: Place
) -> None:
    place.mobile.behave("6203", "exp", times=1)
    async with running(place.site(tmp_path)) as engine:
        told = await paid(engine, place)
        assert told["state"] == "COMPLETED", told
        has = await balances(engine)
        desk = engine.makers.desk
        assert desk is not None
        (order,) = place.counter.centre.books.orders.values()
        split = place.counter.centre.books.settlements[order.setl_id].split
        assert (has[0], has[1], has[2], has[4]) == (0, split.psn_cash, split.funds, -10650)
        assert place.wechat.books.received == split.psn_cash > 0
        asked = {
            "refund_no": "B1", "order": told["facts"]["order"], "pay_order_id": order.pay_ord_id,
            "token": place.counter.centre.persons[0].token, "at": "20260105120000", "total": "106.50",
            "insured": told["facts"]["split"]["gov"], "cash": told["facts"]["split"]["cash"],
        }  # fmt: skip
        await desk.begin("mixed-refund", asked, "cashier", 30)
        back = await ended(engine, "B1")
        assert back["state"] == "COMPLETED", str(back)[-500:]
        assert await balances(engine) == [0] * 5
        assert await desk._book.balance("transit:B1") == 0
    (order,) = place.counter.centre.books.orders.values()
    assert (order.state, len(order.refunds)) == ("refunded", 1)
    assert place.wechat.books.received == 0
    (bought,) = place.wechat.books.orders.values()
    (mixed,) = place.wechat.mixed.orders.values()
    assert [one["out_refund_no"] for one in mixed.told] == list(bought.refunds)


@pytest.mark.parametrize("fault", ["F26", "F27", "F30"])
async def test_half_a_payment_or_a_refusal_of_the_his_leaves_nothing(
    tmp_path: Path, place: Place, fault: str
) -> None:
    """F26 insurance without cash, F27 cash without insurance, F30 both, and MP-6203 answers EXP."""
    if fault == "F30":
        place.town.refuses = {"post_settlement"}
        place.mobile.behave("6203", "exp", times=1)
    async with running(place.site(tmp_path)) as engine:
        told = await paid(engine, place, cash=fault != "F26", insurance=fault != "F27")
        assert told["state"] == "COMPENSATED", told
        assert await balances(engine) == [0] * 5
    (order,) = place.counter.centre.books.orders.values()
    assert order.state == ("revoked" if fault == "F27" else "refunded")
    assert place.wechat.books.received == 0
    assert place.town.live() == {}
    (mixed,) = place.wechat.mixed.orders.values()
    assert len(mixed.told) == (0 if fault == "F27" else 1)
    if fault == "F30":
        (bought,) = place.wechat.books.orders.values()
        assert [mixed.told[0]["out_refund_no"]] == list(bought.refunds)
        fund = Decimal(str(mixed.told[0]["med_refund_gov_fee"]))
        assert fund == place.counter.centre.books.settlements[order.setl_id].split.funds


async def test_f29_an_authorisation_that_is_over_cancels_the_fees(tmp_path: Path, place: Place) -> None:
    async with running(place.site(tmp_path)) as engine:
        desk = engine.makers.desk
        assert desk is not None
        told = await desk.begin("mixed-payment", await place.asked(), "kiosk", 30)
        told = await ended(engine)
        assert told["state"] in ("COMPENSATED", "REJECTED"), told
    (order,) = place.counter.centre.books.orders.values()
    assert order.state == "revoked"
    assert [one.state for one in place.wechat.books.orders.values()] == ["CLOSED"]
    assert place.town.live() == {}
