"""`jingluo settlements`: what is under way, what waits for a person, and what people say. Asks the running engine."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlencode

import typer

from router.commands.settlements_ledger import deposit, verify
from router.commands.settlements_shown import time_of, yuan_of
from router.commands.settlements_suspense import suspense

if TYPE_CHECKING:
    from rich.table import Table

    from router.commands.operator import Operator

app = typer.Typer(
    help="What is under way, what waits for a person, and what a person says. 结算：查询、核实、处置",
    no_args_is_help=True,
)

app.command()(verify)
app.command()(deposit)
app.command()(suspense)

_COLOURS = {"COMPLETED": "green", "SUSPENDED": "red", "COMPENSATED": "yellow", "REJECTED": "yellow"}

Number = Annotated[str, typer.Argument(help="Its number. 结算号")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, times in Unix milliseconds.")]


@app.command("list")
def list_(
    state: Annotated[
        str, typer.Option(help="SUSPENDED, WAITING, ...; `open`: all that have no end; `all`. 状态")
    ] = "open",
    name: Annotated[str, typer.Option(help="Of this pipeline only. 流程")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """Newest first. Exit code 1: some wait for a person. 列表"""
    asked = {"state": "" if state == "all" else state, "name": name, "limit": limit}
    with _engine() as engine:
        found = json.loads(engine.get(f"/api/settlements?{urlencode(asked)}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(int(any(one["state"] == "SUSPENDED" for one in found)))


@app.command()
def show(number: Number, as_json: Json = False) -> None:
    """What was tried of whom, what was decided, and what the ledger has. 详情"""
    with _engine() as engine:
        story = json.loads(engine.get(f"/api/settlements/{quote(number, safe='')}"))
    if as_json:
        typer.echo(json.dumps(story, ensure_ascii=False))
        return
    _tell(story)


@app.command()
def decide(
    number: Number,
    what: Annotated[
        Literal["done", "not done", "retry", "compensate", "forward", "cancel"],
        typer.Argument(
            help="done / not done: of a step, by evidence; retry; compensate; forward; cancel. 处置"
        ),
    ],
    who: Annotated[str, typer.Option(help="Who decides. 决定人")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why. 原因")],
    step: Annotated[str, typer.Option(help="Of done and not done: which step. 步骤")] = "",
    item: Annotated[int, typer.Option(min=0)] = 0,
    second: Annotated[str, typer.Option(help="The second person, of done and not done. 复核人")] = "",
    evidence: Annotated[str, typer.Option(help="The document that shows it. 凭证")] = "",
    reply: Annotated[
        str, typer.Option(help="Of done: what the party would have answered, or a form's fields: JSON. 表单")
    ] = "",
    role: Annotated[str, typer.Option(help="Of a step that says who may decide it: as what. 角色")] = "",
) -> None:
    """It is written down, and the settlement goes on. 处置"""
    said: dict[str, Any] = {"what": what, "who": who, "reason": reason, "step": step, "item": item}
    said |= {"second": second, "evidence": evidence, "reply": _json(reply), "role": role}
    with _engine() as engine:
        told = engine.post(f"/api/settlements/{quote(number, safe='')}/decisions", said)
    _tell(json.loads(told))


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise typer.BadParameter("--reply is no JSON") from None


def _engine() -> AbstractContextManager[Operator]:
    from router.cli import settings
    from router.commands.operator import operator

    return operator(settings())


def _print(found: list[dict[str, Any]]) -> None:
    from router.commands.tables import headed, terminal

    table = headed("number 结算号", "settlement 流程", "state 状态", "began 开始", "held 挂账", "code")
    for one in found:
        colour = _COLOURS.get(one["state"])
        state = f"[{colour}]{one['state']}[/]" if colour else one["state"]
        held = yuan_of(one["held_fen"])
        table.add_row(one["number"], one["settlement"], state, time_of(one["began_ms"]), held, one["code"])
    terminal().print(table if found else "no settlements 无结算")


def _tell(story: dict[str, Any]) -> None:
    from rich.markup import escape

    from router.commands.tables import terminal

    _print([story])
    out = terminal()
    if story["text"]:
        out.print(escape(story["text"]))
    out.print(_attempts(story["attempts"]))
    if story["ledger"]:
        out.print(_ledger(story["ledger"]))
    for one in story["decisions"]:
        second = f" + {one['second']}" if one["second"] else ""
        said = f"{one['who']}{second}: {one['what']} {one.get('step', '')} {one['reason']}"
        out.print(escape(f"{time_of(one['at_ms'])} {said}"))


def _attempts(attempts: list[dict[str, Any]]) -> Table:
    from rich.markup import escape

    from router.commands.tables import headed

    table = headed(
        "#", "at 时间", "party 对方", "step 步骤", "does 动作", "operation 交易", "outcome 结果", "says 说明"
    )
    for one in attempts:
        step = f"{one['step']}.{one['item']}" if one["item"] else one["step"]
        does = f"{one['direction']} {one['about']}".strip()
        operation, said = one["operation"].rpartition(".")[2], f"{one['code']} {one['text']}".strip()
        facts = (one["system"], step, does, operation, one["outcome"] or "-", escape(said[:80]))
        table.add_row(str(one["number"]), time_of(one["began_ms"]), *facts)
    return table


def _ledger(lines: list[dict[str, Any]]) -> Table:
    from router.commands.tables import headed

    table = headed("journal 凭证", "account 科目", "yuan 金额")
    for one in lines:
        table.add_row(one["journal"], one["account"], yuan_of(one["fen"]))
    return table
