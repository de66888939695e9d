"""`jingluo insurance upload` and `download`: a file to the centre (9101) and one from it (9102), by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from router.clock import now_ms
from router.commands.asking import print_json
from router.commands.insurance_files import Json, System

if TYPE_CHECKING:
    from endpoints.insurance.files import FileNumber
    from endpoints.insurance.party import Party


def upload(
    file: Annotated[Path, typer.Argument(help="A zip; of a .txt one is made.", exists=True, dir_okay=False)],
    system: System = "",
    as_json: Json = False,
) -> None:
    """Sends a file to the centre (9101) and prints its number. 上传文件"""
    from router.commands.insurance_party import with_party

    content, name = file.read_bytes(), file.name
    if not content.startswith(b"PK"):
        from endpoints.insurance.zipped import zipped

        content, name = zipped(file.with_suffix(".txt").name, [content]), file.with_suffix(".zip").name

    async def do(party: Party) -> FileNumber:
        from endpoints.insurance.centre import PartyCentre
        from endpoints.insurance.files import upload

        return await upload(PartyCentre(party), name, content)

    made = with_party(system, do)
    if as_json:
        print_json(msgspec.to_builtins(made))
    else:
        typer.echo(
            f"file_qury_no 文件查询号: {made.number}\nfilename 文件名: {made.name}\nuntil 截止: {made.until}"
        )


def download(
    number: Annotated[str, typer.Argument(help="file_qury_no 文件查询号")],
    to: Annotated[Path, typer.Argument(help="The file that is written.", dir_okay=False)],
    name: Annotated[str, typer.Option(help="filename, as the centre said it. 文件名")] = "",
    owner: Annotated[str, typer.Option(help="fixmedins_code: plc for catalogues, else the own.")] = "",
    system: System = "",
) -> None:
    """Fetches a file from the centre (9102). 下载文件"""
    from router.commands.insurance_party import with_party

    if to.exists():
        typer.echo(f"{to} is there already 文件已存在", err=True)
        raise typer.Exit(2)

    async def do(party: Party) -> None:
        from endpoints.insurance.centre import PartyCentre
        from endpoints.insurance.files import FileNumber, download

        asked = FileNumber(number, name or f"{number}.zip")
        await download(PartyCentre(party), asked, to, now_ms() / 1000, owner=owner)

    with_party(system, do)
    typer.echo(f"{to}: {to.stat().st_size:,} bytes")
