"""A centre behind the running engine: a HIS posts, the engine dies, and an operator settles what is open."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from centre_parts import agreed, bill, charged
from engine_parts import write_site
from process_parts import Process, connect, free_port
from typer.testing import CliRunner

from config.settings import load_settings
from deploy.sandbox.centre import Centre
from deploy.sandbox.http import ask
from endpoints.insurance.records import Exchange
from router.clock import now_ms
from router.commands.insurance import app
from router.store.insurance_records import open_insurance

Tree = dict[str, Any]
WAIT_S = 60.0  # for an engine that starts while others do
CHANNEL = """channel: pay
from: {http: {path: "/pay/{code}"}}
format: json
reply: insurance
timeout: 60s
to:
  insurance: {send: {system: insurance}}
"""


def systems(url: str) -> str:
    return f"""systems:
  insurance:
    kind: nhsa
    url: "{url}"
    fixmedins_code: H99999900001
    fixmedins_name: 示例医院
    mdtrtarea_admvs: "999900"
    recer_sys_code: MBS
    timeout: 60s
"""


class His:
    """Posts to the engine, for one patient."""

    def __init__(self, centre: Centre, port: int) -> None:
        self.patient, self._port = centre.persons[0], port

    async def send(self, infno: str, tree: Tree) -> Tree:
        body = json.dumps({"input": tree, "insuplc_admdvs": self.patient.insuplc_admdvs}).encode()
        head = {"content-type": "application/json"}
        status, said = await ask(self._port, "POST", f"/pay/{infno}", head, body, WAIT_S)
        assert status == 200, said
        made: Tree = json.loads(said, parse_float=Decimal)
        return made

    async def done(self, infno: str, tree: Tree) -> Any:
        told = await self.send(infno, tree)
        assert told["outcome"] == "OK", told
        return told["output"]


async def ready(port: int) -> None:
    (await connect(port))[1].close()
    async with asyncio.timeout(WAIT_S):
        while (await ask(port, "GET", "/health/ready", {}, b"", WAIT_S))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the doors open last


async def command(*words: str) -> tuple[int, Any]:
    """Exit code and JSON of `jingluo insurance`, while this process goes on being the centre."""
    done = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout or "null")


async def unknown(site: Path) -> list[Exchange]:
    """Once there is one."""
    kept = open_insurance(load_settings(site), now_ms)
    try:
        async with asyncio.timeout(WAIT_S):
            while not (found := await kept.search(state="UNKNOWN")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        kept.close()
    return list(found)


async def test_a_settlement_that_was_under_way_when_the_engine_died_is_unknown_and_an_operator_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.cli._site", tmp_path)
    centre, port = Centre(), free_port()
    await centre.start()
    site = write_site(tmp_path, {"pay": CHANNEL}, systems(centre.url))
    engine = Process(site, "embedded", http_port=str(port))
    await ready(port)
    his = His(centre, port)
    mdtrt_id = await charged(his)  # type: ignore[arg-type]  # it asks `done` and `patient` of it
    seen = (await his.done("2206", bill(his.patient, mdtrt_id, "86.50")))["setlinfo"]
    centre.behave("2207", "mute", times=1)
    paying = asyncio.create_task(his.send("2207", bill(his.patient, mdtrt_id, "86.50", **agreed(seen))))
    async with asyncio.timeout(WAIT_S):
        while not centre.books.settlements:  # noqa: ASYNC110 - the centre has no event of it
            await asyncio.sleep(0.01)
    engine.kill()
    await asyncio.gather(paying, return_exceptions=True)
    last = Process(site, "embedded", http_port=str(port))
    await ready(port)
    (booked,) = centre.books.settlements.values()
    assert [(one.msgid, one.links["mdtrt_id"]) for one in await unknown(site)] == [(booked.msgid, mdtrt_id)]
    _, found = await command("exchanges", "--state", "open")
    assert [one["msgid"] for one in found] == [booked.msgid]
    code, told = await command("probe", booked.msgid)
    assert (code, told["verdict"], told["links"]["setl_id"]) == (0, "DONE", booked.setl_id)
    _, found = await command("exchanges", "--patient", his.patient.psn_no, "--setl", booked.setl_id)
    assert {one["state"] for one in found} == {"OK"}
    code, told = await command("show-exchange", booked.msgid, "--body")
    assert json.loads(told["request"])["infno"] == "2207"
    code, told = await command("reverse", booked.msgid, "--yes")
    assert (code, told["outcome"], told["by"]["infno"]) == (0, "OK", "2208")
    assert len([one for one in centre.books.msgids.values() if one.infno == "2207"]) == 1
    assert await asyncio.to_thread(last.terminate) == 0
    await centre.stop()
