"""Settlements: what a decision costs, and how many are carried out where the parties answer at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from bench.insurance_records import databases
from bench.settle_recovery import recovered
from bench.table import Table
from bench.timing import fastest
from channels.settling.compile import compile_settlement
from channels.settling.model import Definition
from config.crypto import SiteKeys
from config.text import parse
from router.clock import now_ms
from router.settlement.book import New, Settlement
from router.settlement.commands import Call, Command
from router.settlement.decide import decide
from router.settlement.rows import Attempt, Rows
from router.settlement.runner import Runner, Told
from router.store.settlement_book import settlement_book
from transforms.library import Library

_TEXT = """
settlement: outpatient
key: $.settle_no
steps:
  - hold: {do: his.hold, ask: his.query_hold, undo: his.release}
  - visit: {do: insurance.2201, ask: insurance.5201, undo: insurance.2202, keep: {mdtrt_id: $.mdtrt_id}}
  - diagnose: {do: insurance.2203A}
  - fees: {each: "$.items[]", in: 50, do: insurance.2204, ask: insurance.5204, undo: insurance.2205}
  - preset: {do: insurance.2206, keep: {preset: $.setlinfo}, check: [{$preset.total: $.total}]}
  - pay:
      do: payment.create
      ask: payment.query
      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
  - settle:
      do: insurance.2207
      ask: insurance.5203
      reverse: insurance.2601
      undo: insurance.2208
      keep: {settle: $.setlinfo}
      check: [{$settle.fund: $preset.fund, $settle.cash: $preset.cash}]
      post: [{debit: "receivable:fund", credit: "transit:{settle_no}", amount: $settle.fund}]
  - post:
      do: his.post
      ask: his.query
      undo: his.unpost
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]
  - invoice: {do: einvoice.issue, ask: einvoice.find, forward: true}
"""
_REPLY = {"mdtrt_id": "M1", "setlinfo": {"total": "36.50", "fund": "20.40", "cash": "16.10"}}
_ITEMS = [{"number": f"F{n}", "amount": "0.73"} for n in range(50)]
_SECONDS = 6.0
_TARGET_DECIDE, _TARGET = 5000.0, 20.0  # of issue 7


def run() -> Iterator[Table]:
    yield _decisions()
    yield _carried_out()
    yield recovered()


def _definition() -> Definition:
    problems: list[Any] = []
    made = compile_settlement(parse(_TEXT, "outpatient.yaml"), Library([], []), problems)
    assert made is not None, problems
    return made


def _request(number: str) -> dict[str, Any]:
    return {"settle_no": number, "channel": "wechat", "total": "36.50", "items": _ITEMS}


def _decisions() -> Table:
    definition, rows = _definition(), Rows("S1", _request("S1"), 0)
    steps = [rows]
    while isinstance(command := _next(definition, rows), Call):
        attempt = Attempt(
            len(rows.attempts) + 1,
            command.place,
            command.direction,
            command.operation,
            command.key,
            0,
            "OK",
            1,
            reply=_REPLY,
        )
        rows = replace(rows, attempts=(*rows.attempts, attempt))
        steps.append(rows)
    at = {"the first": steps[0], "in the middle": steps[len(steps) // 2], "the end": steps[-1]}
    rates = fastest({name: lambda rows=one: _next(definition, rows) for name, one in at.items()})  # type: ignore[misc]
    table = Table(
        "Decisions, per second of one core", ["decision", "attempts so far", "per s", "us", "target"]
    )
    for n, (name, one) in enumerate(at.items()):
        rate = rates[name]
        target = table.target("decide", rate, _TARGET_DECIDE) if n == len(at) - 1 else ""
        table.add(name, len(one.attempts), rate, 1e6 / rate, target)
    return table


def _next(definition: Definition, rows: Rows) -> Command:
    return decide(definition, rows, 10)


class _Prompt:
    """Parties that do everything at once."""

    async def call(self, settlement: Settlement, call: Call) -> Told:
        return Told("OK", reply=_REPLY)


def _carried_out() -> Table:
    table = Table(
        "Outpatients of nine steps and fifty fee lines, carried out; parties answer at once",
        ["database", "at once", "settlements per s", "target"],
    )
    for name, url in databases():
        with url as address:
            for at_once in (1, 16):
                rate = asyncio.run(_rate(address, at_once)) / _SECONDS
                target = table.target(f"settlements, {name}", rate, _TARGET) if at_once > 1 else ""
                table.add(name, at_once, rate, target)
    table.notes.append("19 commits each: every call and every answer is on disk before the next")
    return table


async def _rate(url: str, at_once: int) -> int:
    definition = _definition()
    book = settlement_book(url, lambda: SiteKeys(bytes(16)), now_ms)
    until = time.perf_counter() + _SECONDS

    async def known(digest: str) -> Definition:
        return definition

    runner = Runner(book, _Prompt(), known, "bench", now_ms)

    async def one(lane: int) -> int:
        count = 0
        while time.perf_counter() < until:
            number = f"S{lane}-{count}"
            new = New(number, definition.name, definition.digest, _request(number), now_ms())
            await book.begin(new)
            assert await runner.drive(number) == "COMPLETED"
            count += 1
        return count

    done = sum(await asyncio.gather(*(one(lane) for lane in range(at_once))))
    book.close()
    return done
