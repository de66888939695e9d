"""`jingluo destination`: what waits where, and an operator's word on it. Asks the running engine."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from config.errors import JingluoError

if TYPE_CHECKING:
    from router.commands.operator import Operator
    from router.destinations import Shown

app = typer.Typer(
    help="Pause, resume, drain a destination; decide about a held lane. 目的地：暂停、恢复、排空、跳过",
    no_args_is_help=True,
)

Channel = Annotated[str, typer.Argument(help="The channel. 通道")]
Destination = Annotated[str, typer.Argument(help="Its destination. 目的地")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="For those who look later. 原因")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, times in Unix milliseconds.")]

_LOOK_S = 1.0


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every destination: whether it runs, how much waits, which lanes are held. 列表"""
    with _engine() as engine:
        answer = engine.get("/api/destinations")
    if as_json:
        typer.echo(answer.decode())
        return
    from router.commands.tables import print_destinations

    print_destinations(_many(answer))


@app.command()
def pause(channel: Channel, destination: Destination, reason: Reason = "") -> None:
    """Nothing more is sent there; everything waits, durably, also over restarts. 暂停发送，消息保留"""
    _order(channel, destination, "pause", reason)


@app.command()
def resume(
    channel: Channel,
    destination: Destination,
    id: Annotated[str, typer.Argument(help="Only the lane that this message holds.")] = "",
    reason: Reason = "",
) -> None:
    """Sends again; held lanes try their message again now. 恢复发送，挂起的消息立即重试"""
    _order(channel, destination, "resume", reason, id)


@app.command()
def drain(
    channel: Channel,
    destination: Destination,
    reason: Reason = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until nothing is left, with progress.")] = False,
) -> None:
    """The channel takes nothing new; what waits is delivered until nothing is left. 排空：不再接收，发完为止"""
    _order(channel, destination, "drain", reason)
    if wait:
        _wait(channel, destination)


@app.command()
def skip(
    channel: Channel,
    destination: Destination,
    id: Annotated[
        str,
        typer.Argument(help="The message that holds its lane, as `list` shows it; or one that is missing."),
    ],
    reason: Reason = "",
) -> None:
    """The message that holds a lane becomes a dead letter, and the lane goes on. 跳过：转为死信，通道继续"""
    _order(channel, destination, "skip", reason, id)


def _order(channel: str, destination: str, what: str, reason: str, id: str = "") -> None:
    with _engine() as engine:
        engine.post(f"/api/destinations/{channel}/{destination}/{what}", {"reason": reason, "id": id})
        shown = _one(engine, channel, destination)
    from router.commands.tables import print_destinations

    print_destinations([shown])


def _wait(channel: str, destination: str) -> None:
    with _engine() as engine:
        shown = _one(engine, channel, destination)
        with typer.progressbar(length=shown.waiting, label="drain 排空") as bar:
            left = shown.waiting
            while shown.state == "draining":
                time.sleep(_LOOK_S)
                shown = _one(engine, channel, destination)
                bar.update(max(left - shown.waiting, 0))
                left = min(left, shown.waiting)
    if shown.state != "drained":
        raise JingluoError("JL-D912", f"{channel}/{destination} is {shown.state}: somebody ended the drain")
    typer.echo(f"{channel}/{destination}: nothing is left 已排空")


def _engine() -> AbstractContextManager[Operator]:
    from router.cli import settings
    from router.commands.operator import operator

    return operator(settings())


def _one(engine: Operator, channel: str, destination: str) -> Shown:
    from router.destinations import Shown

    return Shown.model_validate_json(engine.get(f"/api/destinations/{channel}/{destination}"))


def _many(answer: bytes) -> list[Shown]:
    from pydantic import TypeAdapter

    from router.destinations import Shown

    return TypeAdapter(list[Shown]).validate_json(answer)
