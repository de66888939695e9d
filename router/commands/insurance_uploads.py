"""`jingluo insurance uploads`: what became of a day's uploads, row by row (日常上传)."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.asking import ask, print_json, time_ms
from router.search import BadQuery

if TYPE_CHECKING:
    from router.uploads import Row

_SHOWN = 200  # rows on a terminal
_COLUMNS = ("infno", "state", "code", "text", "times", "at", "channel", "message", "request")


def uploads(
    day: Annotated[str, typer.Option(help="2026-01-15, today or yesterday. 日期")] = "today",
    infno: Annotated[str, typer.Option(help="Only this transaction: 4101A. 交易编号")] = "",
    state: Annotated[
        str, typer.Option(help="Only these: accepted refused unknown waiting missing. 状态")
    ] = "",
    expected: Annotated[
        Path | None,
        typer.Option(
            help="A table whose first column should all have been uploaded; its heading is a name that rows are "
            "found by (setl_id). 应上传清单",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows, as a table. 导出")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Row by row: accepted, refused with the centre's words, waiting, missing. Exit code 1: not all accepted. 日常上传

    What was refused is mended and sent again with `jingluo messages replay MESSAGE --edit FILE`."""
    from channels.loader import load_site
    from router.cli import settings
    from router.uploads import Uploads, missing

    since = _since(day)
    channels = load_site(settings()).channels
    rows = ask(
        lambda store: Uploads(channels, store.search, lambda id: store.show(id, children=False)).rows(
            since, since + 86_400_000, infno
        )
    )
    if expected is not None:
        name, values = _listed(expected)
        rows += missing(rows, name, values, infno)
    good = all(row.state == "accepted" for row in rows)
    chosen = [row for row in rows if state in ("", row.state)]
    if as_json:
        print_json([asdict(row) for row in chosen])
    elif as_csv:
        _write(chosen)
    else:
        _print(rows, chosen)
    raise typer.Exit(0 if good else 1)


def _since(day: str) -> int:
    now = datetime.now().astimezone()
    named = {"today": now, "yesterday": now - timedelta(days=1)}
    if day in named:
        day = named[day].date().isoformat()
    if len(day) != 10 or (since := time_ms(day)) is None:
        raise BadQuery("JL-J004", f"{day!r} is no day: write 2026-01-15, today or yesterday")
    return since


def _listed(path: Path) -> tuple[str, list[str]]:
    rows = [row for row in csv.reader(path.read_text("utf-8-sig").splitlines()) if row and row[0].strip()]
    if not rows:
        raise BadQuery("JL-J004", f"{path.name} has no heading: its first column is setl_id, say")
    return rows[0][0].strip(), [row[0].strip() for row in rows[1:]]


def _write(rows: Sequence[Row]) -> None:
    names = sorted({name for row in rows for name in row.key}.difference(_COLUMNS))
    out = csv.writer(sys.stdout)
    out.writerow([_COLUMNS[0], *names, *_COLUMNS[1:]])
    for row in rows:
        when = datetime.fromtimestamp(row.at_ms / 1000).isoformat(" ", "seconds") if row.at_ms else ""
        keys = [row.key.get(name, "") for name in names]
        out.writerow(
            [
                row.infno,
                *keys,
                row.state,
                row.code,
                row.text,
                row.times,
                when,
                row.channel,
                row.message,
                row.request,
            ]
        )


def _print(rows: Sequence[Row], chosen: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from router.uploads import STATES_ZH

    console = Console(soft_wrap=True)
    if not rows:
        console.print("no uploads 无上传")
        return
    counts = Counter((row.infno, row.state) for row in rows)
    states = [state for state in STATES_ZH if any(found == state for _, found in counts)]
    sums = Table("infno", *(f"{state} {STATES_ZH[state]}" for state in states), box=None)
    for infno in sorted({row.infno for row in rows}):
        sums.add_row(infno or "-", *(str(counts[infno, state] or "") for state in states))
    console.print(sums)
    worse = [row for row in chosen if row.state != "accepted" or len(chosen) < len(rows)]
    table = Table("infno", "row", "state", "why", "times", "message", box=None)
    for row in worse[:_SHOWN]:
        key = " ".join(f"{name}={value}" for name, value in row.key.items())
        why = " ".join(filter(None, (row.code, row.text)))
        table.add_row(
            row.infno,
            escape(key),
            f"{row.state} {STATES_ZH[row.state]}",
            escape(why),
            str(row.times),
            row.message,
        )
    if worse:
        console.print(table)
    if len(worse) > _SHOWN:
        console.print(f"{len(worse) - _SHOWN} more: --csv 其余见 --csv")
