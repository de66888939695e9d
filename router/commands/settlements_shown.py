"""How the commands of settlements write them: lists, and one with a column for each side."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"COMPLETED": "green", "SUSPENDED": "red", "COMPENSATED": "yellow", "REJECTED": "yellow"}
_COLUMNS = {"insurance": "Insurance 医保", "payment": "Payment 支付", "his": "HIS", "other": "Other 其他"}
_STUCK = {
    "": "",
    "person": "waits for a person 待处理",
    "late": "late 超时",
    "unknown": "no outcome 结果不明",
}


def yuan_of(fen: int) -> str:
    """Fen as yuan.

    >>> yuan_of(-1610)
    '-16.10'
    """
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"


def time_of(at_ms: int) -> str:
    """Unix milliseconds in this machine's zone."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%m-%d %H:%M:%S")


def print_list(found: list[dict[str, Any]]) -> None:
    """A row each."""
    from router.commands.tables import headed, terminal

    table = headed(
        "number 结算号", "settlement 流程", "state 状态", "began 开始", "held 挂账", "code", "stuck 卡单"
    )
    for one in found:
        colour = _COLOURS.get(one["state"])
        state = f"[{colour}]{one['state']}[/]" if colour else one["state"]
        facts = (time_of(one["began_ms"]), yuan_of(one["held_fen"]), one["code"], _STUCK[one["stuck"]])
        table.add_row(one["number"], one["settlement"], state, *facts)
    terminal().print(table if found else "no settlements 无结算")


def tell(story: dict[str, Any]) -> None:
    """One whole: each attempt in the column of its side, the ledger beside them, decisions, and what may be done."""
    from rich.markup import escape

    from router.commands.tables import terminal

    print_list([story])
    out = terminal()
    if story["text"]:
        out.print(escape(story["text"]))
    out.print(_timeline(story))
    for one in story["decisions"]:
        second = f" + {one['second']}" if one["second"] else ""
        said = f"{one['who']}{second}: {one['what']} {one.get('step', '')} {one['reason']}"
        out.print(escape(f"{time_of(one['at_ms'])} {said}"))
    if story["suggests"]:
        said = story["suggests"]
        out.print(escape(f"may be done 建议: {', '.join(said['do'])}: {said['en']} {said['zh']}"))


def _timeline(story: dict[str, Any]) -> Table:
    """By time: Insurance, Payment, HIS and others where there are any, and the ledger."""
    from router.commands.tables import headed

    used = {one["column"] for one in story["attempts"]}
    columns = [name for name in _COLUMNS if name != "other" or name in used]
    table = headed("at 时间", *(_COLUMNS[name] for name in columns), "Ledger 账簿")
    rows = [(one["began_ms"], one["number"], one["column"], _cell(one)) for one in story["attempts"]]
    rows += [(at_ms, 1 << 30, "ledger", text) for at_ms, text in _journals(story["ledger"])]
    for at_ms, _, column, text in sorted(rows):
        table.add_row(time_of(at_ms), *(text if name == column else "" for name in (*columns, "ledger")))
    return table


def _cell(one: dict[str, Any]) -> str:
    from rich.markup import escape

    step = f"{one['step']}.{one['item']}" if one["item"] else one["step"]
    does = f"{one['direction']} {one['about']}".strip()
    said = f"{one['code']} {one['text'][:60]}".strip()
    head = f"#{one['number']} {step}: {does} {one['operation']}: {one['outcome'] or '-'}"
    return escape(f"{head}\n{said}" if said else head)


def _journals(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """A text each, in the order in which they were posted."""
    from rich.markup import escape

    made: dict[str, tuple[int, list[str]]] = {}
    for one in lines:
        entry = f"{one['account']} {yuan_of(one['fen'])}"
        made.setdefault(one["journal"], (one["at_ms"], []))[1].append(entry)
    return [(at_ms, escape("\n".join(entries))) for at_ms, entries in made.values()]
