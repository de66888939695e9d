"""A card charged at a terminal, through a whole engine: also where the terminal crashed before it could say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, write_site
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.terminal import CHINA, Terminal
from router.engine import Engine

SYSTEMS = "systems:\n  terminals: {kind: terminal}\n"
REPORTS = """\
channel: reports-of-terminals
from: {http: {path: /v1/terminals}}
format: json
to: {counter: {send: terminals.report}}
reply: counter
"""
TERMINALS = """\
channel: calls-of-terminals
from: {calls: terminals}
format: json
to: {counter: {send: {system: terminals}}}
reply: counter
"""
PIPELINE = """\
settlement: at-the-terminal
key: $.settle_no
lock: {bill: $.bill_no}
steps:
  - order:
      do: terminals.create
      ask: terminals.created
      undo: terminals.refund_or_close
      probe: {every: 1s}
      with: {terminal: $.terminal, amount: $.total, method: card}
      keep: {order: $.order}
  - paid:
      wait: {ask: terminals.paid, every: 60s, until: 10m}
      keep: {paid: $.paid}
      check: [{$paid: $.total}]
      post: [{debit: "clearing:pos", credit: "transit:{settle_no}", amount: $paid}]
  - post:
      do: his.post_settlement
      ask: his.query_settlement
      undo: his.unpost_settlement
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $paid}]
"""
ASKED = {"settle_no": "S1", "bill_no": "B1", "terminal": "T1", "total": "36.50"}


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


def site_of(folder: Path, town: Town) -> Path:
    his = CALLS.format(system="his", port=town.port)
    channels = {"calls-of-his": his, "calls-of-terminals": TERMINALS, "reports-of-terminals": REPORTS}
    site = write_site(folder, channels, SYSTEMS)
    (site / "maps").mkdir()
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir()
    (site / "channels" / "settlements" / "at-the-terminal.yaml").write_text(PIPELINE)
    return site


def terminal_of(engine: Engine) -> Terminal:
    async def report(event: dict[str, Any]) -> Mapping[str, Any]:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}", timeout=30) as client:
            answer = await client.post("/v1/terminals", json=event)
        assert answer.status_code == 200, answer.text
        told: Mapping[str, Any] = answer.json()
        return told

    return Terminal("T1", report, datetime.now(CHINA))


async def begun(engine: Engine) -> str:
    desk = engine.makers.desk
    assert desk is not None
    told = await desk.begin("at-the-terminal", ASKED, "kiosk", 20)
    assert told["state"] == "WAITING", told
    return str(told["facts"]["order"])


async def ended(engine: Engine, *states: str) -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    async with asyncio.timeout(30):
        while (told := await desk.show("S1", 5))["state"] not in states:
            await asyncio.to_thread(engine.settings.site.exists)  # others have their turn
    return told


async def test_f36_a_charge_is_settled_though_the_terminal_crashed(tmp_path: Path, town: Town) -> None:
    async with running(site_of(tmp_path, town)) as engine:
        order, terminal = await begun(engine), terminal_of(engine)
        await terminal.charge(order, "36.50", crashes=True)
        terminal.at = datetime.now(CHINA)
        assert (await terminal.start())["order"] == order
        await town.came.wait()
        told = await ended(engine, "COMPLETED")
        assert told["facts"]["paid"] == "36.50"
        desk = engine.makers.desk
        assert desk is not None
        has = [await desk._book.balance(name) for name in ("transit:S1", "clearing:pos", "income:his")]
    assert has == [0, 3650, -3650]
    assert len(terminal.pos.journal) == 1


async def test_a_his_that_refuses_has_the_charge_voided_at_the_terminal(tmp_path: Path, town: Town) -> None:
    town.refuses = {"post_settlement"}
    async with running(site_of(tmp_path, town)) as engine:
        order, terminal = await begun(engine), terminal_of(engine)
        await terminal.charge(order, "36.50")
        await town.came.wait()
        async with asyncio.timeout(30):  # the void is asked for once the settlement goes back
            while not (await terminal._say(event="tasks"))["do"]:
                pass
        assert await terminal.tasks() == []
        assert terminal.pos.balance() == 0
        told = await ended(engine, "COMPENSATED")
        desk = engine.makers.desk
        assert desk is not None
        assert await desk._book.balance("clearing:pos") == 0
    assert told["state"] == "COMPENSATED"
    assert town.live() == {}
