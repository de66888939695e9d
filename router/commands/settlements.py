"""`jingluo settlements`: what is under way, what waits for a person, and what people say. Asks the running engine."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlencode

import typer

from router.commands import settlements_acts
from router.commands.settlements_acts import json_of
from router.commands.settlements_ledger import deposit, verify
from router.commands.settlements_shown import print_list, tell
from router.commands.settlements_sound import check, findings
from router.commands.settlements_suspense import suspense

if TYPE_CHECKING:
    from router.commands.operator import Operator

app = typer.Typer(
    help="What is under way, what waits for a person, and what a person says. 结算：查询、核实、处置",
    no_args_is_help=True,
)

app.command()(verify)
app.command()(deposit)
app.command()(suspense)
app.command()(check)
app.command()(findings)
app.command()(settlements_acts.ask)
app.command()(settlements_acts.retry)
app.command()(settlements_acts.mark)
app.command()(settlements_acts.compensate)
app.command()(settlements_acts.forward)
app.command()(settlements_acts.cancel)
app.command()(settlements_acts.release)
app.command()(settlements_acts.close)

Number = Annotated[str, typer.Argument(help="Its number. 结算号")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, times in Unix milliseconds.")]


@app.command("list")
def list_(
    state: Annotated[
        str, typer.Option(help="SUSPENDED, WAITING, ...; `open`: all that have no end; `all`. 状态")
    ] = "open",
    name: Annotated[str, typer.Option(help="Of this pipeline only. 流程")] = "",
    stuck: Annotated[
        bool,
        typer.Option(
            "--stuck",
            help="Only those that wait for a person, take far longer than usual, or know too long of no outcome. 卡单",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """Newest first. Exit code 1: some wait for a person. 列表"""
    asked = {"state": "" if state == "all" else state, "name": name, "limit": limit}
    asked |= {"stuck": "true"} if stuck else {}
    with _engine() as engine:
        found = json.loads(engine.get(f"/api/settlements?{urlencode(asked)}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        print_list(found)
    raise typer.Exit(int(any(one["state"] == "SUSPENDED" for one in found)))


@app.command()
def show(number: Number, as_json: Json = False) -> None:
    """What was tried of whom by column, what was decided, and what the ledger has. 详情"""
    with _engine() as engine:
        story = json.loads(engine.get(f"/api/settlements/{quote(number, safe='')}"))
    if as_json:
        typer.echo(json.dumps(story, ensure_ascii=False))
        return
    tell(story)


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
    said |= {"second": second, "evidence": evidence, "reply": json_of(reply), "role": role}
    with _engine() as engine:
        told = engine.post(f"/api/settlements/{quote(number, safe='')}/decisions", said)
    tell(json.loads(told))


def _engine() -> AbstractContextManager[Operator]:
    from router.cli import settings
    from router.commands.operator import operator

    return operator(settings())
