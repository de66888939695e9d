"""Settlements after a crash: how long until a fresh process has taken up and decided each that is open.

`python -m bench.settle_recovery URL FOLDER COUNT`: that process. It prints the seconds from its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from bench.insurance_records import databases
from bench.table import Table
from channels.settling.compile import compile_settlement
from channels.settling.model import Definition
from config.crypto import SiteKeys
from config.text import parse
from router.clock import now_ms
from router.settlement.book import Settlement
from router.settlement.commands import Call
from router.settlement.desk import Desk
from router.settlement.owner import Owner
from router.settlement.rows import Attempt, Outcome, Place
from router.settlement.runner import LEASE_MS, Told
from router.store import settlement_tables as tables
from router.store.settlement_book import SettlementBook, settlement_book
from router.store.settlement_rows import Key, values_of
from transforms.library import Library

TEXT = """
settlement: outpatient
key: $.settle_no
steps:
  - hold: {do: his.hold, ask: his.query_hold, undo: his.release}
  - visit: {do: insurance.2201, ask: insurance.5201, undo: insurance.2202, keep: {mdtrt_id: $.mdtrt_id}}
  - fees: {each: "$.items[]", in: 50, do: insurance.2204, ask: insurance.5204, undo: insurance.2205}
  - preset: {do: insurance.2206, keep: {preset: $.setlinfo}, check: [{$preset.total: $.total}]}
  - pay: {do: payment.create, ask: payment.created, undo: payment.close, keep: {pay: $}}
  - paid:
      wait: {for: payment.notice, ask: payment.paid, every: [1h], until: 2d, else: cancel}
      with: {order: $pay.order}
      reverse: payment.close
      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
"""
_REPLY = {"mdtrt_id": "M1", "order": "1", "setlinfo": {"total": "36.50", "fund": "20.40", "cash": "16.10"}}
_ITEMS = [{"number": f"F{n}", "amount": "3.65"} for n in range(10)]
_DONE = (
    ("hold", "his.hold"),
    ("visit", "insurance.2201"),
    ("fees", "insurance.2204"),
    ("preset", "insurance.2206"),
)
_OPEN, _TARGET_S = 100_000, 30.0  # of issue 7
_DEAD = "the-dead"
_AT_ONCE = 500


def recovered() -> Table:
    table = Table(
        "After a crash: until a fresh process has taken up and decided each open settlement",
        ["database", "open", "with a call under way", "s", "CPU s", "per s", "target"],
    )
    for name, database in databases():
        with database as url:
            for count, under_way in ((_OPEN, 64), (_OPEN // 10, _OPEN // 10)):
                with tempfile.TemporaryDirectory() as folder:
                    seconds, cpu_s = _fresh(url, Path(folder), count, under_way)
                goal = f"{count:,} open, {name}"
                target = table.target(goal, seconds, _TARGET_S, most=True) if count == _OPEN else ""
                table.add(name, count, under_way, seconds, cpu_s, count / seconds, target)
    table.notes.append(
        "from the start of the process, its imports too; parties answer at once. All had been held by"
    )
    table.notes.append(
        "the process that died. Others wait for the payer; of a call under way the party is asked"
    )
    return table


def _fresh(url: str, folder: Path, count: int, under_way: int) -> tuple[float, float]:
    """Seconds that went by, and of a processor."""
    asyncio.run(_fill(url, count, under_way))
    owner = Owner(folder)
    (folder / owner.name).touch()  # as a process leaves it that was killed
    asyncio.run(_held_by(url, owner.name))
    asked = [sys.executable, "-m", "bench.settle_recovery", url, str(folder), str(count)]
    began, before = time.perf_counter(), _cpu_s()
    done = subprocess.run(asked, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - began, _cpu_s() - before


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _book(url: str) -> Iterator[SettlementBook]:
    book = settlement_book(url, lambda: SiteKeys(bytes(16)), now_ms)
    try:
        yield book
    finally:
        book.close()


async def _fill(url: str, count: int, under_way: int) -> None:
    """Open settlements as they are in the middle of a day, all held by one process."""
    with _book(url) as book:
        await book.define(_definition().digest, "outpatient", parse(TEXT, "outpatient.yaml").data)
        await book._database.write(_emptied)
        at = now_ms()
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))

            def add(connection: Connection, key: Key, numbers: range = numbers) -> None:
                connection.execute(insert(tables.settlement), [_row(n, at, key) for n in numbers])
                attempts = [one for n in numbers for one in _attempts(n, at, n < under_way, key)]
                connection.execute(insert(tables.attempt), attempts)

            await book._database.write(add)


def _emptied(connection: Connection, key: Key) -> None:
    connection.execute(tables.attempt.delete())
    connection.execute(tables.settlement.delete())


async def _held_by(url: str, owner: str) -> None:
    with _book(url) as book:
        await book._database.write(
            lambda connection, key: connection.execute(tables.settlement.update().values(owner=owner))
        )


def _row(n: int, at: int, key: Key) -> dict[str, Any]:
    number = f"S{n}"
    request = {"settle_no": number, "channel": "wechat", "total": "36.50", "items": _ITEMS}
    facts = key.sealed({"request": request}, f"settlement {number}")
    made = {
        "number": number,
        "name": "outpatient",
        "digest": _definition().digest,
        "caller": "",
        "facts": facts,
    }
    times = {"began_ms": at - 60_000, "changed_ms": at, "due_ms": at + LEASE_MS, "until_ms": at + LEASE_MS}
    return {**made, **times, "state": "WAITING", "code": "", "fence": 1, "owner": _DEAD}


def _attempts(n: int, at: int, under_way: bool, key: Key) -> Iterator[dict[str, Any]]:
    for number, (step, operation) in enumerate((*_DONE, ("pay", "payment.create")), 1):
        outcome: Outcome | None = None if under_way and step == "pay" else "OK"
        ended = at - 5_000 if outcome else 0
        made = Attempt(number, Place(step), "do", operation, step, at - 6_000, outcome, ended)
        yield values_of(made if outcome is None else _answered(made), f"S{n}", key)


def _answered(attempt: Attempt) -> Attempt:
    reply = _REPLY if attempt.place.step in ("visit", "preset", "pay") else {"outcome": "OK"}
    return Attempt(*(getattr(attempt, name) for name in attempt.__struct_fields__[:9]), reply=reply)


_made: list[Definition] = []


def _definition() -> Definition:
    if not _made:
        made = compile_settlement(parse(TEXT, "outpatient.yaml"), Library([], []), [])
        assert made is not None
        _made.append(made)
    return _made[0]


class _Prompt:
    """Parties that know what they did, and of whom nobody paid yet."""

    async def call(self, settlement: Settlement, call: Call) -> Told:
        return Told("OK", reply=_REPLY) if call.operation == "payment.created" else Told("PROCESSING")


async def _recover(url: str, folder: Path, count: int) -> None:
    """Until none is as it was left."""
    began = now_ms()
    book = settlement_book(url, lambda: SiteKeys(bytes(16)), now_ms)
    desk = Desk(book, _Prompt(), lambda: {"outpatient": None}, Library([], []), Owner(folder), now_ms)  # type: ignore[dict-item]
    desk.start()
    c = tables.settlement.c
    left = select(func.count()).where(c.changed_ms < began)
    while await book._database.read(lambda connection, key: connection.execute(left).scalar_one()):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await desk.stop()


if __name__ == "__main__":
    asyncio.run(_recover(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
