"""`jingluo settlements suspense`: money that waits for a person, by age, amount and party."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import typer

from router.commands.settlements_shown import yuan_of

WORDS = {
    "difference": "amounts differ 金额不符",
    "refused": "refused 被拒",
    "late": "nothing came 超时未到",
    "not-undone": "cannot be undone 无法撤销",
    "unknown": "nobody knows 结果不明",
    "pipeline": "pipeline 流程错误",
    "floor": "balance too low 余额不足",
    "left": "money left at the end 结束后有余额",
    "after-end": "came after the end 结束后到账",
    "unknown-order": "unknown order 未知订单",
    "closed-order": "closed order 订单已关闭",
}


def suspense(
    party: Annotated[str, typer.Option(help="Of this system only. 对方")] = "",
    cls: Annotated[str, typer.Option("--class", help="difference, unknown, left, ... 类别")] = "",
    least: Annotated[float, typer.Option(min=0, help="From so many yuan on. 最低金额")] = 0,
    by: Annotated[Literal["age", "amount"], typer.Option(help="Oldest or largest first. 排序")] = "age",
    closed: Annotated[bool, typer.Option("--closed", help="Also those that are closed. 含已处理")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Money that waits for a person. Exit code 1: there is some. 挂账"""
    from router.cli import settings
    from router.commands.operator import operator

    asked = {"party": party, "class": cls, "least_fen": round(least * 100), "by": by}
    asked |= {"closed": str(closed).lower(), "limit": limit}
    with operator(settings()) as engine:
        found = json.loads(engine.get(f"/api/settlements/suspense?{urlencode(asked)}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _tell(found)
    raise typer.Exit(int(any(not one["closed_ms"] for one in found["items"])))


def _tell(found: dict[str, Any]) -> None:
    from rich.markup import escape

    from router.commands.tables import headed, terminal

    out = terminal()
    if not found["items"]:
        out.print("nothing waits 无挂账")
        return
    sums = headed("party 对方", "age 账龄", "items 笔数", "yuan 金额")
    for one in found["aged"]:
        sums.add_row(one["party"] or "-", one["age"], str(one["count"]), yuan_of(one["fen"]))
    out.print(sums)
    table = headed("id", "age 账龄", "party 对方", "yuan 金额", "class 类别", "why 说明", "closed by 处理")
    now_ms = time.time() * 1000
    for one in found["items"]:
        word, why = WORDS.get(one["cls"], one["cls"]), escape(one["text"][:80])
        facts = (_age(now_ms - one["opened_ms"]), one["party"] or "-", yuan_of(one["fen"]), word, why)
        table.add_row(one["id"], *facts, one["closed_by"] or "-")
    out.print(table)


def _age(ms: float) -> str:
    """In hours, or days where it is more than two of them."""
    hours = int(ms / 3_600_000)
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"
