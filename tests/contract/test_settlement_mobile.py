"""A settlement whose money goes by telephone: one order at the payment centre, paid once or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from centre_parts import Hospital, signed_in
from engine_parts import running, write_site
from mobile_fees import request
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.centre import Application, MobileCentre
from deploy.sandbox.centre.settings import HOSPITAL
from deploy.sandbox.signing import KeyPair
from router.engine import Engine

PIPELINE = Path(__file__).parents[1] / "settlement" / "pipelines" / "mobile-payment.yaml"
OURS, THEIRS = KeyPair.new(), KeyPair.new()
SECRET = "SECRET0000000000000000000000TEST"
PAYMENT = Application("APPPAYMENT0000000000000000000001", SECRET, OURS.public, THEIRS, "payment", HOSPITAL)
SYSTEMS = """\
systems:
  mobile:
    kind: nhsa_mobile
    centre: payment
    url: {url}
    org_code: {code}
    envelope:
      app_id: {app}
      app_secret: secret://app
      private_key: secret://key
      platform_key: {platform}
"""
MOBILE = """\
channel: calls-of-mobile
from: {calls: mobile}
format: json
index: {settlement: $@header.settlement, step: $@header.step}
to:
  centre: {send: {system: mobile}, index: {msgid: $.msgid, order: $.output.data.payOrdId}}
reply: centre
timeout: 40s
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_APP", SECRET)
    monkeypatch.setenv("JINGLUO_SECRET_KEY", f"{OURS.private:064x}")


@pytest.fixture
async def counter() -> AsyncIterator[Hospital]:
    async with signed_in() as made:
        yield made


@pytest.fixture
async def mobile(counter: Hospital) -> AsyncIterator[MobileCentre]:
    made = MobileCentre(counter.centre, PAYMENT)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


def site_of(folder: Path, mobile: MobileCentre, town: Town) -> Path:
    systems = SYSTEMS.format(url=mobile.url, code=HOSPITAL, app=PAYMENT.app_id, platform=THEIRS.shown)
    his = CALLS.format(system="his", port=town.port)
    site = write_site(folder, {"calls-of-his": his, "calls-of-mobile": MOBILE}, systems)
    (site / "maps").mkdir()
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir()
    (site / "channels" / "settlements" / PIPELINE.name).write_text(PIPELINE.read_text())
    return site


async def ended(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    told = await desk.begin("mobile-payment", asked, "kiosk", 40)
    for _ in range(20):
        if told["state"] not in ("RUNNING", "WAITING"):
            break
        told = await desk.show("S1", 5)
    return told


async def balances(engine: Engine) -> dict[str, int]:
    desk = engine.makers.desk
    assert desk is not None
    names = ("transit:S1", "clearing:wechat", "receivable:fund", "receivable:account", "income:his")
    return {name: await desk._book.balance(name) for name in names}


@pytest.mark.parametrize("lost", ["", "6202"])
async def test_an_order_is_paid_once_and_the_ledger_agrees(
    tmp_path: Path, counter: Hospital, mobile: MobileCentre, town: Town, lost: str
) -> None:
    if lost:
        mobile.behave(lost, "cut", times=1)
    async with running(site_of(tmp_path, mobile, town)) as engine:
        told = await ended(engine, await request(counter))
        assert told["state"] == "COMPLETED", told
        has = await balances(engine)
    (order,) = counter.centre.books.orders.values()
    assert order.state == "paid"
    split = counter.centre.books.settlements[order.setl_id].split
    assert (has["transit:S1"], has["income:his"]) == (0, -10650)
    assert (has["receivable:fund"], has["clearing:wechat"]) == (split.funds, split.psn_cash)


@pytest.mark.parametrize("lost", ["", "6203"])
async def test_a_his_that_refuses_gets_the_patient_the_money_back(
    tmp_path: Path, counter: Hospital, mobile: MobileCentre, town: Town, lost: str
) -> None:
    town.refuses = {"post_settlement"}
    if lost:
        mobile.behave(lost, "cut", times=1)
    async with running(site_of(tmp_path, mobile, town)) as engine:
        told = await ended(engine, await request(counter))
        assert told["state"] == "COMPENSATED", told
        assert set((await balances(engine)).values()) == {0}
    (order,) = counter.centre.books.orders.values()
    assert (order.state, len(order.refunds)) == ("refunded", 1)
    assert town.live() == {}
