"""`split`: items become messages of another channel, and a bad one is a dead letter by itself; on both brokers."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path

import httpx2
from engine_parts import running, settled, write_site

from router.engine import Engine
from router.replay import Replayer, ReplayRequest
from router.search import Found, Query

FRONT = """\
channel: adt
from: {http: {path: /v1/orders}}
format: json
index: {patient: $.patient}
order: {by: $.patient, lanes: 2}
to:
  lis: {map: tests, split: "$.tests[]", send: {channel: orders}}
"""
BACK = """\
channel: orders
from: {channel: {}}
format: json
validate: test.json
order: {by: $.patient, lanes: 2}
to:
  lis: {send: {file: {folder: out}}}
"""
MAP = """\
map: tests
from: json
to: json
let: {patient: $.patient}
make:
  from: $@source
  tests: {each: "$.tests[]", make: {code: $.code, patient: $patient}}
"""


def site(folder: Path) -> Path:
    made = write_site(folder, {"adt": FRONT, "orders": BACK})
    for name in ("maps", "schemas"):
        (made / name).mkdir()
    (made / "maps" / "tests.yaml").write_text(MAP)
    (made / "schemas" / "test.json").write_text('{"required": ["code"]}')
    return made


async def post(engine: Engine, order: dict[str, object]) -> int:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
        return (await client.post("/v1/orders", json=order)).status_code


def came(folder: Path) -> list[str]:
    """The codes of the items that were written, in the order of their ids."""
    return [json.loads(file.read_text())["code"] for file in sorted((folder / "out").iterdir())]


def only(found: tuple[Found, ...]) -> Found:
    (one,) = found
    return one


async def test_a_bad_item_is_a_dead_letter_by_itself_and_is_sent_again_by_itself(
    tmp_path: Path, broker: str
) -> None:
    codes = [{"code": code} for code in "ABCDE"]
    async with running(site(tmp_path), broker=broker) as engine:
        order = {"patient": "P7", "tests": [*codes[:2], {"x": 1}, *codes[2:]]}
        assert await post(engine, order) == 202
        assert await post(engine, {"patient": "P9"}) == 202
        await settled(engine)
        assert await engine.journal.caught_up()
        assert came(tmp_path) == ["A", "B", "C", "D", "E"]
        whole = only(engine.store.search(Query(channel="adt", state="sent", index={"patient": "P7"})).found)
        bad = only(engine.store.search(Query(channel="adt", state="dead", index={"patient": "P7"})).found)
        assert [d.reason for d in whole.deliveries] == ["6 items, 1 of them dead: 3"]
        assert [(d.code, d.reason) for d in bad.deliveries] == [
            ("JL-V001", "item 3 of $.tests[]: /code: is missing")
        ]
        story = engine.store.show(bad.id)
        assert (story.body, story.parents) == (b'{"patient":"P7"}', (whole.id,))
        assert len(engine.store.show(whole.id).children) == 6
        renamed = only(engine.store.search(Query(state="dead", index={"patient": "P9"})).found)
        assert [d.code for d in renamed.deliveries] == ["JL-M090"], "loud, where there is no list"
        # The item is mended and sent again as what it is: no map, no split.
        replayer = Replayer(engine.store, engine.resend, lambda: bad.received_ms + 60_000)
        mended = b64encode(b'{"code": "X", "patient": "P7"}')
        done = await replayer.replay(ReplayRequest(ids=(bad.id,), body=mended))
        assert done.failures == []
        async with asyncio.timeout(20):
            while len(came(tmp_path)) < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await settled(engine)
        assert came(tmp_path)[-1] == "X"
        text = engine.metrics.render().decode()
        counts = {(c.channel, c.destination): c for c in engine.store.counts()}
        assert counts["adt", "lis"].dead == 2
        assert 'jingluo_dead_total{channel="adt",destination="lis"} 2.0' in text
        accepted = counts["adt", ""].accepted
        assert accepted == 4
        assert f'jingluo_accepted_total{{channel="adt"}} {accepted}.0' in text
