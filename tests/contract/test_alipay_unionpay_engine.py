"""A settlement that is paid at Alipay and at UnionPay through a whole engine: a code out, the channel's notice in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, settled, write_site

from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.unionpay import UnionPaySandbox
from router.engine import Engine
from tests.payment.alipay_parts import APP_ID, SELLER, private_pem, rsa
from tests.payment.unionpay_parts import MERCHANT, merchant_certificate

PIPELINE = """\
settlement: cash-bill
key: $.no
lock: {bill: $.no}
steps:
  - pay:
      do: pay.create
      ask: pay.created
      undo: pay.close
      with: {amount: $.amount}
      keep: {pay: $}
  - paid:
      wait: {for: pay.notice, ask: pay.paid, every: [60s], until: 10m, else: cancel}
      with: {order: $pay.order}
      reverse: pay.close
      undo: pay.refund
      check: [{$paid.paid: $.amount}]
      keep: {paid: $}
      post: [{debit: "clearing:pay", credit: "transit:{no}", amount: $.amount}]
"""
CHANNELS = {
    "calls-of-pay": "channel: calls-of-pay\nfrom: {calls: pay}\nformat: json\n"
    "to: {pay: {send: {system: pay}}}\nreply: pay\ntimeout: 40s\n",
    "notices": "channel: notices\nfrom: {system: pay, path: /notices/pay, callers: anybody}\nformat: json\n"
    "to: {order: {send: pay.noticed}}\n",
    "reconcile": "channel: reconcile\nfrom: {http: {path: /v1/reconcile}}\nformat: json\n"
    "to: {pay: {send: pay.reconcile}}\nreply: pay\ntimeout: 60s\n",
    "settle": "channel: settle\nfrom: {http: {path: /v1/settlements}}\nformat: json\n"
    "to: {desk: {send: {settlement: cash-bill}}}\nreply: desk\ntimeout: 60s\n",
    "show": 'channel: show\nfrom: {http: {method: GET, path: "/v1/settlements/{number}"}}\nformat: json\n'
    "to: {desk: {send: {settlement: {asks: show, within: 5}}}}\nreply: desk\n",
}


def site_of(folder: Path, entry: dict[str, Any], secrets: dict[str, str]) -> Path:
    site = write_site(
        folder, CHANNELS, json.dumps({"systems": {"pay": entry}}), "secrets: {file: secrets.yaml}\n"
    )
    (site / "secrets.yaml").write_text(json.dumps(secrets))
    (site / "secrets.yaml").chmod(0o600)
    (site / "channels" / "settlements").mkdir(exist_ok=True)
    (site / "channels" / "settlements" / "cash-bill.yaml").write_text(PIPELINE)
    return site


@asynccontextmanager
async def town(kind: str, folder: Path) -> AsyncIterator[tuple[Any, Path]]:
    key = {"app-key": private_pem(rsa("app"))}
    sandbox: Any
    if kind == "alipay":
        sandbox = AlipaySandbox(APP_ID, rsa("app").public_key(), key=rsa("alipay"), tells=True)
        await sandbox.start()
        entry = {
            "kind": "alipay",
            "url": sandbox.gateway,
            "app_id": APP_ID,
            "seller_id": SELLER,
            "private_key": "secret://app-key",
            "public_key": sandbox.public_pem,
        }
    else:
        sandbox = UnionPaySandbox(MERCHANT, merchant_certificate(), key=rsa("unionpay"), tells=True)
        await sandbox.start()
        entry = {
            "kind": "unionpay",
            "url": sandbox.gateway,
            "file_url": sandbox.files,
            "mer_id": MERCHANT,
            "private_key": "secret://app-key",
            "certificate": merchant_certificate(),
            "trusted": sandbox.trusted,
        }
    try:
        yield sandbox, site_of(folder, entry, key)
    finally:
        await sandbox.stop()


def notices_to(engine: Engine, sandbox: Any, order: str) -> None:
    """The engine's port is known only now."""
    url = f"http://127.0.0.1:{engine.web.port}/notices/pay"
    if isinstance(sandbox, AlipaySandbox):
        sandbox.books.trades[order].notify_url = url
    else:
        next(one for one in sandbox.books.trades.values() if one.order_id == order).back_url = url


async def ended(client: httpx2.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            now: dict[str, Any] = (await client.get("/v1/settlements/S1")).json()
            if now["state"] not in ("RUNNING", "WAITING"):
                return now


@pytest.mark.parametrize("kind", ["alipay", "unionpay"])
async def test_a_notice_ends_the_wait_for_money_and_ledger_and_statement_have_it_once(
    kind: str, tmp_path: Path
) -> None:
    async with town(kind, tmp_path) as (sandbox, site), running(site) as engine:
        base = f"http://127.0.0.1:{engine.web.port}"
        async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
            begun = await client.post("/v1/settlements", json={"no": "S1", "amount": "36.50"})
            assert begun.json()["state"] == "WAITING", begun.text
            order = begun.json()["facts"]["pay"]["order"]
            notices_to(engine, sandbox, order)
            sandbox.pays(order)
            done = await ended(client)
            day = f"{sandbox.now() + timedelta(hours=kind == 'unionpay'):%Y-%m-%d}"
            sandbox.let_pass(2 * 86_400)
            compared = (await client.post("/v1/reconcile", json={"day": day})).json()
        assert (done["state"], done["facts"]["paid"]["paid"]) == ("COMPLETED", "36.50")
        assert (compared["outcome"], compared.get("rows"), compared.get("open")) == ("OK", 1, 0), compared
        await settled(engine)
        desk = engine.makers.desk
        assert desk is not None
        assert await desk._book.balance("clearing:pay") == 3650
    assert sandbox.sent == [(order, 200)]
    assert sandbox.notices == []
    assert sandbox.books.received == 3650
