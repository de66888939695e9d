"""`jingluo settlements check` and `findings`: what must hold of settlements, and does not."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from router.commands.settlements_shown import time_of

Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]


def check(as_json: Json = False) -> None:
    """Looks at all settlements now: M4 to M10. Exit code 1 where something does not hold. 核查"""
    from router.cli import settings
    from router.commands.operator import operator

    found: list[dict[str, Any]] = []
    count, after = 0, ""
    with operator(settings()) as engine:
        while True:
            page = json.loads(engine.post(f"/api/settlements/check?{urlencode({'after': after})}", {}))
            count, after = count + page["settlements"], page["after"]
            found += page["found"]
            if not after:
                break
            if sys.stderr.isatty():
                typer.echo(f"\r{count:,} settlements", nl=False, err=True)
    if sys.stderr.isatty():
        typer.echo("\r" + " " * 30 + "\r", nl=False, err=True)
    if as_json:
        typer.echo(json.dumps({"settlements": count, "found": found}, ensure_ascii=False))
    else:
        _tell(found)
        words = f"{len(found)} FOUND 发现异常" if found else "OK 未发现异常"
        typer.echo(f"{words}: {count:,} settlements")
    raise typer.Exit(int(bool(found)))


def findings(
    closed: Annotated[bool, typer.Option("--closed", help="Also what holds again. 含已恢复")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """What was found by the looks of each minute, newest first. Exit code 1: something is so still. 异常列表"""
    from router.cli import settings
    from router.commands.operator import operator

    asked = urlencode({"closed": str(closed).lower(), "limit": limit})
    with operator(settings()) as engine:
        found = json.loads(engine.get(f"/api/settlements/findings?{asked}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _tell(found)
    raise typer.Exit(int(any(not one["closed_ms"] for one in found)))


def _tell(found: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from router.commands.tables import headed, terminal

    if not found:
        return
    table = headed("found 发现", "of 对象", "rule 规则", "says 说明", "over 恢复")
    for one in found:
        over = time_of(one["closed_ms"]) if one["closed_ms"] else "-"
        table.add_row(time_of(one["found_ms"]), one["book"], one["rule"], escape(one["text"]), over)
    terminal().print(table)
