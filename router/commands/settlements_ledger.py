"""`jingluo settlements verify` and `deposit`: the ledger proved, and what was paid in advance."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from router.commands.settlements_shown import time_of, yuan_of

if TYPE_CHECKING:
    from router.store.settlement_verify import Proof

_TELL_EVERY_S = 0.5

Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]


def verify(as_json: Json = False) -> None:
    """Recomputes all journals of the ledger: names each that was changed, is missing or stands elsewhere, or does not
    balance. Exit code 1 where there is one. Reads the database; needs no running engine. 账簿校验"""
    pages = asyncio.run(_proofs())
    found = [one for page in pages for one in page.found]
    journals = sum(page.journals for page in pages)
    settlements = sum(page.settlements for page in pages)
    if as_json:
        told: dict[str, Any] = {"settlements": settlements, "journals": journals}
        told["found"] = [
            {"settlement": one.settlement, "journal": one.journal, "what": one.what, "text": one.text}
            for one in found
        ]
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        for one in found:
            typer.echo(str(one))
        words = f"{len(found)} FOUND 发现异常" if found else "OK 未发现改动"
        typer.echo(f"{words}: {journals:,} journals of {settlements:,} settlements")
    raise typer.Exit(1 if found else 0)


async def _proofs() -> list[Proof]:
    from router.cli import settings
    from router.clock import now_ms
    from router.store.settlement_book import open_settlements

    book, pages, after, done = open_settlements(settings(), now_ms), [], "", 0
    told = time.monotonic()
    try:
        while True:
            pages.append(page := await book.proof(after))
            done, after = done + page.journals, page.after
            if not after:
                break
            if sys.stderr.isatty() and time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                typer.echo(f"\r{done:,} journals", nl=False, err=True)
    finally:
        await asyncio.to_thread(book.close)
    if sys.stderr.isatty():
        typer.echo("\r" + " " * 30 + "\r", nl=False, err=True)
    return pages


def deposit(
    admission: Annotated[str, typer.Argument(help="The admission's number. 住院号")],
    since_ms: Annotated[int, typer.Option(help="From then on; what was before is the opening balance.")] = 0,
    as_json: Json = False,
) -> None:
    """What was paid in advance for an admission, and what became of it. 预交金"""
    from router.cli import settings
    from router.commands.operator import operator

    with operator(settings()) as engine:
        asked = urlencode({"since_ms": since_ms})
        found = json.loads(engine.get(f"/api/settlements/deposits/{quote(admission, safe='')}?{asked}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    from router.commands.tables import headed, terminal

    table = headed("at 时间", "settlement 结算号", "moves 类别", "yuan 金额")
    words = {"in": "in 预交", "used": "used 抵扣", "refunded": "refunded 退款"}
    for one in found["movements"]:
        table.add_row(time_of(one["at_ms"]), one["settlement"], words[one["moves"]], yuan_of(one["fen"]))
    terminal().print(table)
    sums = [yuan_of(found[f"{name}_fen"]) for name in ("opening", "in", "used", "refunded", "closing")]
    typer.echo(
        "opening 期初 {} + in 预交 {} - used 抵扣 {} - refunded 退款 {} = closing 期末 {}".format(*sums)
    )
