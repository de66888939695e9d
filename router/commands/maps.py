"""`jingluo map run`: what a map makes of a file, and which of its lines made what."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channels.loader import load_site
from config.errors import BadMessage, Problem
from schemas import charsets
from schemas.base import Format
from schemas.message import Message
from transforms.contents import as_file
from transforms.library import Library
from transforms.mapping import Map
from transforms.trace import Marks, Row, place, trace

if TYPE_CHECKING:
    from config.settings import Settings

app = typer.Typer(help="Maps on their own. 映射", no_args_is_help=True)

_VALUE = 40  # characters of a value in the table


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A message.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Option("--map", help="The map's name. 映射名")],
    channel: Annotated[
        str, typer.Option(help="Read the message as this channel does: its format's options. 通道")
    ] = "",
    charset: Annotated[str, typer.Option(help="What the file is written in, where it does not say.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """What a map makes of a message, and which of its lines made what. Exit code 1: it refuses it. 试运行映射"""
    from router.cli import settings

    raise typer.Exit(_run(settings(), file, name, channel, charset, as_json))


def _run(settings: Settings, file: Path, name: str, channel: str, charset: str, as_json: bool) -> int:
    mapped = _mapped(settings, name)
    source = _source(settings, channel) if channel else mapped.source if mapped else None
    if mapped is None or source is None:
        return 2
    body = file.read_bytes()
    message = Message(
        body, f"file {file.name}", id="0" * 32, channel=channel, received_ms=time.time_ns() // 10**6
    )
    try:
        tree = source.decode(body, charset)
        made = mapped.run(tree, message)
        _, rows = trace(mapped, tree, message)
    except BadMessage as error:
        typer.echo(f"{file}: {error}", err=True)
        return 1
    if as_json:
        typer.echo(
            json.dumps(_facts(mapped, source, body, charset, made, rows), ensure_ascii=False, indent=2)
        )
    else:
        _print(mapped, source, body, charset, made, rows)
    return 0


def _mapped(settings: Settings, name: str) -> Map | None:
    """The map with its places; None, and its mistakes printed, where it has some."""
    library = Library(settings.maps, settings.tables, Marks())
    problems: list[Problem] = []
    found = library.map(name, problems)
    if found is None:
        for said in [*library.findings, *(problem.message for problem in problems)]:
            typer.echo(str(said), err=True)
    return found


def _source(settings: Settings, name: str) -> Format | None:
    site = load_site(settings)
    found: Format | None = next((channel.format for channel in site.channels if channel.name == name), None)
    if found is None:
        typer.echo(f"no channel that could run is called {name!r}; see `jingluo check`", err=True)
    return found


def _text(form: Format, body: bytes, charset: str = "") -> str:
    """A message as people read it."""
    said = charset or getattr(form, "charset", "")
    return as_file(form, body).decode(charsets.codec(said) or charsets.decode(body).codec, "replace").strip()


def _print(mapped: Map, source: Format, body: bytes, charset: str, made: bytes, rows: list[Row]) -> None:
    typer.echo(f"── input 输入: {source.name}, {len(body)} bytes\n{_text(source, body, charset)}\n")
    typer.echo(f"── output 输出: {mapped.target_format}, {len(made)} bytes\n{_text(mapped.target, made)}\n")
    typer.echo("── which line made what 逐行来源")
    table = [("path", "value", "line", "from")]
    table += [
        (
            place(row.way, mapped.target_format),
            _short(row.value),
            f"{Path(row.origin.file).name}:{row.origin.line}",
            ", ".join(row.origin.inputs),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(3)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        typer.echo("  ".join([*cells, line[3]]).rstrip())
    if mapped.overlay:
        typer.echo("everything else is as it came (start: $) 其余保持原样")


def _facts(
    mapped: Map, source: Format, body: bytes, charset: str, made: bytes, rows: list[Row]
) -> dict[str, Any]:
    return {
        "map": mapped.name,
        "input": {"format": source.name, "text": _text(source, body, charset)},
        "output": {"format": mapped.target_format, "text": _text(mapped.target, made)},
        "overlay": mapped.overlay,
        "rows": [
            {
                "path": place(row.way, mapped.target_format),
                "value": row.value if isinstance(row.value, int | None) else str(row.value),
                "file": row.origin.file,
                "line": row.origin.line,
                "from": row.origin.inputs,
            }
            for row in rows
        ],
    }


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
