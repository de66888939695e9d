"""A day's account for people: tables on a terminal, and a page of HTML that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape as html
from typing import TYPE_CHECKING

from endpoints.insurance.statement_report import COLUMNS, STATES_ZH, differences, rows, unexplained
from schemas.nhsa.catalogue import code_list
from schemas.nhsa.statement import Amounts, yuan
from schemas.nhsa.statement_judge import KINDS_ZH, Difference

if TYPE_CHECKING:
    from endpoints.insurance.statement_kept import Account, Statement

_GROUP = ("险种", "清算类别", "经办机构", "退费", "笔数", "总额", "基金", "账户", "现金", "result 结果", "")


def print_statement(made: Statement) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(soft_wrap=True)
    table = Table("", "笔数", "总额", "基金", "账户", "现金", "", box=None)
    for account in made.accounts:
        names, flag, (*figures, _, text) = " ".join(_names(account)), account.key.flag, _figures(account)
        style = "" if account.state == "equal" else "red"
        table.add_row(
            names + (" 退费" if flag == "1" else ""),
            *figures,
            f"{account.state} {STATES_ZH[account.state]}",
            style=style,
        )
        if text:
            table.add_row(f"  {escape(text)}", style="dim")
    console.print(table if made.accounts else "no settlements 无结算")
    for one in differences(made):
        for line in _lines(one):
            console.print(line, markup=False, highlight=False)
    for line in notes(made):
        console.print(line, markup=False)
    console.print(verdict(made), style="green" if made.equal else "bold red", markup=False)


def _lines(one: Difference) -> Iterator[str]:
    """A difference for a terminal of any width."""
    yield ""
    yield f"{one.kind} {KINDS_ZH[one.kind]}{' (cancel 退费)' if one.cancel else ''}  {one.memo}".rstrip()
    yield f"  setl_id {one.setl_id}  mdtrt_id {one.mdtrt_id}  psn_no {one.psn_no}"
    if one.msgid:
        yield f"  msgid {one.msgid}"
    books = (("centre 中心", one.centre), ("here 平台", one.ours), ("HIS", one.his))
    yield "  " + "   ".join(f"{name} {_amounts(amounts)}" for name, amounts in books)
    yield f"  -> {one.advice.en}"
    yield f"     {one.advice.zh}"
    if one.advice.transaction and one.advice.input:
        yield f"     {one.advice.transaction} {json.dumps(dict(one.advice.input), ensure_ascii=False)}"


def verdict(made: Statement) -> str:
    days = made.begin if made.begin == made.end else f"{made.begin} to {made.end}"
    if made.equal:
        return f"{days}: equal 对账平"
    return (
        f"{days}: NOT EQUAL 对账不平"
        if made.ended_ms
        else f"{days}: broke off, call it again 未完成，请再次执行"
    )


def notes(made: Statement) -> list[str]:
    """What the tables do not say."""
    said = [
        f"{account.key.insutype} {account.key.clr_type}: the centre says it is unequal, and names no row: "
        "sums differ from the listed rows, or another day 中心称不平但未列出差异行"
        for account in unexplained(made)
    ]
    return said + [
        f"{one.msgid} {one.infno}: its amounts cannot be read 金额无法读取: {one.code} {one.text}"
        for one in made.unread
    ]


def page(made: Statement) -> str:
    """It names psn_no and setl_id of what differs: keep it as you keep such lists."""
    groups = _table(_GROUP, (_group(account) for account in made.accounts))
    differing = list(rows(made))
    parts = [f"<h1>{html(verdict(made))}</h1>", f"<p>{html(made.system)}</p>", groups]
    if differing:
        parts += ["<h2>Rows that differ 差异明细</h2>", _table(COLUMNS, differing)]
    parts += [f"<p>{html(line)}</p>" for line in notes(made)]
    return _PAGE.format(title=html(verdict(made)), body="\n".join(parts))


_PAGE = """<!doctype html>
<html lang="zh"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em }}
table {{ border-collapse: collapse }}
td, th {{ border: 1px solid #bbb; padding: 0.2em 0.5em; text-align: left }}
</style>
{body}
</html>
"""


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{html(cell)}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{html(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table>\n<tr>{top}</tr>\n{body}\n</table>"


def _group(account: Account) -> list[str]:
    return [*_names(account), account.key.flag, *_figures(account)]


def _names(account: Account) -> list[str]:
    key = account.key
    return [_named("insutype", key.insutype), _named("clr_type", key.clr_type), key.setl_optins]


def _figures(account: Account) -> list[str]:
    sums = (account.medfee_fen, account.fund_fen, account.account_fen, account.cash_fen)
    state = f"{account.state} {STATES_ZH[account.state]}"
    return [str(account.count), *(str(yuan(one)) for one in sums), state, account.text]


def _named(codes: str, code: str) -> str:
    return f"{code} {code_list(codes).values.get(code, '')}".strip()


def _amounts(amounts: Amounts | None) -> str:
    if amounts is None:
        return "-"
    return " / ".join(str(yuan(one)) for one in (amounts.medfee_fen, amounts.fund_fen, amounts.account_fen))
