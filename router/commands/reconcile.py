"""`jingluo reconcile`: statements against what the engine has: what differs, who explains it, the signature."""

from __future__ import annotations

import base64
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlencode

import typer

if TYPE_CHECKING:
    from router.commands.operator import Operator

app = typer.Typer(
    help="Statements against our books: breaks, explanations, sign-off, reports. 对账：比对、说明、签核、报表",
    no_args_is_help=True,
)

System = Annotated[str, typer.Option(help="The channel's name in systems.yaml. 渠道")]
Day = Annotated[str, typer.Option(help="2026-01-05. 日期")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, amounts in fen.")]
Item = Annotated[str, typer.Argument(help="Its number. 差异编号")]
Who = Annotated[str, typer.Option(help="Who does it. 操作人")]


@app.command()
def run(
    system: System,
    day: Day,
    file: Annotated[
        Path | None,
        typer.Option(
            help="The statement; without it the one that is there. 对账单", exists=True, dir_okay=False
        ),
    ] = None,
    form: Annotated[
        str, typer.Option(help="wechat, alipay, unionpay, aggregated, terminal, his; else as --system.")
    ] = "",
    merchant: Annotated[list[str] | None, typer.Option(help="Only a statement of this one. 商户号")] = None,
    sha1: Annotated[str, typer.Option(help="As the channel gave it. 摘要")] = "",
    as_json: Json = False,
) -> None:
    """Compares a day. Exit code 1: something is unexplained. 对账"""
    with _engine() as engine:
        if file is not None:
            said = {"form": form or system, "body": base64.b64encode(file.read_bytes()).decode()}
            asked: dict[str, Any] = said | {"merchants": merchant or [], "sha1": sha1}
            engine.post(_day(system, day, "statement"), asked)
        else:
            engine.post(_day(system, day, "runs"), {})
        found = _items(engine, system=system, day=day, state="live")
    _shown(found, as_json)


@app.command()
def insurance(
    day: Day,
    system: Annotated[str, typer.Option(help="The centre's name in systems.yaml. 医保系统")] = "",
    as_json: Json = False,
) -> None:
    """Takes what `jingluo insurance statement` found of a day (3201, 3202), to be explained and signed. 医保对账"""
    from config.errors import Refused
    from endpoints.insurance.statement_kept import Kept
    from router.cli import settings
    from router.commands.insurance_party import options_of
    from router.reconcile.insured import as_sums

    chosen = settings()
    options = options_of(chosen, system)
    made = Kept(chosen.site / options.statement.store).load(options.fixmedins_code, day, day)
    if made is None:
        raise Refused("JL-Q010", f"no statement of {day}: `jingluo insurance statement --day {day}` 尚未对账")
    name = system or "insurance"
    body = base64.b64encode(as_sums(made, day)).decode()
    with _engine() as engine:
        engine.post(_day(name, day, "statement"), {"form": "sums", "body": body})
        found = _items(engine, system=name, day=day, state="live")
    _shown(found, as_json)


@app.command("list")
def list_(
    system: System = "",
    day: Day = "",
    state: Annotated[
        Literal["live", "TRANSIT", "OPEN", "EXPLAINED", "RESOLVED", "all"], typer.Option(help="状态")
    ] = "live",
    days: Annotated[bool, typer.Option("--days", help="The days instead of what differs. 按日列出")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    as_json: Json = False,
) -> None:
    """What differs, oldest first. Exit code 1: something is unexplained. 差异列表"""
    with _engine() as engine:
        if days:
            _days(json.loads(engine.get(f"/api/reconcile/days?{urlencode({'system': system})}")), as_json)
            return
        chosen = "" if state == "all" else state
        found = _items(engine, system=system, day=day, state=chosen, limit=limit)
    _shown(found, as_json)


@app.command()
def show(item: Item, as_json: Json = False) -> None:
    """One difference, and all that became of it. 差异详情"""
    from rich.markup import escape

    from router.commands.settlements_shown import time_of
    from router.commands.tables import terminal

    with _engine() as engine:
        found = json.loads(engine.get(f"/api/reconcile/items/{quote(item, safe='')}"))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    _print([found])
    for one in found["events"]:
        said = " ".join(f"{name}={value}" for name, value in one["said"].items() if value)
        terminal().print(escape(f"{time_of(one['at_ms'])} {one['what']} {said}"))


@app.command()
def explain(
    item: Item,
    by: Annotated[
        list[str], typer.Option(help="who@office, once for each office of the class: 100017@finance. 签字")
    ],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why. 原因")],
    evidence: Annotated[str, typer.Option(help="The document that shows it. 凭证")] = "",
    journal: Annotated[str, typer.Option(help="The journal that corrects the books. 更正凭证")] = "",
) -> None:
    """Says why, or what was done about it; nothing is edited. 说明差异"""
    people = [dict(zip(("who", "office"), one.split("@", 1), strict=False)) for one in by]
    if any(len(one) < 2 for one in people):
        raise typer.BadParameter("who@office", param_hint="--by")
    said = {"by": people, "reason": reason, "evidence": evidence, "journal": journal}
    with _engine() as engine:
        told = engine.post(f"/api/reconcile/items/{quote(item, safe='')}/explanations", said)
    _print([json.loads(told)])


@app.command()
def resolve(system: System, day: Day) -> None:
    """Does what rules can: asks the channel, gives back what was paid twice, puts in suspense. 自动处理"""
    with _engine() as engine:
        engine.post(_day(system, day, "resolutions"), {})
        found = _items(engine, system=system, day=day, state="live")
    _shown(found, as_json=False)


@app.command()
def sign(system: System, day: Day, who: Who, office: str = "finance", second: str = "") -> None:
    """Closes a day; nothing until then may be unexplained. 签核"""
    with _engine() as engine:
        said = {"who": who, "office": office, "second": second}
        signed = json.loads(engine.post(_day(system, day, "signature"), said))
    explained, carried = len(signed["explained"]), len(signed["carried"])
    typer.echo(f"{day} {system}: signed 已签核; explained 已说明 {explained}, carried over 结转 {carried}")


@app.command()
def report(
    system: System,
    day: Day,
    who: Who,
    name: Annotated[str, typer.Option(help="One report; without it all. 报表")] = "",
    form: Annotated[Literal["table", "json", "csv", "xlsx"], typer.Option("--format", help="格式")] = "table",
    out: Annotated[
        Path | None, typer.Option(help="The file; of xlsx it must be given.", dir_okay=False)
    ] = None,
) -> None:
    """A day's reports: by channel, cashier, department, business, composition, refunds, breaks, proof. 报表"""
    if form == "xlsx" and out is None:
        raise typer.BadParameter("say where: --out FILE", param_hint="--out")
    asked = urlencode({"who": who, "name": name, "form": "json" if form == "table" else form})
    with _engine() as engine:
        body = engine.get(f"{_day(system, day, 'report')}?{asked}")
    if out is not None:
        from config.private import make_file

        make_file(out)
        out.write_bytes(body)
    elif form == "table":
        for one in json.loads(body):
            _table(one)
    else:
        typer.echo(body.decode())


def _items(engine: Operator, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(engine.get(f"/api/reconcile/items?{urlencode(asked)}"))
    return found


def _day(system: str, day: str, what: str) -> str:
    return f"/api/reconcile/{quote(system, safe='')}/{quote(day, safe='')}/{what}"


def _engine() -> AbstractContextManager[Operator]:
    from router.cli import settings
    from router.commands.operator import operator

    return operator(settings())


def _shown(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(int(any(one["state"] == "OPEN" for one in found)))


def _print(found: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from router.commands.settlements_shown import yuan_of
    from router.commands.tables import headed, terminal
    from router.reconcile.classes import CLASSES

    columns = ("item 编号", "system 渠道", "day 日期", "book 账", "class 类别", "state 状态")
    table = headed(*columns, "theirs 对方", "ours 本方", "number 单号", "says 说明")
    for one in found:
        said = " ".join(filter(None, (CLASSES[one["cls"]].title, one["text"], *one["suggested"])))
        state = f"[red]{one['state']}[/]" if one["state"] == "OPEN" else one["state"]
        facts = (one["id"], one["system"], one["day"], one["book"], one["cls"], state)
        fens = (yuan_of(one["theirs_fen"]), yuan_of(one["ours_fen"]))
        table.add_row(*facts, *fens, escape(one["number"] or one["channel_no"]), escape(said))
    terminal().print(table if found else "the books agree 账平")


def _days(found: list[dict[str, Any]], as_json: bool) -> None:
    from router.commands.settlements_shown import yuan_of
    from router.commands.tables import headed, terminal

    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = headed(
        "day 日期",
        "system 渠道",
        "rows 笔数",
        "paid 收款",
        "refunds 退款",
        "fee 手续费",
        "open 未说明",
        "signed 签核",
    )
    for one in found:
        fens = [yuan_of(one[name]) for name in ("paid_fen", "back_fen", "fee_fen")]
        table.add_row(one["day"], one["system"], str(one["count"]), *fens, str(one["open"]), one["signed"])
    terminal().print(table if found else "no statements 无对账单")


def _table(made: dict[str, Any]) -> None:
    from rich.markup import escape

    from router.commands.tables import headed, terminal

    out = terminal()
    out.print(escape(made["title"]), style="bold")
    table = headed(*made["columns"])
    for row in made["rows"]:
        table.add_row(*(escape(str(value)) for value in row))
    out.print(table if made["rows"] else "-")
