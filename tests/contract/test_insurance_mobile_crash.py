"""kill -9 while a payment is at the centre: the engine that comes after answers UNKNOWN, and does not pay again."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import write_site
from mobile_parts import APP, OURS, SECRET, THEIRS, PaymentCentre, private_of, sealed
from process_parts import WAIT_S, Process, connect, free_port

from config.settings import load_settings
from deploy.sandbox.centre.misbehaviour import Act
from router.search import Found, Query
from router.store import StoreError, open_journal

CHANNEL = """\
channel: pay
from: {{http: {{path: /v1/pay}}}}
format: json
to:
  mobile: {{send: mobile.MP-6202}}
"""
SYSTEMS = """\
systems:
  mobile:
    kind: nhsa_mobile
    centre: payment
    url: {url}
    org_code: H99999900001
    unknown: dead
    envelope:
      app_id: {app}
      app_secret: secret://app
      private_key: secret://key
      platform_key: {platform}
"""
PAY = {"payAuthNo": "AUTH1", "payOrdId": "ORD0001", "payToken": "TOKEN-ORD0001", "orgBizSer": "BIZ1"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_APP", SECRET)
    monkeypatch.setenv("JINGLUO_SECRET_KEY", private_of(OURS))


def site(folder: Path, url: str, port: int) -> Path:
    made = write_site(
        folder,
        {"pay": CHANNEL.format()},
        SYSTEMS.format(url=url, app=APP, platform=THEIRS.shown),
    )
    (made / "jingluo.yaml").write_text(f"http: {{host: 127.0.0.1, port: {port}}}\n")
    return made


async def asked(port: int) -> int:
    """The status, once the channel's door is open."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        async with asyncio.timeout(WAIT_S):
            while (status := (await client.post("/v1/pay", json=PAY)).status_code) == 404:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the engine is still starting
    return status


async def dead(folder: Path) -> Found:
    """The dead letter, once there is one."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                store = open_journal(load_settings(folder, {}))
                found = store.search(Query(state="dead")).found
                store.close()
                if found:
                    return found[0]
            await asyncio.sleep(0.1)  # the journal tells nobody when it has written


async def test_a_payment_that_was_under_way_when_the_engine_died_is_not_made_again(tmp_path: Path) -> None:
    centre, at_the_centre = PaymentCentre(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def paid(said: Any) -> bytes:
        loop.call_soon(at_the_centre.set)
        return sealed({"code": 0}, {"payOrdId": "ORD0001", "ordStas": "6"})

    centre.says["pay_order"] = paid
    centre.acts["pay_order"] = [Act("mute")]
    await centre.open()
    port = free_port()
    engine = Process(site(tmp_path, centre.url, port), "embedded")
    (await connect(port))[1].close()
    assert await asked(port) == 202
    await asyncio.wait_for(at_the_centre.wait(), WAIT_S)
    engine.kill()
    again = Process(tmp_path, "embedded")
    (await connect(port))[1].close()
    letter = await dead(tmp_path)
    assert [(one.destination, one.code) for one in letter.deliveries if one.state == "dead"] == [
        ("mobile", "JL-N313")
    ]
    assert await asyncio.to_thread(again.terminate) == 0
    await centre.close()
    assert len(centre.named("pay_order")) == 1
