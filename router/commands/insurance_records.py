"""`jingluo insurance exchanges`, `show-exchange`, `probe`, `reverse`, `sign-in`, `sign-out`: what was asked of centres.

They work beside a running engine and without one: the records are the same database's, and no msgid is given twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from config.units import seconds
from router.clock import now_ms
from router.commands.asking import ask, print_json

if TYPE_CHECKING:
    from endpoints.insurance.party import Party
    from endpoints.insurance.records import Exchange
    from router.store.insurance_records import InsuranceRecords

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
System = Annotated[str, typer.Option("--system", help="The centre's name in systems.yaml. 医保系统名称")]
Msgid = Annotated[str, typer.Argument(help="发送方报文ID, 30 characters.")]
STATES = ("sent", "OK", "REJECTED", "PROCESSING", "UNKNOWN", "REVERSED")


def exchanges(
    patient: Annotated[str, typer.Option(help="psn_no 人员编号, or certno 证件号码")] = "",
    mdtrt: Annotated[str, typer.Option(help="mdtrt_id 就诊ID")] = "",
    setl: Annotated[str, typer.Option(help="setl_id 结算ID")] = "",
    infno: Annotated[str, typer.Option(help="交易编号")] = "",
    state: Annotated[str, typer.Option(help=f"one of {', '.join(STATES)}; open: all without an end")] = "",
    since: Annotated[str, typer.Option(help="so long ago: 2h, 30d")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
) -> None:
    """What was asked of insurance centres, newest first. 医保交易查询"""
    if state not in ("", "open", *STATES):
        raise typer.BadParameter(f"there are {', '.join((*STATES, 'open'))}", param_hint="--state")
    try:
        since_ms = now_ms() - int(seconds(since) * 1000) if since else 0
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    wanted: dict[str, Any] = {"infno": infno, "since_ms": since_ms, "limit": limit}
    links = {name: value for name, value in (("mdtrt_id", mdtrt), ("setl_id", setl)) if value}

    async def look(records: InsuranceRecords) -> list[Exchange]:
        found: dict[str, Exchange] = {}
        for who in ({"psn_no": patient}, {"certno": patient}) if patient else ({},):
            for each in ("sent", "PROCESSING", "UNKNOWN") if state == "open" else (state,):
                for one in await records.search(links={**links, **who}, state=each, **wanted):
                    found[one.msgid] = one
        return sorted(found.values(), key=lambda one: (one.at_ms, one.msgid), reverse=True)[:limit]

    found = with_records(look)
    if as_json:
        print_json([_facts(one) for one in found])
    else:
        _print(found)


def show_exchange(
    msgid: Msgid,
    body: Annotated[bool, typer.Option("--body", help="Also what went over the wire. 含报文")] = False,
    as_json: Json = False,
) -> None:
    """One exchange; with --body it is written down that it was looked at. 查看医保交易"""
    one = with_records(lambda records: records.find(msgid))
    if one is None:
        typer.echo(f"the records have no {msgid} 无此报文", err=True)
        raise typer.Exit(2)
    facts = _facts(one)
    if body:
        ask(lambda store: store.note("viewed", f"insurance {msgid}"))
        typer.echo("This shows patient data: handle with care. 以下内容含患者数据，请妥善保管。", err=True)
        facts |= {name: _readable(getattr(one, name)) for name in ("request", "answer")}
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name:<12} {value if not isinstance(value, dict) else _pairs(value)}")


def probe(msgid: Msgid, system: System = "", as_json: Json = False) -> None:
    """Asks the centre whether it was done. Exit code 1: nobody can say yet. 查询交易是否成功"""

    async def do(party: Party) -> dict[str, Any]:
        return (await party.probe(await _meant(party, msgid))).tree()

    told = _party(system, do)
    _tell(told, as_json, "verdict", "state", "text")
    raise typer.Exit(1 if told["verdict"] == "CANNOT_SAY" else 0)


def reverse(
    msgid: Msgid,
    by: Annotated[str, typer.Option(help="2601, or undo; without it as the exchange's state wants")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Without asking. 不再确认")] = False,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Undoes it at the centre: 2601, or what undoes it. Exit code 1: it is not undone. 冲正"""
    if by not in ("", "2601", "undo"):
        raise typer.BadParameter("2601 or undo", param_hint="--by")
    if not yes:
        typer.confirm(f"undo {msgid} at the centre? 确认冲正？", abort=True, err=True)

    async def do(party: Party) -> dict[str, Any]:
        way: Any = by
        return (await party.reverse(await _meant(party, msgid), way)).tree()

    told = _party(system, do)
    _tell(told, as_json, "outcome", "state", "text")
    raise typer.Exit(0 if told["outcome"] == "OK" else 1)


def sign_in(
    opter: Annotated[str, typer.Option(help="经办人; the system's own without it")] = "",
    dev_no: Annotated[str, typer.Option(help="设备编号")] = "",
    system: System = "",
) -> None:
    """签到 (9001), where there is none today."""

    async def do(party: Party) -> str:
        return await party.signed_in(party.who({"opter": opter, "dev_no": dev_no}))

    typer.echo(_party(system, do) or "this centre wants no sign-in 无需签到")


def sign_out(
    opter: Annotated[str, typer.Option(help="经办人; the system's own without it")] = "",
    dev_no: Annotated[str, typer.Option(help="设备编号")] = "",
    system: System = "",
) -> None:
    """签退 (9002). Exit code 1: the centre did not take it."""

    async def do(party: Party) -> str:
        answer = await party.signed_out(party.who({"opter": opter, "dev_no": dev_no}), "")
        return "OK" if answer is None else f"{answer.outcome} {answer.text}".strip()

    told = _party(system, do)
    typer.echo(told)
    raise typer.Exit(0 if told == "OK" else 1)


def with_records(do: Callable[[InsuranceRecords], Awaitable[T]]) -> T:
    """Ends the command with 2 where the database cannot be used."""
    from config.errors import JingluoError
    from router.cli import settings
    from router.store.insurance_records import open_insurance

    records = open_insurance(settings(), now_ms)

    async def run() -> T:
        return await do(records)

    try:
        return asyncio.run(run())
    except JingluoError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    finally:
        records.close()


def _party(system: str, do: Callable[[Party], Awaitable[T]]) -> T:
    from config.errors import JingluoError
    from router.commands.insurance_party import with_party

    try:
        return with_party(system, do)
    except JingluoError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


async def _meant(party: Party, msgid: str) -> Exchange:
    from endpoints.insurance.operations.which import meant

    return await meant(party, {"msgid": msgid})


def _facts(one: Exchange) -> dict[str, Any]:
    return {
        "msgid": one.msgid,
        "infno": one.infno,
        "state": one.state,
        "at": _time(one.at_ms),
        "ended": _time(one.ended_ms) if one.ended_ms else "",
        "infcode": one.infcode,
        "text": one.text,
        "opter": one.opter,
        "links": dict(one.links),
        "reversed_by": one.reversed_by,
        "key": one.key,
        "system": one.system,
    }


def _print(found: list[Exchange]) -> None:
    from rich.markup import escape

    from router.commands.tables import headed, terminal

    table = headed("msgid", "at", "infno", "state", "infcode", "opter", "found by", "text")
    for one in found:
        said = (one.infno, one.state, escape(one.infcode), escape(one.opter))
        table.add_row(one.msgid, _time(one.at_ms), *said, escape(_pairs(one.links)), escape(one.text[:80]))
    terminal().print(table if found else "nothing found 未找到")


def _tell(told: dict[str, Any], as_json: bool, *names: str) -> None:
    if as_json:
        print_json(_plain(told))
        return
    typer.echo("  ".join(str(told[name]) for name in names if told[name]))
    for one in told.get("evidence", ()):
        typer.echo(f"  {one['infno']}  {one['msgid']}  {one['text']}")


def _pairs(links: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in links.items())


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000):%Y-%m-%d %H:%M:%S}"


def _readable(body: bytes) -> str:
    for charset in ("utf-8", "gb18030"):
        try:
            return body.decode(charset)
        except UnicodeDecodeError:
            continue
    return repr(body)


def _plain(made: Any) -> Any:
    """Amounts as text: a reader that makes floats of numbers keeps every fen."""
    from decimal import Decimal

    if isinstance(made, dict):
        return {name: _plain(value) for name, value in made.items()}
    if isinstance(made, list | tuple):
        return [_plain(value) for value in made]
    return str(made) if isinstance(made, Decimal) else made
