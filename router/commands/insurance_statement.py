"""`jingluo insurance statement`: the day's account with the centre (对账, 3201 and 3202)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.asking import print_json

if TYPE_CHECKING:
    from endpoints.insurance.party import Party
    from endpoints.insurance.statement_kept import Account, Statement

statement = typer.Typer(
    help="The day's account with the centre, 3201 and 3202: groups, rows that differ, and what to do. 医保对账",
    invoke_without_command=True,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON value, amounts in yuan.")]
Csv = Annotated[bool, typer.Option("--csv", help="The rows that differ, as a table. 导出差异")]
Report = Annotated[
    Path | None, typer.Option("--report", help="Write it for people, as HTML. 对账单", dir_okay=False)
]
System = Annotated[str, typer.Option("--system", help="The centre's name in systems.yaml. 医保系统名称")]


@statement.callback()
def run(
    context: typer.Context,
    day: Annotated[str, typer.Option(help="2026-01-15, today, yesterday. 日期")] = "",
    begin: Annotated[str, typer.Option("--from", help="The first of several days. 开始日期")] = "",
    end: Annotated[str, typer.Option("--to", help="The last of them. 结束日期")] = "",
    his: Annotated[
        Path | None,
        typer.Option(help="The HIS's own list: CSV or JSON. HIS 结算清单", exists=True, dir_okay=False),
    ] = None,
    insutype: Annotated[str, typer.Option(help="Only this insurance. 险种")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="From the beginning, also where a run broke off. 重新对账")
    ] = False,
    system: System = "",
    as_json: Json = False,
    as_csv: Csv = False,
    report: Report = None,
) -> None:
    """Asks the centre (without a day, about yesterday). Exit code 1: not equal. Called again it goes on. 对账"""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import replace

    from endpoints.insurance.operations.statement import run as ask
    from endpoints.insurance.operations.statement import wanted
    from router.commands.insurance_party import with_party

    listed = his.read_bytes() if his is not None else None
    asked: dict[str, Any] = {"insutype": insutype, "again": again}
    asked |= {"from": begin, "to": end} if begin or end else {"day": day}

    async def do(party: Party) -> Statement:
        return await ask(party, replace(wanted(party, asked), his=listed), _told)

    _show(with_party(system, do), as_json, as_csv, report)


@statement.command("list")
def listed(system: System = "", as_json: Json = False) -> None:
    """Statements that were made, the newest days first. 历史对账"""
    from endpoints.insurance.statement_kept import Kept
    from endpoints.insurance.statement_report import tree

    folder, code = _place(system)
    made = list(Kept(folder).all(code))
    if as_json:
        print_json([plain(tree(one)) for one in made])
        return
    for one in made:
        unequal = sum(account.state != "equal" for account in one.accounts)
        state = "equal 平" if one.equal else f"NOT EQUAL 不平  {unequal} of {len(one.accounts)} groups"
        typer.echo(f"{one.begin}  {one.end}  {'' if one.ended_ms else 'broke off 未完成  '}{state}")
    if not made:
        typer.echo("no statements 无对账记录")


@statement.command()
def show(
    day: Annotated[str, typer.Argument(help="2026-01-15, or the first of its days.")],
    end: Annotated[str, typer.Argument(help="The last of its days.")] = "",
    system: System = "",
    as_json: Json = False,
    as_csv: Csv = False,
    report: Report = None,
) -> None:
    """One that was made, without asking the centre. Exit code 1: not equal; 2: there is none. 查看对账"""
    from endpoints.insurance.statement_kept import Kept

    folder, code = _place(system)
    try:
        made = Kept(folder).load(code, day, end or day)
    except ValueError:
        made = None
    if made is None:
        typer.echo(f"no statement of {day} {end} 无该日对账记录", err=True)
        raise typer.Exit(2)
    _show(made, as_json, as_csv, report)


def _place(system: str) -> tuple[Path, str]:
    from router.cli import settings
    from router.commands.insurance_party import options_of

    chosen = settings()
    options = options_of(chosen, system)
    return chosen.site / options.statement.store, options.fixmedins_code


def _told(account: Account, step: str) -> None:
    if sys.stderr.isatty():
        key = account.key
        typer.echo(f"{key.setl_optins} {key.insutype} {key.clr_type} {key.flag}: {step}", err=True)


def plain(made: Any) -> Any:
    """Decimals as text: JSON readers that make floats of numbers keep every fen."""
    from decimal import Decimal

    if isinstance(made, dict):
        return {name: plain(value) for name, value in made.items()}
    if isinstance(made, list | tuple):
        return [plain(value) for value in made]
    return str(made) if isinstance(made, Decimal) else made


def _show(made: Statement, as_json: bool, as_csv: bool, report: Path | None) -> None:
    from endpoints.insurance.statement_report import COLUMNS, rows, tree

    if report is not None:
        from config.private import make_file
        from router.commands.insurance_statement_page import page

        make_file(report)
        report.write_text(page(made), "utf-8")
    if as_json:
        print_json(plain(tree(made)))
    elif as_csv:
        out = csv.writer(sys.stdout)
        out.writerow(COLUMNS)
        out.writerows(rows(made))
    else:
        from router.commands.insurance_statement_page import print_statement

        print_statement(made)
    raise typer.Exit(0 if made.equal else 1)
