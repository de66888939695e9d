"""`jingluo insurance catalogue`: the catalogues of the platform in the engine's tables. They need no running engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from config.errors import BadMessage, JingluoError, Refused, Unreachable
from router.clock import now_ms
from router.commands.asking import print_json, time_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from endpoints.insurance.catalogues import Layout, Load, Report, State
    from endpoints.insurance.lines import RowFault
    from endpoints.insurance.party import Party
    from router.store.insurance_catalogue import CatalogueStore

catalogue = typer.Typer(
    help="Catalogues 1301–1319: drugs, services, consumables, diagnoses. 医保目录", no_args_is_help=True
)

_MOST_FAULTS_TOLD = 20
Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
System = Annotated[str, typer.Option("--system", help="Of systems.yaml, where there are several. 医保系统名")]
Kind = Annotated[str, typer.Option("--kind", "-k", help="Only of this catalogue: 1301. 目录")]


@catalogue.command("list")
@catalogue.command("status")
def listed(as_json: Json = False) -> None:
    """Of each catalogue its version and rows, and an import that goes on. 目录版本与进度"""
    from endpoints.insurance.kinds import KINDS, layout

    with opened() as store:
        found = [(layout(kind), store.state(kind)) for kind in KINDS]
    if as_json:
        print_json([_facts(one, state) for one, state in found])
        return
    for one, state in found:
        when = _day(state.published_ms) if state.published_ms else "-"
        typer.echo(
            f"{one.kind}  {state.rows:>10,}  {when:<16}  {state.ver or '-':<24}  {one.name_zh}{_going(state)}"
        )


@catalogue.command("import")
def bring(
    kind: Annotated[str, typer.Argument(help="1301, 1305 …")],
    file: Annotated[
        Path, typer.Argument(help="The .zip as it came, or its .txt.", exists=True, dir_okay=False)
    ],
    full: Annotated[
        bool, typer.Option("--full", help="It holds all: what it does not hold goes. 全量替换")
    ] = False,
    faults: Annotated[int, typer.Option(help="Rows that may be left out. 允许跳过的错误行数", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Takes in a catalogue's file that was given by hand. Called again after a crash it goes on. 导入目录文件"""
    from endpoints.insurance.catalogue_import import Way, import_file, owner
    from endpoints.insurance.kinds import layout

    one = layout(kind)
    with opened() as store, progress(one) as told:
        way = Way(store, now_ms, owner(), faults=faults, tell=told.at, fault=told.fault)
        report = import_file(way, one, file, full=full)
    tell([report], as_json=as_json)


@catalogue.command()
def update(
    kinds: Annotated[list[str] | None, typer.Argument(help="1301 1305 …; all without. 目录")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="All anew, in the place of what is there. 全量")
    ] = False,
    faults: Annotated[int, typer.Option(help="Rows that may be left out. 允许跳过的错误行数", min=0)] = 0,
    page: Annotated[
        int, typer.Option(help="Rows of a page, of the paged ones. 每页条数", min=1, max=1000)
    ] = 100,
    given: Annotated[
        list[str] | None, typer.Option(help="A further field of the paged ones: insu_admdvs=999900.")
    ] = None,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Fetches all that is newer from the centre; ended by Ctrl-C, the next one goes on. 从中心更新目录"""
    from endpoints.insurance.kinds import KINDS, layout
    from router.commands.insurance_party import with_party

    fields = dict(pair(one) for one in given or [])
    reports: list[Report] = []
    failed: dict[str, JingluoError] = {}

    async def do(party: Party) -> None:
        from endpoints.insurance.catalogue import update
        from endpoints.insurance.catalogue_import import Way, owner
        from endpoints.insurance.centre import PartyCentre
        from endpoints.insurance.steps import tables_of

        tables = tables_of(party)
        for one in map(layout, kinds or KINDS):
            with progress(one) as told:
                way = Way(tables, now_ms, owner(), faults=faults, tell=told.at, fault=told.fault)
                try:
                    made = await update(
                        way, PartyCentre(party), one, tables.folder, full=full, page=page, given=fields
                    )
                except (Refused, Unreachable, BadMessage) as error:
                    failed[one.kind] = error
                    continue
            reports.extend(made)

    with_party(system, do)
    tell(reports, as_json=as_json)
    if not reports and not failed and not as_json:
        typer.echo("nothing newer 无更新")
    for kind, error in failed.items():
        typer.echo(f"{kind}: {error}", err=True)
    raise typer.Exit(1 if failed else 0)


def pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise typer.BadParameter(f"{text!r} is no NAME=VALUE")
    return name, value


@catalogue.command()
def search(
    text: Annotated[
        str, typer.Argument(help="The beginning of a code, part of a name, or of its pinyin letters.")
    ],
    kind: Kind = "",
    limit: Annotated[int, typer.Option(help="Of each catalogue. 每目录条数", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Items of all catalogues, or of one. Exit code 1 where there are none. 查找目录"""
    _print_items(lambda store, one: store.search(one, text, limit), kind, as_json)


@catalogue.command()
def show(
    code: Annotated[str, typer.Argument(help="An item's code. 目录编码")],
    kind: Kind = "",
    as_json: Json = False,
) -> None:
    """All that the catalogues say of one item. Exit code 1 where there is none. 查看目录项"""
    from endpoints.insurance.kinds import KINDS, layout

    with opened() as store:
        found = [
            (one, row) for one in map(layout, [kind] if kind else KINDS) for row in store.of_code(one, code)
        ]
    if as_json:
        print_json([{"catalogue": one.kind, **row} for one, row in found])
    for one, row in [] if as_json else found:
        typer.echo(f"{one.kind} {one.name_zh}")
        names = _names(one)
        for column, value in row.items():
            if value is not None:
                typer.echo(f"  {column:<28}{names.get(column, '')}: {value}")
    if not found:
        typer.echo("nothing found 未找到", err=True)
        raise typer.Exit(1)


@catalogue.command()
def changes(
    kind: Annotated[str, typer.Argument(help="1301")],
    since: Annotated[str, typer.Option(help="30d, 24h ago, or 2026-01-31.")] = "30d",
    limit: Annotated[int, typer.Option(min=1)] = 10_000,
    as_json: Json = False,
) -> None:
    """What was new, changed or ended in a catalogue. 目录变更"""
    from endpoints.insurance.kinds import layout

    with opened() as store:
        found = list(store.changes(layout(kind), time_ms(since) or 0, limit))
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
        return
    for one in found:
        typer.echo(f"{_day(one.at_ms)}  {_WHAT[one.what]:<12}  {one.code}  {one.name}")
    typer.echo(f"{len(found)} changes 条变更")


_WHAT = {"new": "new 新增", "changed": "changed 变更", "ended": "ended 失效"}


def tell(reports: list[Report], *, as_json: bool) -> None:
    if as_json:
        print_json([msgspec.to_builtins(one) for one in reports])
        return
    for r in reports:
        left = f", left out 跳过 {r.faults:,}" if r.faults else ""
        typer.echo(
            f"{r.kind}: read 读取 {r.rows:,}: new 新增 {r.new:,}, changed 变更 {r.changed:,}, ended 失效 {r.ended:,}, "
            f"same 未变 {r.same:,}{left}; now 现有 {r.now:,}, version 版本 {r.ver or '-'}"
        )


@dataclass
class Told:
    """Progress for a person: a bar, or a line now and then where there is no terminal."""

    bar: Any
    task: Any
    began_ms: int
    first: int = -1
    said_ms: int = 0
    faults: int = 0

    def at(self, load: Load, share: float) -> None:
        if self.first < 0:  # what was fetched before is no row a second
            self.first, self.began_ms = load.rows, now_ms()
        took = max(now_ms() - self.began_ms, 1) / 1000
        rate = (load.rows - self.first) / took
        self.bar.update(self.task, completed=share, rows=f"{load.rows:,}", rate=f"{rate:,.0f}/s")
        if self.bar.disable and now_ms() - self.said_ms > 5_000:
            self.said_ms = now_ms()
            typer.echo(f"{load.kind}: {load.rows:,} rows, {share:.0%}, {rate:,.0f}/s", err=True)

    def fault(self, fault: RowFault) -> None:
        self.faults += 1
        if self.faults <= _MOST_FAULTS_TOLD:
            typer.echo(f"row {fault.number} 行: {fault.code}: {fault.text}", err=True)


@contextmanager
def progress(one: Layout) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = ("{task.description}", "{task.fields[rows]} rows 行", "{task.fields[rate]}")
    columns = (TextColumn(words[0]), BarColumn(), *map(TextColumn, words[1:]), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"{one.kind} {one.name_zh}", total=1.0, rows="0", rate="")
        yield Told(bar, task, now_ms())


@contextmanager
def opened() -> Iterator[CatalogueStore]:
    from router.cli import settings
    from router.store.insurance_catalogue import open_catalogues

    store = open_catalogues(settings())
    try:
        yield store
    finally:
        store.close()


def _print_items(ask: Callable[[CatalogueStore, Layout], Any], kind: str, as_json: bool) -> None:
    from endpoints.insurance.kinds import KINDS, layout

    with opened() as store:
        found = [(one, row) for one in map(layout, [kind] if kind else KINDS) for row in ask(store, one)]
    if as_json:
        print_json([{"catalogue": one.kind, **row} for one, row in found])
    for one, row in [] if as_json else found:
        name = next((row[label] for label in one.labels if row[label]), "")
        ended = "  ended 已失效" if row["vali_flag"] == "0" else ""
        typer.echo(f"{one.kind}  {row[one.code] or '':<30}  {name}{ended}")
    if not found:
        typer.echo("nothing found 未找到", err=True)
        raise typer.Exit(1)


def _names(one: Layout) -> dict[str, str]:
    """The columns' Chinese names."""
    from schemas.nhsa.catalogue import columns, transaction

    if not one.paged:
        return {column.name: column.name_zh for column in columns(one.kind)}
    return {field.name: field.name_zh for node in transaction(one.kind).output for field in node.fields}


def _facts(one: Layout, state: State) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(state)
    if facts["load"]:
        facts["load"].pop("file")
    return {"name": one.name_zh, **facts}


def _going(state: State) -> str:
    if state.load is None:
        return ""
    whole = f" of {state.load.total:,}" if state.load.total else ""
    return f"  import 导入中: {state.load.rows:,}{whole} rows"


def _day(ms: int) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(ms / 1000).strftime("%Y-%m-%d %H:%M")
