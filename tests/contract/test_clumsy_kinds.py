"""A site's own kinds that do what they should not: queues are delivered and doors are changed all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from engine_parts import adt, port, running, send, settled, write_site
from reload_parts import applied

from config.registry import destinations, sources
from endpoints.base import Deliver, Ground, Options
from schemas.message import Message, Receipt

ORDERS = ["", "order: {by: $PID-3.1, lanes: 1}\n"]


@destinations.register("clumsy")
class Clumsy:
    """Fails to end in good order. Of a message whose id begins with C it ends the send as if it had been cancelled."""

    class Options(Options):
        mark: str = ""

    got: list[str]

    def __init__(self, options: Any, ground: Ground) -> None:
        self.mark = options.mark

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        ClumsyDoor.ended.append("destination")
        raise RuntimeError("already closed")

    async def send(self, message: Message) -> Receipt:
        id = message.body.split(b"|")[9].decode()
        if id.startswith("C"):
            raise asyncio.CancelledError
        self.got.append(id + self.mark)
        return Receipt("OK")


@sources.register("clumsy")
class ClumsyDoor:
    """Cannot stop, or only slowly."""

    class Options(Options):
        slow: bool = False

    ended: list[str]

    def __init__(self, options: Any, ground: Ground) -> None:
        self.slow = options.slow

    async def start(self, deliver: Deliver) -> None:
        return None

    def pause(self) -> None:
        return None

    def resume(self) -> None:
        return None

    def close(self) -> None:
        return None

    async def stop(self) -> None:
        if not self.slow:
            raise RuntimeError("already closed")
        await asyncio.sleep(0.5)
        self.ended.append("slow door")


@pytest.fixture(autouse=True)
def got(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    monkeypatch.setattr(Clumsy, "got", made, raising=False)
    monkeypatch.setattr(ClumsyDoor, "ended", [], raising=False)
    return made


def site(folder: Path, order: str, mark: str = "") -> Path:
    text = (
        f"channel: adt\nfrom: {{mllp: {{port: 0}}}}\nformat: hl7v2\n{order}"
        f"to:\n  lis:\n    send: {{clumsy: {{mark: '{mark}'}}}}\n"
    )
    return write_site(folder, {"adt": text})


async def until(got: list[str], wanted: list[str]) -> None:
    async with asyncio.timeout(20):
        while got != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("order", ORDERS)
async def test_one_that_cannot_stop_is_replaced_all_the_same(
    tmp_path: Path, order: str, got: list[str]
) -> None:
    async with running(site(tmp_path, order)) as engine:
        await send(port(engine), adt("1"))
        await until(got, ["1"])
        site(tmp_path, order, mark="new")
        await applied(engine)
        await send(port(engine), adt("2"))
        await until(got, ["1", "2new"])


@pytest.mark.parametrize("order", ORDERS)
async def test_a_send_that_was_cancelled_by_nobody_is_a_bug_and_the_next_are_sent(
    tmp_path: Path, order: str, got: list[str]
) -> None:
    async with running(site(tmp_path, order)) as engine:
        await send(port(engine), *(adt(f"C{n}") for n in range(9)), adt("1"))
        await until(got, ["1"])
        await settled(engine, "dead", 9)


async def test_a_door_that_cannot_stop_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    """Who stops waits for the replies that every door owes, before anything else goes."""
    to = "format: hl7v2\nto:\n  lis:\n    send: {clumsy: {}}\n"
    channels = {
        name: f"channel: {name}\nfrom: {{clumsy: {{slow: {slow}}}}}\n{to}"
        for name, slow in (("adt", "false"), ("orders", "true"))
    }
    async with running(write_site(tmp_path, channels)):
        pass
    assert ClumsyDoor.ended[0] == "slow door"
