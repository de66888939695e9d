"""`jingluo settlements` on a whole engine: what is stuck, its columns, asking, releasing, suspense and proof."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running
from settlement_parts import Town, town_site
from typer.testing import CliRunner

from config.errors import JingluoError
from router.commands.settlements import app
from router.engine import Engine
from router.store import Store
from tests.settlement.simulated import REQUEST, TEXT

QUICK = TEXT.replace("reverse: insurance.2601", "probe: {every: [100ms], lag: 200ms, give_up: 500ms}")
CHECKED = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.bills[].bill_no"}
steps:
  - preset: {do: insurance.2206, keep: {preset: $.setlinfo}, check: [{$preset.total: $.total}]}
  - post: {do: his.post, ask: his.query, undo: his.unpost, pivot: true}
"""
WHO = ("--who", "100017", "-r", "seen at the centre")


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


async def jingluo(engine: Engine, *words: str, code: int = 0) -> str:
    env = {
        "JINGLUO_HTTP_PORT": str(engine.web.port),
        "JINGLUO_SITE": str(engine.settings.site),
        "COLUMNS": "250",
    }
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=env)
    if isinstance(done.exception, JingluoError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


async def begun(engine: Engine, request: dict[str, Any]) -> str:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}", timeout=90) as client:
        told = (await client.post("/v1/settlements", json=request)).json()
        return str(told.get("code") or told["state"])


async def test_what_nobody_knows_is_stuck_shown_by_side_and_resolved_by_asking(
    tmp_path: Path, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(Store, "note", lambda store, what, about: noted.append((what, about)))
    town.forgets = {"2207", "5203"}
    async with running(town_site(tmp_path, town, QUICK)) as engine:
        assert await begun(engine, REQUEST) == "JL-T005"
        assert "waits for a person" in await jingluo(engine, "list", "--stuck", code=1)
        waits = await jingluo(engine, "suspense", code=1)
        assert "16.10" in waits
        assert "insurance" in waits
        shown = await jingluo(engine, "show", "S1")
        for said in ("Insurance", "Payment", "HIS", "Ledger", "transit:S1", "may be done", "mark"):
            assert said in shown, shown
        with pytest.raises(JingluoError, match="JL-T015"):
            await jingluo(engine, "release", "S1", *WHO)
        assert "UNKNOWN" in await jingluo(engine, "ask", "S1", "--step", "settle", "--who", "100017")
        town.forgets = set()
        asked = await jingluo(engine, "ask", "S1", "--step", "settle", "--who", "100017")
        assert "100017: ask settle" in asked
        desk = engine.makers.desk
        assert desk is not None
        assert (await desk.show("S1", 20))["state"] == "COMPLETED"
        assert "nothing waits" in await jingluo(engine, "suspense")
        with pytest.raises(JingluoError, match="JL-T015"):
            await jingluo(engine, "ask", "S1", "--step", "settle", "--who", "100017")
        assert "OK" in await jingluo(engine, "verify")
        assert "OK 未发现异常: 1 settlements" in await jingluo(engine, "check")
        assert await jingluo(engine, "findings") == ""
    assert noted == [("decided", "settlement S1: ask settle by 100017")] * 2
    assert set(town.live().values()) == {1}


async def test_bills_are_released_where_nothing_is_left_of_a_settlement(tmp_path: Path, town: Town) -> None:
    async with running(town_site(tmp_path, town, CHECKED)) as engine:
        assert await begun(engine, {**REQUEST, "total": "1.00"}) == "JL-T001"
        other = {**REQUEST, "settle_no": "S2"}
        assert await begun(engine, other) == "JL-T010"
        await jingluo(engine, "release", "S1", *WHO)
        assert await begun(engine, other) == "COMPLETED"
        desk = engine.makers.desk
        assert desk is not None
        assert (await desk.show("S1", 20))["state"] == "REJECTED"
        with pytest.raises(JingluoError, match="JL-T015"):
            await jingluo(engine, "forward", "S1", *WHO)
    assert town.live() == {"S2/post": 1}
