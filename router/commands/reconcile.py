"""`jingluo reconcile`: statements against what the engine has: what differs, who explains it, the signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from router.reconcile.books import Item

app = typer.Typer(
    help="Statements against our books: breaks, explanations, sign-off, reports. 对账：比对、说明、签核、报表",
    no_args_is_help=True,
)

System = Annotated[str, typer.Option(help="The channel's name in systems.yaml. 渠道")]
Day = Annotated[str, typer.Option(help="2026-01-05. 日期")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, amounts in fen.")]


@app.command()
def compare(
    system: System,
    day: Day,
    file: Annotated[Path, typer.Option(help="The statement. 对账单", exists=True, dir_okay=False)],
    ours: Annotated[Path, typer.Option(help="Our list, JSON rows. 本方明细", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Two files, without an engine. Exit code 1: they differ. 离线比对"""
    import msgspec

    from router.reconcile.books import Books
    from router.reconcile.compare import compare as compared
    from schemas.statements.row import Row, Wanted, shifted
    from schemas.statements.wechat import wechat

    theirs = wechat(file.read_bytes(), Wanted(system, day))
    mine = msgspec.json.decode(ours.read_bytes(), type=list[Row])
    items = compared(Books(system, theirs, mine), day, day, shifted(day, 3))
    _print(items, as_json)
    raise typer.Exit(int(any(one.state == "OPEN" for one in items)))


def _print(items: list[Item], as_json: bool) -> None:
    import msgspec
    from rich.markup import escape

    from router.commands.tables import headed, terminal
    from router.reconcile.classes import CLASSES

    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(items), ensure_ascii=False))
        return
    table = headed(
        "item 编号",
        "day 日期",
        "class 类别",
        "state 状态",
        "theirs 对方",
        "ours 本方",
        "number 单号",
        "says 说明",
    )
    for one in items:
        said: Any = escape(" ".join(filter(None, (CLASSES[one.cls].title, one.text, *one.suggested))))
        fens = (yuan(one.theirs_fen), yuan(one.ours_fen))
        table.add_row(one.id, one.day, one.cls, one.state, *fens, escape(one.number or one.channel_no), said)
    terminal().print(table if items else "the books agree 账平")


def yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"
