"""A settlement paid at an aggregator, through a whole engine: its notice in, money back where the HIS refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from engine_parts import running, write_site
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.aggregator import Aggregator, Signing
from router.engine import Engine

SECRET = "SECRET-OF-THE-TESTS"
SYSTEMS = """\
systems:
  joint:
    kind: aggregated
    profile: example
    url: {url}
    merchant: M1
    sign_key: secret://joint
    notify_url: http://127.0.0.1:9/notices/joint
"""
JOINT = """\
channel: calls-of-joint
from: {calls: joint}
format: json
to: {joint: {send: {system: joint}}}
reply: joint
"""
NOTICES = """\
channel: notices-of-joint
from: {system: joint, path: /notices/joint, callers: anybody}
format: json
to: {joint: {send: joint.noticed}}
"""
PIPELINE = """\
settlement: paid-jointly
key: $.settle_no
lock: {bill: $.bill_no}
steps:
  - order:
      do: joint.create
      ask: joint.created
      undo: joint.refund_or_close
      with: {amount: $.total, method: ecny}
      keep: {order: $.order}
  - paid:
      wait: {ask: joint.paid, every: 60s, until: 10m}
      keep: {paid: $.paid, theirs: $.channel_no, wallet: $.trade_no}
      post: [{debit: "clearing:joint", credit: "transit:{settle_no}", amount: $paid}]
  - post:
      do: his.post_settlement
      ask: his.query_settlement
      undo: his.unpost_settlement
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $paid}]
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_JOINT", SECRET)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


@pytest.fixture
async def aggregator() -> AsyncIterator[Aggregator]:
    made = Aggregator("M1", Signing(SECRET))
    await made.start()
    yield made
    await made.stop()


def site_of(folder: Path, town: Town, aggregator: Aggregator) -> Path:
    his = CALLS.format(system="his", port=town.port)
    channels = {"calls-of-his": his, "calls-of-joint": JOINT, "notices-of-joint": NOTICES}
    site = write_site(folder, channels, SYSTEMS.format(url=aggregator.url))
    (site / "maps").mkdir()
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir()
    (site / "channels" / "settlements" / "paid-jointly.yaml").write_text(PIPELINE)
    return site


async def paid(engine: Engine, town: Town, aggregator: Aggregator) -> dict[str, Any]:
    """The payer pays; the aggregator tells it twice. What the settlement comes to."""
    desk = engine.makers.desk
    assert desk is not None
    asked = {"settle_no": "S1", "bill_no": "B1", "total": "36.50"}
    told = await desk.begin("paid-jointly", asked, "kiosk", 20)
    assert told["state"] == "WAITING", told
    trade = aggregator.trades[str(told["facts"]["order"])]
    trade.notify_url = f"http://127.0.0.1:{engine.web.port}/notices/joint"
    aggregator.pays(trade.number)
    await aggregator.send_notices(copies=2)
    assert [status for _, status in aggregator.sent] == [200, 200]
    await town.came.wait()
    async with asyncio.timeout(30):
        while (told := await desk.show("S1", 5))["state"] in ("RUNNING", "WAITING"):
            await asyncio.to_thread(engine.settings.site.exists)  # others have their turn
    return told


async def test_f20_f46_what_was_told_twice_is_given_back_once_where_the_his_refuses(
    tmp_path: Path, town: Town, aggregator: Aggregator
) -> None:
    town.refuses = {"post_settlement"}
    aggregator.behave("apply", "cut", times=1)
    async with running(site_of(tmp_path, town, aggregator)) as engine:
        told = await paid(engine, town, aggregator)
        assert told["state"] == "COMPENSATED", told
    assert aggregator.balance() == 0
    (trade,) = aggregator.trades.values()
    assert list(trade.back.values()) == [3650]
    assert (told["facts"]["theirs"], told["facts"]["wallet"]) == (trade.trade_no, trade.third_no)
