"""`jingluo log`: the journal as a whole: its days, the proof of its rows, its keys, what is over; one message opened.

It reads the database and needs no running engine.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from router.clock import now_ms
from router.commands.asking import ask, opened, print_json, print_story

if TYPE_CHECKING:
    from router.search import Parked
    from router.store import Store

app = typer.Typer(help="The journal: proof, days, keys. 日志校验与保管", no_args_is_help=True)

_TELL_EVERY_S = 0.5

Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]


@app.command()
def verify(
    day: Annotated[str, typer.Option(help="One day, as 20260131 (UTC); else all.")] = "",
    as_json: Json = False,
) -> None:
    """Proves that the rows are those that were written. Exit code 1 where one was changed, or is missing. 校验"""
    counter = _Counter()
    found = ask(lambda store: list(store.verify(day, counter.add)))
    counter.end()
    if as_json:
        print_json({"rows": counter.rows, "found": [asdict(one) for one in found]})
    else:
        for one in found:
            typer.echo(str(one))
        words = f"{len(found)} FOUND 发现异常" if found else "OK 未发现改动"
        typer.echo(f"{words}: {counter.rows:,} rows read")
    raise typer.Exit(1 if found else 0)


@app.command()
def days(as_json: Json = False) -> None:
    """The days that there are, newest first: rows, bytes, by which site key sealed. 存储日期"""
    found = ask(lambda store: store.days())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    typer.echo(f"{'day':<10}{'rows':>12}{'MB rows':>10}{'MB bodies':>11}  sealed by  bodies of")
    for one in found:
        sizes = f"{one.rows:>12,}{one.row_bytes / 1e6:>10.1f}{one.body_bytes / 1e6:>11.1f}"
        typer.echo(f"{one.day:<10}{sizes}  {one.sealed_by:<9}  {' '.join(one.bodies) or '-'}")


@app.command()
def view(
    id: Annotated[str, typer.Argument(help="An id, or enough of its first digits.")],
    as_json: Json = False,
) -> None:
    """Opens one message with its body and answers. That it was viewed, and by whom, is written down. 查看原文"""
    print_story(ask(opened(id)), body=True, as_json=as_json)


@app.command()
def parked(
    id: Annotated[str, typer.Argument(help="To see one whole: its id, or enough of its first digits.")] = "",
    as_json: Json = False,
) -> None:
    """What could not be written as rows, newest first. Whoever looks at one is written down. 无法入库的报文"""
    from router.commands.tables import readable

    if not id:
        found = ask(lambda store: store.parked())
        if as_json:
            print_json([{**asdict(one), "body": None} for one in found])
            return
        for one in found:
            at = datetime.fromtimestamp(one.at_ms / 1000)
            typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {one.id}  {one.size:>9,} bytes  {one.reason}")
        if not found:
            typer.echo("nothing is parked 无")
        return
    for one in ask(lambda store: _seen(store, id)):
        typer.echo(f"-- {one.id} {one.reason}", err=True)
        typer.echo(readable(one.body, "utf-8"))


@app.command()
def rekey() -> None:
    """Wraps every data key of the journal, and of what was asked of insurance centres, paid and settled, by its current
    key. Files of large bodies still need theirs. 更换密钥"""
    from config.errors import JingluoError
    from router.cli import settings
    from router.clock import now_ms
    from router.store.insurance_records import open_insurance
    from router.store.payment_book import open_payments
    from router.store.reconcile_store import open_reconcile
    from router.store.settlement_book import open_settlements

    said = settings()
    count = ask(lambda store: store.rekey())
    books = (open_insurance(said, now_ms), open_settlements(said, now_ms))
    for book in (*books, open_payments(said), open_reconcile(said, now_ms)):
        try:
            count += book.rekey()
        except JingluoError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        finally:
            book.close()
    typer.echo(f"{count} data keys of the journal are wrapped by its current key now 日志数据密钥已更换")


@app.command()
def keep(
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """What the engine's hourly job would drop now. 到期清理"""
    from channels.loader import load_site
    from router.cli import settings
    from router.keeping import rules_of

    if not plan:
        raise typer.BadParameter("dropping is the running engine's work, once an hour: write --plan")
    chosen = settings()
    rules = rules_of(chosen, load_site(chosen).channels)
    found = ask(lambda store: store.over(rules, now_ms()))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        what = f"bodies of {one.channel}" if one.channel else "the whole day"
        typer.echo(f"{one.day}  {what}  {one.bytes / 1e6:.1f} MB")
    if not found:
        typer.echo("nothing is over 无到期数据")


def _seen(store: Store, id: str) -> tuple[Parked, ...]:
    found = store.parked(id)
    for one in found:
        store.note("viewed", f"parked {one.id}")
    return found


class _Counter:
    """Rows read, told on a terminal as they go by."""

    def __init__(self) -> None:
        self.rows = 0
        self._told = time.monotonic()

    def add(self, rows: int) -> None:
        self.rows += rows
        if self.rows % 1_000 == 0 and sys.stderr.isatty() and time.monotonic() - self._told > _TELL_EVERY_S:
            self._told = time.monotonic()
            typer.echo(f"\r{self.rows:,} rows", nl=False, err=True)

    def end(self) -> None:
        if sys.stderr.isatty():
            typer.echo("\r" + " " * 30 + "\r", nl=False, err=True)
