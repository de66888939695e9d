"""`jingluo settlements ask, retry, mark, compensate, forward, cancel, release`: what operators do about one."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from router.commands.settlements_shown import tell

_WAIT_S, _LOOK_S = 60.0, 0.5  # for what a party answers

Number = Annotated[str, typer.Argument(help="Its number. 结算号")]
Who = Annotated[str, typer.Option(help="Who decides. 决定人")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why. 原因")]
Step = Annotated[str, typer.Option(help="Which step. 步骤")]
Item = Annotated[int, typer.Option(min=0)]
Second = Annotated[str, typer.Option(help="The second person. 复核人")]


def ask(number: Number, step: Step, who: Who, item: Item = 0, reason: Reason = "") -> None:
    """Asks the step's party now; what it answers is kept as evidence. Exit code 1: none within a minute. 立即查询"""
    said = {"step": step, "item": item, "who": who, "reason": reason}
    with _engine() as engine:
        path = f"/api/settlements/{quote(number, safe='')}"
        before = len(json.loads(engine.get(path))["attempts"])
        engine.post(f"{path}/ask", said)
        until = time.monotonic() + _WAIT_S
        while True:
            story = json.loads(engine.get(path))
            if _answered(story["attempts"][before:], step) or time.monotonic() > until:
                break
            time.sleep(_LOOK_S)
    tell(story)
    raise typer.Exit(int(not _answered(story["attempts"][before:], step)))


def _answered(attempts: list[dict[str, Any]], step: str) -> bool:
    return any(one["step"] == step and one["direction"] == "probe" and one["outcome"] for one in attempts)


def retry(number: Number, who: Who, reason: Reason) -> None:
    """What was refused or given up is tried again, under its own key. 重试"""
    _decide(number, {"what": "retry", "who": who, "reason": reason})


def mark(
    number: Number,
    what: Annotated[Literal["done", "not done"], typer.Argument(help="Whether it was done. 已完成／未完成")],
    step: Step,
    who: Who,
    second: Second,
    evidence: Annotated[str, typer.Option(help="The document that shows it. 凭证")],
    reason: Reason,
    item: Item = 0,
    reply: Annotated[
        str, typer.Option(help="Of done: what the party would have answered, JSON. 对方应答")
    ] = "",
) -> None:
    """Says of a step whether it was done, by a document and a second person. 凭证标记"""
    said = {"what": what, "who": who, "second": second, "evidence": evidence, "reason": reason}
    _decide(number, {**said, "step": step, "item": item, "reply": json_of(reply)})


def compensate(number: Number, who: Who, reason: Reason) -> None:
    """Undoes what is done, last first. 冲正"""
    _decide(number, {"what": "compensate", "who": who, "reason": reason})


def forward(number: Number, who: Who, reason: Reason) -> None:
    """Goes on all the same, where a check does not hold. 继续"""
    _decide(number, {"what": "forward", "who": who, "reason": reason})


def cancel(number: Number, who: Who, reason: Reason) -> None:
    """Takes it back, as its caller would. 取消"""
    _decide(number, {"what": "cancel", "who": who, "reason": reason})


def release(number: Number, who: Who, reason: Reason, second: Second = "") -> None:
    """Frees the bills of one that is SUSPENDED, where nothing is left of it. 释放单据"""
    with _engine() as engine:
        said = {"who": who, "reason": reason, "second": second}
        tell(json.loads(engine.post(f"/api/settlements/{quote(number, safe='')}/release", said)))


def close(
    id: Annotated[str, typer.Argument(help="The item's id. 挂账号")],
    who: Who,
    second: Second,
    evidence: Annotated[str, typer.Option(help="The document that shows it. 凭证")],
    reason: Reason,
    to: Annotated[
        str, typer.Option(help="The account that gets its money: `clearing:wechat`. 转入科目")
    ] = "",
) -> None:
    """Closes a suspense item of an order, or of one that has ended: two people say how it is explained. 销账"""
    said = {"id": id, "who": who, "second": second, "evidence": evidence, "reason": reason, "to": to}
    with _engine() as engine:
        item = json.loads(engine.post("/api/settlements/suspense/close", said))
    typer.echo(f"{item['id']}: closed 已销账: {item['closed_by']}")


def json_of(text: str) -> Any:
    """None of an empty text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise typer.BadParameter("--reply is no JSON") from None


def _decide(number: str, said: dict[str, Any]) -> None:
    with _engine() as engine:
        told = engine.post(f"/api/settlements/{quote(number, safe='')}/decisions", said)
    tell(json.loads(told))


def _engine() -> Any:
    from router.cli import settings
    from router.commands.operator import operator

    return operator(settings())
