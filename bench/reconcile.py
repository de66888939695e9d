"""Reconciliation: a day of a hundred thousand rows, read, compared and recorded: how long, and how much memory."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.table import Table
from config.crypto import SiteKeys
from endpoints.payment.orders import Order, Refund
from router.reconcile.books import Books
from router.reconcile.compare import compare
from router.reconcile.desk import Reconciler
from router.reconcile.kept import Source
from router.reconcile.ours import of_order
from router.store.reconcile_store import reconcile_store
from schemas.statements.row import DAY_MS, Wanted, begin_ms
from schemas.statements.wechat import wechat

ROWS = 100_000
_DAY, _LATER = "2026-01-05", "2026-01-09"
_BREAKS = 100  # of each side
_COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"


def run(rows: int = ROWS) -> Iterator[Table]:
    table = Table(
        f"A day of {rows:,} payments by WeChat, {_BREAKS} breaks on each side",
        ["what", "s of one core", "rows per s", "MB more"],
    )
    body = _bill(rows)
    orders = [_order(n) for n in range(_BREAKS, rows + _BREAKS)]
    before = _mb()
    theirs, took = _timed(lambda: wechat(body, Wanted("wechat", _DAY)))
    table.add(f"read the bill ({len(body) / 1e6:.0f} MB)", took, rows / took, _mb() - before)
    before = _mb()
    ours = [of_order(one) for one in orders]
    items, took = _timed(lambda: compare(Books("wechat", theirs, ours), _DAY, _DAY, _LATER))
    assert len(items) == 2 * _BREAKS, len(items)
    table.add("compare it with our orders", took, rows / took, _mb() - before)
    theirs.clear()
    ours.clear()
    before = _mb()
    with tempfile.TemporaryDirectory() as folder:
        _, took = _timed(lambda: asyncio.run(_taken(Path(folder), body, orders)))
    table.add("take it: read, keep, compare, record (SQLite)", took, rows / took, _mb() - before)
    table.notes.append("orders are in memory: what the database takes to list them is not in here")
    yield table


def _timed(do: Any) -> tuple[Any, float]:
    began = time.process_time()  # of all threads: others may be busy on this machine
    return do(), time.process_time() - began


def _mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _at(n: int) -> int:
    return begin_ms(_DAY) + (n * 863) % (DAY_MS // 1000) * 1000


def _number(n: int) -> str:
    return f"JL{hashlib.sha256(str(n).encode()).hexdigest()[:26].upper()}"


def _order(n: int) -> Order:
    at_ms = _at(n)
    paid = {"state": "PAID", "paid_fen": 3650, "paid_ms": at_ms, "channel_no": f"42000{n:023}"}
    return Order("wechat", _number(n), f"S{n}/pay", 3650, "native", at_ms, settlement=f"S{n}", **paid)  # type: ignore[arg-type]


def _bill(rows: int) -> bytes:
    lines = [_COLUMNS]
    for n in range(rows):
        seconds = (_at(n) - begin_ms(_DAY)) // 1000
        clock = f"{_DAY} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        values = (
            clock,
            "wx0",
            "1900000001",
            "0",
            "K1",
            f"42000{n:023}",
            _number(n),
            "o",
            "NATIVE",
            "SUCCESS",
        )
        values += (
            "OTHERS",
            "CNY",
            "36.50",
            "0.00",
            "0",
            "0",
            "0.00",
            "0.00",
            "",
            "",
            "x",
            "",
            "0.21900",
            "0.60%",
        )  # type: ignore[assignment]
        lines.append(",".join(f"`{value}" for value in (*values, "36.50", "0.00", "")))
    total = f"{rows * 3650 // 100}.{rows * 3650 % 100:02}"
    fee = f"{rows * 219 / 1000:.5f}"
    lines += [_TOTALS, f"`{rows},`{total},`0.00,`0.00,`{fee},`{total},`0.00"]
    return "\r\n".join(lines).encode()


class _Orders:
    """What reconciliation asks of the payments."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = sorted(orders, key=lambda one: one.number)
        self._by = {one.number: one for one in orders}
        self._at = {one.number: n for n, one in enumerate(self._orders)}

    async def order(self, system: str, number: str) -> Order | None:
        return self._by.get(number)

    async def of_channel(self, system: str, channel_no: str) -> Order | None:
        return None

    async def refund(self, system: str, number: str) -> Refund | None:
        return None

    async def between(self, system: str, from_ms: int, to_ms: int, after: str, limit: int) -> Sequence[Order]:
        begin = self._at[after] + 1 if after else 0
        return self._orders[begin : begin + limit]


async def _taken(folder: Path, body: bytes, orders: Sequence[Order]) -> None:
    kept = reconcile_store(f"sqlite:///{folder}/j.db", lambda: SiteKeys(bytes(16)), lambda: begin_ms(_LATER))
    try:
        desk = Reconciler(kept, _Orders(orders), lambda: begin_ms(_LATER))  # type: ignore[arg-type]
        taken = await desk.take(Source("wechat", "wechat"), _DAY, body)
        assert taken.runs[0].found == 2 * _BREAKS, taken.runs
    finally:
        kept.close()
