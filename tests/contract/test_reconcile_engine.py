"""A day at Alipay through a whole engine: paid, its statement fetched, compared, explained, reported, signed."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from engine_parts import running, write_site
from typer.testing import CliRunner

from config.errors import JingluoError
from deploy.sandbox.alipay import AlipaySandbox
from router.commands.reconcile import app
from router.engine import Engine
from tests.payment.alipay_parts import APP_ID, SELLER, Clock, private_pem, rsa

DAY = "2026-01-05"
PAY = """\
channel: pay
from: {http: {path: "/v1/pay/{code}"}}
format: json
to: {alipay: {send: {system: alipay}}}
reply: alipay
"""
FETCH = """\
channel: statement-of-alipay
from: {http: {path: /v1/statement}}
format: json
to: {alipay: {send: alipay.reconcile}}
reply: alipay
"""
HIS = """\
channel: his-charges
from: {http: {path: "/v1/his-charges/{day}", content_types: [text/csv]}}
format: {delimited: {header: false}}
to: {books: {send: {statement: {of: his}}}}
reply: books
"""


CALLS = """\
channel: calls-of-alipay
from: {calls: alipay}
format: json
to: {alipay: {send: {system: alipay}}}
reply: alipay
"""


class Hospital:
    def __init__(self, engine: Engine, sandbox: AlipaySandbox, clock: Clock) -> None:
        self.engine, self.sandbox, self.clock = engine, sandbox, clock

    async def post(self, path: str, body: object) -> httpx2.Response:
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.engine.web.port}", timeout=60
        ) as client:
            return await client.post(path, json=body)

    async def paid(self, key: str, amount: str) -> str:
        made = (await self.post("/v1/pay/create", {"key": key, "amount": amount})).json()
        self.sandbox.pays(made["order"])
        seen = await self.post("/v1/pay/paid", {"order": made["order"]})
        assert seen.json()["outcome"] == "OK", seen.text
        return str(made["order"])

    async def jingluo(self, *words: str, code: int = 0) -> str:
        env = {"JINGLUO_HTTP_PORT": str(self.engine.web.port), "JINGLUO_SITE": str(self.engine.settings.site)}
        done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=env)
        if isinstance(done.exception, JingluoError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.stdout


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    clock = Clock()
    sandbox = AlipaySandbox(
        APP_ID, rsa("app").public_key(), seller=SELLER, now=clock.china, key=rsa("alipay")
    )
    await sandbox.start()
    secrets = {"alipay": private_pem(rsa("app"))}
    (tmp_path / "secrets.yaml").write_text(json.dumps(secrets))
    (tmp_path / "secrets.yaml").chmod(0o600)
    known = {"kind": "alipay", "url": sandbox.gateway, "app_id": APP_ID, "seller_id": SELLER}
    known |= {"private_key": "secret://alipay", "public_key": sandbox.public_pem}
    systems = json.dumps({"systems": {"alipay": known}})
    channels = {"pay": PAY, "statement-of-alipay": FETCH, "his-charges": HIS, "calls-of-alipay": CALLS}
    site = write_site(tmp_path, channels, systems, "secrets: {file: secrets.yaml}\n")
    try:
        async with running(site, lambda: clock.ms) as engine:
            yield Hospital(engine, sandbox, clock)
    finally:
        await sandbox.stop()


async def test_a_day_is_paid_fetched_compared_explained_reported_and_signed(
    hospital: Hospital, tmp_path: Path
) -> None:
    order = await hospital.paid("S1/pay", "36.50")
    await hospital.paid("S2/pay", "7.00")
    await hospital.post("/v1/pay/refund", {"key": "S1/refund", "order": order, "amount": "10.00"})
    hospital.clock.at += 3 * 86_400
    told = await hospital.post("/v1/statement", {"day": DAY})
    assert (told.json()["rows"], told.json()["open"]) == (3, 0), told.text
    assert "账平" in await hospital.jingluo("run", "--system", "alipay", "--day", DAY)

    proof = await hospital.jingluo(
        "report", "--system", "alipay", "--day", DAY, "--who", "100017", "--name", "proof"
    )
    assert [line.split()[-2:] for line in proof.splitlines()[2:4]] == [["33.50", "0.00"]] * 2
    book = tmp_path / "day.xlsx"
    export = (
        "report",
        "--system",
        "alipay",
        "--day",
        DAY,
        "--who",
        "100017",
        "--format",
        "xlsx",
        "--out",
        str(book),
    )
    await hospital.jingluo(*export)
    with zipfile.ZipFile(book) as packed:
        assert len([name for name in packed.namelist() if name.startswith("xl/worksheets/sheet")]) == 8
    kept = hospital.engine.makers.reconciliation.store
    said = [one.said for one in await kept.exports("alipay", DAY)]
    assert [(one["who"], one["form"]) for one in said] == [("100017", "json"), ("100017", "xlsx")]

    assert "signed 已签核" in await hospital.jingluo(
        "sign", "--system", "alipay", "--day", DAY, "--who", "100017"
    )
    with pytest.raises(JingluoError, match="JL-Q033"):
        await hospital.jingluo("sign", "--system", "alipay", "--day", DAY, "--who", "100017")
    (day,) = json.loads(await hospital.jingluo("list", "--days", "--json"))
    assert (day["count"], day["signed"], day["fee_fen"] > 0) == (3, "100017", True)


async def test_what_the_hiss_list_lacks_is_explained_by_finance_and_only_then_signed(
    hospital: Hospital,
) -> None:
    await hospital.paid("S1/pay", "36.50")
    hospital.clock.at += 3 * 86_400
    await hospital.post("/v1/statement", {"day": DAY})
    empty = (
        "HIS流水号,支付渠道,平台订单号,原平台订单号,结算号,类型,金额,收费时间,收费员,班次,窗口,科室,业务类型,审批人,统筹支付,个人账户\n"
        "合计,0,0.00\n"
    )
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{hospital.engine.web.port}", timeout=60
    ) as client:
        headers = {"content-type": "text/csv"}
        told = await client.post(f"/v1/his-charges/{DAY}", content=empty.encode(), headers=headers)
    assert told.status_code == 200, told.text
    (item,) = json.loads(await hospital.jingluo("list", "--system", "alipay", "--json", code=1))
    assert (item["cls"], item["book"], item["ours_fen"]) == ("long", "his", 3650)
    with pytest.raises(JingluoError, match="JL-Q031"):
        await hospital.jingluo("sign", "--system", "alipay", "--day", DAY, "--who", "100017")
    with pytest.raises(JingluoError, match="JL-Q032"):
        await hospital.jingluo("explain", item["id"], "--by", "100018@cashier head", "-r", "no")
    words = (
        "explain",
        item["id"],
        "--by",
        "100017@finance",
        "-r",
        "posted by hand",
        "--evidence",
        "letter 7",
    )
    assert "EXPLAINED" in await hospital.jingluo(*words)
    assert "posted by hand" in await hospital.jingluo("show", item["id"])
    await hospital.jingluo("sign", "--system", "alipay", "--day", DAY, "--who", "100017")


async def test_F70_money_that_nobody_told_us_of_is_found_by_its_statement_and_the_channel_is_asked(
    hospital: Hospital,
) -> None:
    made = (await hospital.post("/v1/pay/create", {"key": "S1/pay", "amount": "36.50"})).json()
    hospital.sandbox.pays(made["order"])
    stranger = (await hospital.post("/v1/pay/create", {"key": "S2/pay", "amount": "7.00"})).json()["order"]
    hospital.sandbox.pays(stranger)
    trade = hospital.sandbox.books.trades.pop(stranger)
    trade.out_trade_no = trade.trade_no = "NOBODYS"
    hospital.sandbox.books.trades["NOBODYS"] = trade
    hospital.clock.at += 3 * 86_400
    told = await hospital.post("/v1/statement", {"day": DAY})
    assert told.json()["open"] == 1, told.text
    order = await hospital.engine.makers.payments.order("alipay", made["order"])
    assert order is not None
    assert (order.state, order.paid_fen) == ("PAID", 3650)
    (item,) = json.loads(await hospital.jingluo("list", "--system", "alipay", "--json", code=1))
    assert (item["cls"], item["number"], item["theirs_fen"]) == ("long", "NOBODYS", 700)
    desk = hospital.engine.makers.desk
    assert desk is not None
    (waits,) = await desk.book.suspense.items(party="alipay")
    assert (waits.account, waits.fen) == ("suspense:alipay/NOBODYS", 700)
    assert await desk.book.balance("suspense:alipay/NOBODYS") == -700
    await hospital.jingluo("resolve", "--system", "alipay", "--day", DAY, code=1)
    assert await desk.book.balance("suspense:alipay/NOBODYS") == -700
    assert "suspense" in await hospital.jingluo("show", item["id"])
