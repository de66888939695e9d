"""`jingluo insurance dictionaries`: the centre's code lists (1901) in the engine's tables, and as tables of a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.clock import now_ms
from router.commands.asking import print_json
from router.commands.insurance_files import Json, System, opened, tell

if TYPE_CHECKING:
    from endpoints.insurance.catalogues import Report
    from endpoints.insurance.party import Party

dictionaries = typer.Typer(
    help="Code lists of the centre (1901), departments, staff. 医保字典", no_args_is_help=True
)
_MOST = 100_000


@dictionaries.command()
def update(
    types: Annotated[list[str] | None, typer.Argument(help="med_type insutype …; all without. 字典")] = None,
    register: Annotated[
        list[str] | None, typer.Option(help="In their place 1201, 5101 or 5102. 机构、科室、人员")
    ] = None,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Asks the centre for its lists. Exit code 1 where it refused some. 从中心更新字典"""
    from router.commands.insurance_party import with_party

    refused: list[str] = []

    async def do(party: Party) -> list[Report]:
        from endpoints.insurance.catalogue_import import Way, owner
        from endpoints.insurance.centre import PartyCentre
        from endpoints.insurance.operations.dictionaries import questions
        from endpoints.insurance.registers import DICTIONARIES, layout, update_register
        from endpoints.insurance.steps import tables_of

        def told(about: str, text: str) -> None:
            refused.append(f"{about}: {text}")

        made = []
        for kind in register or [DICTIONARIES]:
            layout(kind)
            way, asked = Way(tables_of(party), now_ms, owner()), questions(party, kind, types or [])
            made.append(
                await update_register(way, PartyCentre(party), kind, asked, full=not types, told=told)
            )
        return made

    tell(with_party(system, do), as_json=as_json)
    for one in refused:
        typer.echo(one, err=True)
    raise typer.Exit(1 if refused else 0)


@dictionaries.command()
def show(
    type: Annotated[str, typer.Argument(help="med_type; of the registers a code. 字典类型")],
    register: Annotated[str, typer.Option(help="1901, 1201, 5101 or 5102.")] = "1901",
    as_json: Json = False,
) -> None:
    """The values of a list as the centre said them. Exit code 1 where there are none. 查看字典"""
    from endpoints.insurance.registers import layout

    with opened() as store:
        rows = store.of_code(layout(register), type, _MOST)
    if as_json:
        print_json(rows)
    for row in [] if as_json else rows:
        words = [row.get("value") or row[layout(register).code], row[layout(register).labels[0]]]
        typer.echo(
            "  ".join([*(word or "" for word in words), "" if row["vali_flag"] != "0" else "ended 已失效"])
        )
    if not rows:
        typer.echo("nothing found 未找到", err=True)
        raise typer.Exit(1)


@dictionaries.command()
def export(
    type: Annotated[str, typer.Argument(help="med_type")],
    to: Annotated[
        Path | None, typer.Option(help="A file; tables/nhsa-<type>.csv of the site without.")
    ] = None,
) -> None:
    """Writes a list as a table of the site, for maps: `table: nhsa-med-type`. 导出为代码表"""
    from endpoints.insurance.registers import export as written
    from endpoints.insurance.registers import layout
    from router.cli import settings

    with opened() as store:
        rows = store.of_code(layout("1901"), type, _MOST)
    if not rows:
        typer.echo(f"no list {type}: `dictionaries update {type}` first 未找到", err=True)
        raise typer.Exit(1)
    name = f"nhsa-{type.lower().replace('_', '-')}.csv"
    file = to or settings().site / "tables" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(written(rows, type, ""), encoding="utf-8")
    typer.echo(f"{file}: {len(rows)} values")


@dictionaries.command()
def local(
    types: Annotated[list[str] | None, typer.Argument(help="med_type insutype …; all without. 字典")] = None,
) -> None:
    """Prints the codes that are the centre's alone, for the site's profile (profiles/*.yaml). 本地代码"""
    from endpoints.insurance.registers import layout, local_codes
    from schemas.nhsa.catalogue import code_lists

    wanted = types or [one.name for one in code_lists()]
    with opened() as store:
        rows = {name: store.of_code(layout("1901"), name, _MOST) for name in wanted}
    typer.echo(local_codes(rows), nl=False)
