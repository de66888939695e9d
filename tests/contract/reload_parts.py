"""A site whose files change while its engine runs, and senders that never stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from engine_parts import END, START, Sink, adt, code_of

from router.engine import Engine
from router.plan import Plan

ADT, ORDERS = "adt", "orders"


def text(name: str, port: int, more: str = "", **destinations: int) -> str:
    """A channel file. `more` stands before its destinations: name to port."""
    to = "".join(
        f"  {to}: {{send: {{mllp: {{host: 127.0.0.1, port: {at}, timeout: 5s}}}}}}\n"
        for to, at in destinations.items()
    )
    return f"channel: {name}\nfrom: {{mllp: {{port: {port}}}}}\nformat: hl7v2\n{more}to:\n{to}"


def write(site: Path, name: str, content: str) -> None:
    (site / "channels" / f"{name}.yaml").write_text(content)


class Sender:
    """Sends one message after the other, and again what was not accepted.

    `refused_s` is the longest time that it found no door, `cuts` how often it lost its connection.
    """

    def __init__(self, port: int, mark: str) -> None:
        self.port = port
        self.mark = mark
        self.accepted: list[str] = []
        self.cuts = 0
        self.refused_s = 0.0
        self._go_on = True

    async def __aenter__(self) -> Sender:
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go_on = False
        await self._task

    async def some(self, count: int) -> None:
        """Waits until so many more are accepted."""
        target = len(self.accepted) + count
        async with asyncio.timeout(60):
            while len(self.accepted) < target and not self._task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._go_on:
            reader, writer = await self._connect(loop.time())
            try:
                while self._go_on:
                    id = f"{self.mark}{len(self.accepted)}"
                    writer.write(START + adt(id) + END)
                    answer = await asyncio.wait_for(reader.readuntil(END), 30)
                    if code_of(answer[1:-2]) == "AA":
                        self.accepted.append(id)
            except (OSError, asyncio.IncompleteReadError):
                self.cuts += 1
            finally:
                writer.close()

    async def _connect(self, since: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            with contextlib.suppress(OSError):
                streams = await asyncio.open_connection("127.0.0.1", self.port)
                self.refused_s = max(self.refused_s, asyncio.get_running_loop().time() - since)
                return streams
            await asyncio.sleep(0.005)


async def applied(engine: Engine, *, drain: bool = False) -> Plan:
    plan = await engine.reload.apply(drain=drain)
    assert plan.applied, "\n".join(map(str, plan.findings))
    return plan


async def arrived(sink: Sink, *senders: Sender) -> None:
    """Waits until the sink has all that these had accepted."""
    await holds(sink, (id for sender in senders for id in sender.accepted))


async def holds(sink: Sink, ids: Iterable[str]) -> None:
    wanted = set(ids)
    async with asyncio.timeout(60):
        while not wanted <= set(sink.ids()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def nothing_waits(engine: Engine) -> None:
    async with asyncio.timeout(20):
        queues = [queue for outlet in engine.outlets for queue in outlet.queues]
        while any((await engine.queues.waiting(queues)).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def changes(plan: Plan) -> dict[str, str]:
    return {change.channel: change.change for change in plan.channels}


def queues(plan: Plan) -> dict[str, str]:
    return {queue.queue: queue.change for queue in plan.queues}
