"""A settlement with the sandbox's HIS (SOAP, JSON) and e-invoices: posted and issued once, whatever is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from engine_parts import running, write_site
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.billing import Billing
from deploy.sandbox.einvoice import Platform
from router.engine import Engine

PIPELINE = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.bills[].bill_no"}
steps:
  - hold: {do: his.hold_bills, ask: his.query_hold, undo: his.release_bills}
  - pay:
      do: payment.pay
      ask: payment.query
      undo: payment.refund
      post: [{debit: "clearing:wechat", credit: "transit:{settle_no}", amount: $.total}]
  - post:
      do: his.post_settlement
      ask: his.query_settlement
      undo: his.unpost_settlement
      pivot: true
      keep: {receipt: $.receipt}
      check: [{$receipt: {exists: true}}]
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]
  - invoice:
      do: einvoice.issue_outpatient
      ask: einvoice.find
      forward: true
      keep: {bill_no: $.bill_no}
"""
SYSTEMS = """\
systems:
  his:
    kind: his
    profile: {profile}
    url: {url}
    settings: {{hospital: H1, terminal: T1, user: "100017"}}
    sign_key: sandbox
    timeout: 20s
  einvoice:
    kind: einvoice
    url: {invoices}/api/medical
    appid: SANDBOX
    key: {key}
    place_code: P01
"""
INVOICES = """\
channel: calls-of-einvoice
from: {calls: einvoice}
format: json
to: {platform: {send: {system: einvoice}, index: {bill_no: $.bill_no}}}
reply: platform
timeout: 120s
"""
HIS = """\
channel: calls-of-his
from: {calls: his}
format: json
index: {settlement: $@header.settlement, step: $@header.step}
to: {his: {send: {system: his}, index: {his_receipt: $.receipt}}}
reply: his
timeout: 90s
"""
BILLS = [{"bill_no": "B1", "amount": "30.10"}, {"bill_no": "B2", "amount": "6.40"}]
REQUEST = {
    "settle_no": "S1",
    "total": "36.50",
    "patient": {"patient_no": "P1", "name": "测试甲"},
    "bills": BILLS,
}


@pytest.fixture
async def billing() -> AsyncIterator[Billing]:
    made = Billing(dedupe=False)
    made.books.bill("B1", 3010)
    made.books.bill("B2", 640)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    made = Platform(dedupe=False)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


def site_of(folder: Path, profile: str, billing: Billing, platform: Platform, town: Town) -> Path:
    url = f"{billing.url}/soap" if profile == "one-string" else billing.url
    channels = {"calls-of-payment": CALLS.format(system="payment", port=town.port), "calls-of-his": HIS}
    channels |= {"calls-of-einvoice": INVOICES}
    systems = SYSTEMS.format(profile=profile, url=url, invoices=platform.url, key=platform.key)
    site = write_site(folder, channels, systems)
    (site / "maps").mkdir()
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir()
    (site / "channels" / "settlements" / "outpatient.yaml").write_text(PIPELINE)
    return site


async def ended(engine: Engine) -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    told = await desk.begin("outpatient", REQUEST, "kiosk", 40)
    for _ in range(20):
        if told["state"] not in ("RUNNING", "WAITING"):
            break
        told = await desk.show("S1", 5)
    return told


@pytest.mark.parametrize(("profile", "kind"), [("one-string", "cut"), ("json-gateway", "half")])
async def test_it_is_posted_at_the_his_once(
    tmp_path: Path, billing: Billing, platform: Platform, town: Town, profile: str, kind: str
) -> None:
    if kind:
        billing.behave("post_settlement", kind, times=1)
        platform.behave("invoiceEBillOutpatient", kind, times=1)
    async with running(site_of(tmp_path, profile, billing, platform, town)) as engine:
        told = await ended(engine)
        assert told["state"] == "COMPLETED", told
        (post,) = billing.books.live("post")
        assert (post.key, post.settlement, post.step, post.fen) == ("S1/post", "S1", "post", 3650)
        assert told["facts"]["receipt"] == post.number
        assert billing.asked.count("post_settlement") == 1
        (bill,) = platform.desk.bills
        assert (told["facts"]["bill_no"], bill.fen, bill.payer) == (bill.number, 3650, "测试甲")
