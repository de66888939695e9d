"""What a centre asks of the hospital: stored before it hears so, once however often it comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, settled, write_site
from mobile_parts import APP, OURS, SECRET, THEIRS, private_of, sealed, unsealed

from router.engine import Engine
from router.search import Found, Query
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

MOBILE = f"""\
channel: paid
from:
  nhsa_mobile:
    path: /mobile/notice
    envelope:
      app_id: {APP}
      app_secret: {SECRET}
      private_key: {private_of(OURS)}
      platform_key: {THEIRS.shown}
format: json
to:
  his: {{send: {{file: {{folder: paid}}}}}}
"""
CENTRE = """\
channel: called
from: {nhsa: {path: /insurance, fixmedins_code: H99999900001, mdtrtarea_admvs: "999900"}}
format: json
to:
  his: {send: {file: {folder: called}}}
"""
NOTICE = {"payOrdId": "ORD0001", "callType": "PAY", "feeSumamt": 36.5, "medOrgOrd": "订单1"}
HEAD = {"appId": APP, "version": "2.0.1", "timestamp": "20240115103000"}


async def delivered(engine: Engine, channel: str) -> list[Found]:
    """What went on, once all has come to its end. A resend is in the journal too, and goes nowhere."""
    await settled(engine)
    return [one for one in engine.store.search(Query(channel=channel)).found if one.deliveries]


class Caller:
    """The centre's side."""

    def __init__(self, engine: Engine) -> None:
        url = f"http://127.0.0.1:{engine.web.port}"
        self.client = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60)

    async def notice(self, body: bytes) -> httpx2.Response:
        return await self.client.post("/mobile/notice", content=body)

    async def ask(self, infno: str, msgid: str, tree: Any, **more: Any) -> dict[str, Any]:
        body = {"infno": infno, "msgid": msgid, "fixmedins_code": "H99999900001", "input": tree, **more}
        made: dict[str, Any] = (await self.client.post("/insurance", json=body)).json()
        return made


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    channels = {
        "called": CENTRE,
        "paid": MOBILE.replace(SECRET, "secret://app").replace(private_of(OURS), "secret://key"),
    }
    async with running(write_site(tmp_path, channels)) as made:
        yield made


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_APP", SECRET)
    monkeypatch.setenv("JINGLUO_SECRET_KEY", private_of(OURS))


@pytest.fixture
async def caller(engine: Engine) -> AsyncIterator[Caller]:
    made = Caller(engine)
    yield made
    await made.client.aclose()


async def test_a_notice_is_stored_before_it_is_answered_and_taken_once(
    engine: Engine, caller: Caller
) -> None:
    for timestamp in ("20240115103000", "20240115103100"):
        answer = await caller.notice(sealed({**HEAD, "timestamp": timestamp}, NOTICE))
        said = unsealed(answer.content)
        assert (answer.status_code, said["code"], said["success"]) == (200, 0, True)
    other = await caller.notice(sealed(HEAD, {**NOTICE, "callType": "REFUND"}))
    assert unsealed(other.content)["code"] == 0
    forged = await caller.notice(sealed(HEAD, NOTICE | {"payOrdId": "ORD0002"}, OURS))
    assert (forged.status_code, unsealed(forged.content)["success"]) == (400, False)
    assert len(await delivered(engine, "paid")) == 2


async def test_a_call_of_the_centre_has_six_fields_back_and_the_same_when_it_comes_again(
    engine: Engine, caller: Caller
) -> None:
    tree = json.loads(json.dumps(sample(transaction("7103")), default=float))
    first = await caller.ask("7103", "999900202401151030010000000001", tree)
    again = await caller.ask("7103", "999900202401151030010000000001", tree, inf_time="2024-01-15 10:31:00")
    other = await caller.ask("7103", "999900202401151030010000000002", tree)
    assert list(first) == ["infcode", "inf_refmsgid", "refmsg_time", "respond_time", "err_msg", "output"]
    assert (first["infcode"], first["err_msg"], first["output"]) == ("0", "", None)
    assert len(first["inf_refmsgid"]) == 30
    assert first["inf_refmsgid"].startswith("999900" + first["refmsg_time"][:14])
    assert again["inf_refmsgid"] == first["inf_refmsgid"]
    assert other["inf_refmsgid"] != first["inf_refmsgid"]
    assert len(await delivered(engine, "called")) == 2
