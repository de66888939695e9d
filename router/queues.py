"""The queues of all destinations: made before anybody sends to them, dropped when nobody needs them any more.

A queue that is deleted while somebody still sends to it loses messages: RabbitMQ silently takes a copy for a queue that
is not there. So every engine that runs shows itself, and a queue goes only from the last one that could know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from router.brokers.base import Broker, Delivered, QueueSpec
from router.envelope import ENGINES

log = structlog.get_logger()

_LOOK_S = 0.1
_LOOKS = 50  # whether anybody consumes from a queue: RabbitMQ takes a moment to notice that we do no more


class Queues:
    """`wanted` are those that this engine sends to or takes from."""

    def __init__(self, broker: Broker) -> None:
        self.wanted: set[str] = set()
        self._broker = broker

    async def show(self) -> None:
        """From now on the others see that this engine runs."""
        await self._broker.declare([QueueSpec(ENGINES)])
        await self._broker.consume(ENGINES, _nothing_comes, 1)

    async def others(self) -> bool:
        """Before `show`: whether any engine runs on this broker."""
        shown = await self._broker.look(ENGINES)
        return shown is not None and shown.consumers > 0

    async def alone(self) -> bool:
        """Whether no other engine runs on this broker: then what nobody here needs, nobody needs."""
        shown = await self._broker.look(ENGINES)
        return shown is None or shown.consumers <= 1

    async def missing(self, specs: Sequence[QueueSpec]) -> list[str]:
        """Those that are not there yet."""
        return [spec.name for spec in specs if await self._broker.look(spec.name) is None]

    async def declare(self, specs: Sequence[QueueSpec]) -> None:
        self.wanted.update(spec.name for spec in specs)
        await self._broker.declare(specs)

    async def waiting(self, names: Iterable[str]) -> dict[str, int]:
        """How many messages are in each."""
        depths = await self._broker.depth(list(dict.fromkeys(names)))
        return {name: depth.total for name, depth in depths.items()}

    async def empty(self, names: Sequence[str]) -> bool:
        """For certain, what was published until now included."""
        await self._broker.settled()
        return await self._broker.empty(names)

    async def drop(self, names: Iterable[str]) -> None:
        """Deletes those that are wanted no more, empty, and used by nobody; the others stay, and that is said."""
        for name in sorted(names):
            if await self._unused(name) and await self.empty([name]) and name not in self.wanted:
                await self._broker.delete([name])
                log.info("queue.dropped", queue=name)
            else:
                log.warning("queue.kept", queue=name)

    async def tidy(self, names: Iterable[str]) -> dict[str, int]:
        """Of queues that nobody here needs: drops the empty ones, and says in which messages wait for nobody."""
        left = {}
        alone = await self.alone()
        for name in sorted(set(names) - self.wanted):
            found = await self._broker.look(name)
            if found is None or found.consumers:
                continue
            if not found.ready:
                await self.drop([name] if alone else [])
                continue
            log.warning("queue.unattended", queue=name, waiting=found.ready)
            left[name] = found.ready
        return left

    async def take_back(self, made: Sequence[str]) -> None:
        """What was made for a change that failed: nothing of ours was sent there."""
        self.wanted.difference_update(made)
        waiting = await self.waiting(made)
        if await self.alone():
            await self._broker.delete(
                [name for name in made if not waiting[name] and name not in self.wanted]
            )

    async def _unused(self, name: str) -> bool:
        for _ in range(_LOOKS):
            found = await self._broker.look(name)
            if found is None or not found.consumers:
                return await self.alone()
            await asyncio.sleep(_LOOK_S)
        return False


def _nothing_comes(delivered: Delivered) -> None:
    """Nobody publishes there: those who consume are counted."""
