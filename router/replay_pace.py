"""How fast a replay goes, so that live traffic does not wait for it: a rate, and a look at what waits already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from config.replay_settings import ReplaySettings
from router.brokers.base import Broker, BrokerDown
from router.envelope import JOURNAL
from router.replay import Step

_LOOK_S = 1.0
_MADE_UP_S = 0.1  # of a delay; longer ones are not


class Pace:
    """`queues` are those of a step's destinations; `paused` says which channels back-pressure holds, and why."""

    def __init__(
        self,
        settings: ReplaySettings,
        broker: Broker,
        queues: Callable[[Step], Sequence[str]],
        paused: Callable[[], Mapping[str, str]],
    ) -> None:
        self._each_s = 1 / settings.rate
        self._waiting = settings.waiting
        self._broker = broker
        self._queues = queues
        self._paused = paused
        self._next_s = 0.0  # by the loop's clock: not before that
        self._looked_s = -_LOOK_S
        self._since: dict[str, int] = {}  # sent to a queue since the last look

    async def wait(self, step: Step, tell: Callable[[str], None]) -> None:
        """Returns when the step may be made. `tell` hears why it waits, and "" when it goes on."""
        while why := await self._why_not(step):
            tell(why)
            await asyncio.sleep(_LOOK_S)
        tell("")
        now_s = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now_s - _MADE_UP_S) + self._each_s
        await asyncio.sleep(max(self._next_s - now_s, 0))

    async def _why_not(self, step: Step) -> str:
        if (full := self._paused().get(step.channel)) is not None:
            return f"{full} is nearly full"
        try:
            return await self._too_many(step)
        except BrokerDown as error:
            return "" if error.code == "JL-B002" else error.code  # no such queue: the publish tells

    async def _too_many(self, step: Step) -> str:
        """By the last look, and what was sent since."""
        now_s = asyncio.get_running_loop().time()
        queues = [JOURNAL, *self._queues(step)]
        if now_s - self._looked_s >= _LOOK_S or not self._since.keys() >= set(queues):
            known = self._since.keys() | set(queues)
            depths = await self._broker.depth(sorted(known))
            self._since = {name: depth.total for name, depth in depths.items()}
            self._looked_s = now_s
        for name in queues:
            if self._since[name] >= self._waiting:
                return f"{self._since[name]} wait in {name}"
        for name in queues:
            self._since[name] += 1
        return ""
