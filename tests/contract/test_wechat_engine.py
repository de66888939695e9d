"""Settlements paid at WeChat Pay through a whole engine: orders out, its notices in, money where it belongs."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from engine_parts import running, settled, write_site

from deploy.sandbox.wechat import WechatSandbox
from router.engine import Engine
from router.search import Query
from tests.payment.alipay_parts import rsa
from tests.payment.wechat_parts import API_KEY, APP, MERCHANT, SERIAL, merchant_keys

BILL = """\
settlement: wechat-bill
key: $.no
lock: {bill: $.no}
steps:
  - pay:
      do: wechat.create
      ask: wechat.created
      undo: wechat.close
      with: {amount: $.amount}
      keep: {pay: $}
  - paid:
      wait: {for: payment.notice, ask: wechat.paid, every: [60s], until: 10m, else: cancel}
      with: {order: $pay.order}
      reverse: wechat.close
      undo: wechat.refund
      keep: {paid: $}
      post: [{debit: "clearing:wechat", credit: "transit:{no}", amount: $paid.paid}]
  - book: {post: [{debit: "transit:{no}", credit: "income:his", amount: $.amount}]}
"""
CODE = """\
settlement: wechat-code
key: $.no
steps:
  - pay:
      do: wechat.pay
      ask: wechat.query
      reverse: wechat.reverse
      undo: wechat.reverse
      with: {amount: $.amount, auth_code: $.code}
      keep: {paid: $}
      post: [{debit: "clearing:wechat", credit: "transit:{no}", amount: $paid.paid}]
  - book: {post: [{debit: "transit:{no}", credit: "income:his", amount: $.amount}]}
"""
RETURN = """\
settlement: payment-return
key: $.number
steps:
  - refund: {do: wechat.refund, ask: wechat.refunded, with: {order: $.order, amount: $.amount, reason: $.reason}}
"""
SEND = "format: json\nto: {desk: {send: {settlement: %s}}}\nreply: desk\ntimeout: 60s\n"
CHANNELS = {
    "wechat-calls": "channel: wechat-calls\nfrom: {calls: wechat}\nformat: json\n"
    "to: {pay: {send: {system: wechat}}}\nreply: pay\ntimeout: 40s\n",
    "wechat-notices": "channel: wechat-notices\nfrom: {system: wechat, path: /notices/wechat, callers: anybody}\n"
    "format: json\nindex: {order: $.order}\nto: {order: {send: wechat.noticed}}\n",
    "wechat-sweep": "channel: wechat-sweep\nfrom: {http: {path: /v1/sweep}}\nformat: json\n"
    "to: {order: {send: wechat.sweep}}\nreply: order\n",
    "wechat-bill": "channel: wechat-bill\nfrom: {http: {path: /v1/bill}}\n" + SEND % "wechat-bill",
    "wechat-code": "channel: wechat-code\nfrom: {http: {path: /v1/code}}\n" + SEND % "wechat-code",
    "wechat-show": 'channel: wechat-show\nfrom: {http: {method: GET, path: "/v1/settlements/{number}"}}\n'
    + SEND % "{asks: show, within: 5}",
    "wechat-cancel": 'channel: wechat-cancel\nfrom: {http: {path: "/v1/cancel/{number}"}}\n'
    + SEND % "{asks: cancel}",
}


@pytest.fixture(
    params=["embedded", pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql])]
)
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings: all in one process, or RabbitMQ and PostgreSQL."""
    if request.param == "embedded":
        yield {}
        return
    server, schema = request.getfixturevalue("postgresql_url"), f"wechat_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        url = f"{server}?options=-csearch_path%3D{schema}"
        yield {"broker": request.getfixturevalue("amqp_vhost"), "database": url}
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


class Town:
    """An engine, WeChat, and a cashier who asks."""

    def __init__(self, engine: Engine, sandbox: WechatSandbox, client: httpx2.AsyncClient) -> None:
        self.engine, self.sandbox, self.client = engine, sandbox, client

    async def begins(self, number: str, **more: str) -> dict[str, Any]:
        path = "/v1/code" if "code" in more else "/v1/bill"
        said = await self.client.post(path, json={"no": number, "amount": "36.50", **more})
        told: dict[str, Any] = said.json()
        if order := told.get("facts", {}).get("pay", {}).get("order"):
            self.sandbox.books.orders[order].notify_url = f"{self.client.base_url}notices/wechat"
        return told

    async def shown(self, number: str, *states: str) -> dict[str, Any]:
        """Once it is in one of these."""
        async with asyncio.timeout(40):
            while True:
                now: dict[str, Any] = (await self.client.get(f"/v1/settlements/{number}")).json()
                if now["state"] in states:
                    return now
                await asyncio.sleep(0.05)  # it tells nobody by itself

    async def suspense(self) -> list[Any]:
        assert self.engine.makers.desk is not None
        return list(await self.engine.makers.desk._book.suspense.items())

    async def balance(self, account: str) -> int:
        assert self.engine.makers.desk is not None
        return await self.engine.makers.desk._book.balance(account)


@asynccontextmanager
async def town(folder: Path, place: dict[str, str]) -> AsyncIterator[Town]:
    sandbox = WechatSandbox(MERCHANT, APP, merchant_keys("rsa")[1], API_KEY, key=rsa("wechat"))
    await sandbox.start()
    entry = {
        "kind": "wechat_pay",
        "url": sandbox.url,
        "merchant": MERCHANT,
        "app": APP,
        "serial": SERIAL,
        "private_key": "secret://wechat-key",
        "api_key": "secret://wechat-api",
        "wechat_keys": sandbox.keys,
        "returns": "payment-return",
        "notify": "http://127.0.0.1:9/unknown-yet",
        "sweep_after": "0s",
    }
    site = write_site(
        folder, CHANNELS, json.dumps({"systems": {"wechat": entry}}), "secrets: {file: s.yaml}\n"
    )
    (site / "s.yaml").write_text(json.dumps({"wechat-key": merchant_keys("rsa")[0], "wechat-api": API_KEY}))
    (site / "s.yaml").chmod(0o600)
    (site / "channels" / "settlements").mkdir()
    for name, text in (("wechat-bill", BILL), ("wechat-code", CODE), ("payment-return", RETURN)):
        (site / "channels" / "settlements" / f"{name}.yaml").write_text(text)
    try:
        async with running(site, **place) as engine:
            base = f"http://127.0.0.1:{engine.web.port}/"
            async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
                yield Town(engine, sandbox, client)
    finally:
        await sandbox.stop()


async def test_a_bill_is_paid_by_notice_once_however_often_it_is_told(
    tmp_path: Path, place: dict[str, str]
) -> None:
    async with town(tmp_path, place) as here:
        begun = await here.begins("S1")
        assert begun["state"] == "WAITING", begun
        order = begun["facts"]["pay"]["order"]
        here.sandbox.pays(order)
        (notice,) = here.sandbox.notices
        forged = {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/AAAA", "Content-Type": "application/json"}
        answer = await here.client.post("notices/wechat", headers=forged, content=notice.body)
        assert answer.status_code == 400  # F22
        for _ in range(15):  # F20
            assert await here.sandbox.send_notice(notice)
        done = await here.shown("S1", "COMPLETED")
        assert done["facts"]["paid"]["paid"] == "36.50"
        accounts = ("clearing:wechat", "transit:S1", "income:his")
        assert [await here.balance(one) for one in accounts] == [3650, 0, -3650]
        assert (await here.begins("S1"))["state"] == "COMPLETED"
        await settled(here.engine)
        kept = here.engine.store.search(Query(channel="wechat-notices"), 50).found
        assert sorted(one.state for one in kept)[-1] == "duplicate"
        assert sum(one.state != "duplicate" for one in kept) == 1, "and nothing of what was not proved"
    assert here.sandbox.books.received == 3650
    assert len(here.sandbox.books.orders) == 1


async def test_money_that_nobody_waits_for_stands_in_suspense_and_goes_back(
    tmp_path: Path, place: dict[str, str]
) -> None:
    async with town(tmp_path, place) as here:
        begun = await here.begins("S1")
        order = begun["facts"]["pay"]["order"]
        await here.client.post("v1/cancel/S1", json={})
        assert (await here.shown("S1", "COMPENSATED", "REJECTED"))["state"] in ("COMPENSATED", "REJECTED")
        here.sandbox.books.orders[order].state = "NOTPAY"  # its payer was quicker than the close
        here.sandbox.pays(order)
        await here.sandbox.send_notices(copies=2)  # F19
        await here.shown(f"RT{order}", "COMPLETED")
        await settled(here.engine)
        assert here.sandbox.books.received == 0
        assert len(here.sandbox.books.orders[order].refunds) == 1
        assert await here.suspense() == []
        assert [await here.balance(one) for one in ("clearing:wechat", "suspense:wechat")] == [0, 0]
        strange = here.sandbox.desk.shown(here.sandbox.books.orders[order]) | {
            "out_trade_no": "STRANGE1",
            "trade_state": "SUCCESS",
        }
        url = f"{here.client.base_url}notices/wechat"
        notice = here.sandbox.notice("TRANSACTION.SUCCESS", "transaction", strange, "STRANGE1", url)
        assert await here.sandbox.send_notice(notice)  # F24
        await settled(here.engine)
        (item,) = await here.suspense()
        assert (item.book, item.cls, item.fen) == ("order:wechat/STRANGE1", "unknown-order", 3650)


async def test_another_amount_stops_and_what_was_never_told_is_found_by_the_sweep(tmp_path: Path) -> None:
    async with town(tmp_path, {}) as here:
        first = await here.begins("S1")
        second = await here.begins("S2")
        here.sandbox.pays(first["facts"]["pay"]["order"], 3600)
        await here.sandbox.send_notices()  # F23
        stopped = await here.shown("S1", "SUSPENDED")
        assert stopped["code"] == "JL-T001"
        (item,) = await here.suspense()
        assert (item.book, item.fen) == ("S1", 3600)
        here.sandbox.pays(second["facts"]["pay"]["order"])
        here.sandbox.notices.clear()  # F25: it never comes
        swept = (await here.client.post("v1/sweep", json={})).json()
        assert (swept["orders"], swept["ended"], swept["failed"]) == (1, 1, 0)
        assert (await here.shown("S2", "COMPLETED"))["facts"]["paid"]["paid"] == "36.50"


async def test_a_payment_by_code_whose_answer_is_lost_is_found_and_booked_once(tmp_path: Path) -> None:
    async with town(tmp_path, {}) as here:
        here.sandbox.behave("codepay", "cut", times=1)
        await here.begins("S1", code="130000000000000001")
        assert (await here.shown("S1", "COMPLETED"))["facts"]["paid"]["state"] == "PAID"
        assert await here.balance("clearing:wechat") == 3650
    assert here.sandbox.books.received == 3650
