"""`jingluo insurance mapping`: the hospital's items and the national codes (3301, 3302)."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from router.clock import now_ms
from router.commands.asking import print_json
from router.commands.insurance_files import Json, System, opened

if TYPE_CHECKING:
    from endpoints.insurance.mapping import Item, MappingReport
    from endpoints.insurance.mapping_upload import Done, Uploading
    from endpoints.insurance.party import Party

mapping = typer.Typer(
    help="The hospital's items and the national codes (3301, 3302). 目录对照", no_args_is_help=True
)

List = Annotated[
    Path,
    typer.Argument(
        help="CSV, TXT or JSON with the columns of 3301. 院内目录清单", exists=True, dir_okay=False
    ),
]
_WRONG = ("unmapped", "not found", "ended", "refused", "gone")
_TOLD = 50


@mapping.command()
def report(
    file: List,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every item, as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """What is not mapped, mapped to what has ended, new or changed. Exit code 1 where some need you. 对照报告"""
    from endpoints.insurance.mapping import STATUS_ZH, table

    found = _judged(file)
    if as_csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table(found.judged))
        sys.stdout.write("\ufeff" + text.getvalue())  # so that Excel reads it as UTF-8
    elif as_json:
        told = [{"status": one.status, **one.item.facts, "text": one.text} for one in found.judged]
        print_json({"counts": found.counts, "catalogues": found.looked_up, "items": told})
    else:
        for status, count in found.counts.items():
            typer.echo(f"{count:>8,}  {status:<10} {STATUS_ZH[status]}")
        wrong = [one for one in found.judged if one.status in _WRONG]
        for one in wrong[:_TOLD]:
            typer.echo(
                f"  {one.status:<10} {one.item.id}  {one.item.name}  {one.item.code}  {one.text}".rstrip()
            )
        if len(wrong) > _TOLD:
            typer.echo(f"  ... {len(wrong) - _TOLD:,} more: --csv 更多请用 --csv")
        if not found.looked_up:
            typer.echo(
                "no catalogue was imported: codes were not looked for 未导入目录，未核对编码", err=True
            )
    raise typer.Exit(1 if any(one.status in _WRONG for one in found.judged) else 0)


@mapping.command()
def upload(
    file: List,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was refused as it stands. 含已被拒绝的")
    ] = False,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Sends what is new, changed or remapped; called again it goes on. Exit code 1 where some were refused. 上传"""
    found = _judged(file)
    _told(_run(system, lambda uploading: uploading.upload(found.judged, again=again)), as_json)


@mapping.command()
def withdraw(
    ids: Annotated[list[str] | None, typer.Argument(help="fixmedins_hilist_id …")] = None,
    gone: Annotated[Path | None, typer.Option(help="A list: all that was uploaded and is not in it.")] = None,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Takes mappings back (3302). Exit code 1 where some were refused. 撤销对照"""
    with opened() as store:
        kept = store.mappings.all()
    wanted = [*(ids or [])]
    if gone is not None:
        listed = {one.id for one in _items(gone)}
        wanted += [one.id for one in kept.values() if one.became == "uploaded" and one.id not in listed]
    if missing := [one for one in wanted if one not in kept or kept[one].became != "uploaded"]:
        typer.echo(f"never uploaded 未上传: {' '.join(missing[:20])}", err=True)
        raise typer.Exit(2)
    if not wanted:
        typer.echo("nothing to withdraw 无可撤销项")
        return
    _told(_run(system, lambda uploading: uploading.withdraw([kept[one] for one in wanted])), as_json)


def _items(file: Path) -> list[Item]:
    from endpoints.insurance.mapping_list import read_items

    return read_items(file.read_bytes())


def _judged(file: Path) -> MappingReport:
    from endpoints.insurance.mapping import report

    with opened() as store:
        return report(_items(file), store, store.mappings.all())


def _run(system: str, do: Callable[[Uploading], Awaitable[Done]]) -> Done:
    from rich.console import Console
    from rich.progress import Progress

    from router.commands.insurance_party import with_party

    async def run(party: Party) -> Done:
        from endpoints.insurance.catalogue_import import Way, owner
        from endpoints.insurance.centre import PartyCentre
        from endpoints.insurance.mapping_upload import Uploading
        from endpoints.insurance.steps import tables_of

        tables = tables_of(party)
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("3301 3302", total=None)

            def tell(done: int, of: int) -> None:
                bar.update(task, completed=done, total=of)

            way = Way(tables, now_ms, owner())
            return await do(Uploading(way, PartyCentre(party), tables.mappings, asyncio.to_thread, tell=tell))

    return with_party(system, run)


def _told(done: Done, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(done))
    else:
        typer.echo(
            f"uploaded 上传 {done.uploaded:,}, withdrawn 撤销 {done.withdrawn:,}, refused 拒绝 {done.refused:,}, "
            f"unknown 未知 {done.unknown:,}, left 未发 {done.left:,}"
        )
        for one in done.faults[:_TOLD]:
            typer.echo(f"  {one.id}  {one.code}  {one.text}", err=True)
    raise typer.Exit(1 if done.refused or done.unknown else 0)
