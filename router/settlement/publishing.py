"""Events of settlements to the channels that take them (`from: {events: settlement.completed}`): at least once.

An event lies in the outbox, written with the settlement's end, until every such channel has it in all of its queues. A
process that dies in between publishes it again, as the same message: its id follows from the settlement and the event.
Those of one settlement go in the order of its steps; one that is not taken holds up the later ones of its settlement
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import structlog

from channels.model import Channel
from config.errors import Unreachable
from endpoints.base import HandOver
from router.store.settlement_outbox import Event, Outbox
from schemas.json import Json
from schemas.message import Message, Once

log = structlog.get_logger()

_LOOK_S = 1.0
_AT_ONCE = 200  # events
_KEPT_MS = 7 * 86_400_000  # what no channel takes, in case that one will
_SOONEST_MS, _LATEST_MS = 1_000, 300_000  # until one that was not taken is tried again
_JSON = Json()

# What is told of a settlement, and the names of its events in the order of its steps. Raises Unreachable.
Tell = Callable[[str], Awaitable[tuple[Mapping[str, Any], Sequence[str]]]]


class Publisher:
    """Of one process. Others may publish the same: a channel takes a message once."""

    def __init__(
        self,
        outbox: Outbox,
        tell: Tell,
        channels: Callable[[], tuple[Channel, ...]],
        hand_over: HandOver,
        now_ms: Callable[[], int],
    ) -> None:
        self._outbox = outbox
        self._tell = tell
        self._channels = channels
        self._hand_over = hand_over
        self._now_ms = now_ms
        self._later: dict[
            str, tuple[int, int]
        ] = {}  # a settlement: when it is tried again, and how long it waited
        self._forgot_ms = 0

    async def run(self, used: Callable[[], bool]) -> None:
        """Until it is cancelled. While there is no channel or nobody has `used` the database, it is not opened."""
        while True:
            more = False
            try:
                if used():
                    more = await self.publish()
            except Unreachable as error:
                log.warning("settlement.database_down", code=error.code)
            except Exception:
                log.exception("settlement.bug")
            await asyncio.sleep(0 if more else _LOOK_S)

    async def publish(self) -> bool:
        """What waits now; whether there may be more."""
        now = self._now_ms()
        takers: dict[str, list[str]] = {}
        for channel in self._channels():
            if channel.kind == "events":
                takers.setdefault(channel.options.of, []).append(channel.name)
        if now - self._forgot_ms > _KEPT_MS // 100:
            await self._outbox.forget(takers, now - _KEPT_MS)
            self._forgot_ms = now
        without = [number for number, (until_ms, _) in self._later.items() if until_ms > now]
        events = await self._outbox.waiting(takers, without, _AT_ONCE)
        more = len(events) == _AT_ONCE
        if more:  # the last one's may have been cut
            events = [one for one in events if one.settlement != events[-1].settlement] or events
        by_settlement = groupby(sorted(events), key=lambda one: one.settlement)
        of = [self._of_one(number, list(some), takers) for number, some in by_settlement]
        taken = [event for some in await asyncio.gather(*of) for event in some]
        await self._outbox.published(taken)
        return more

    async def _of_one(
        self, number: str, events: list[Event], takers: Mapping[str, Sequence[str]]
    ) -> list[Event]:
        """Those that were taken: up to the first that was not."""
        taken: list[Event] = []
        try:
            told, order = await self._tell(number)
        except Unreachable:
            raise
        except Exception:  # it holds up no other's
            log.exception("settlement.bug", settlement=number)
            self._wait(number)
            return taken
        for event in sorted(
            events, key=lambda one: order.index(one.name) if one.name in order else len(order)
        ):
            for name in takers[event.name]:
                if not await self._taken(name, event, told):
                    self._wait(number)
                    return taken
            taken.append(event)
        self._later.pop(number, None)
        return taken

    async def _taken(self, channel: str, event: Event, told: Mapping[str, Any]) -> bool:
        key = f"{event.settlement}/{event.name}"
        message = Message(
            _JSON.encode({"event": event.name, **told}),
            f"settlement {event.settlement}",
            {"event": event.name, "settlement": event.settlement, "key": key},
            once=Once(key.encode(), at_ms=event.at_ms),
        )
        reply = await self._hand_over(channel, message)
        taken = reply.state not in ("failed", "refused")
        if not taken:
            log.warning(
                "settlement.event_not_taken", channel=channel, settlement=event.settlement, code=reply.code
            )
        return taken

    def _wait(self, number: str) -> None:
        _, waited_ms = self._later.get(number, (0, 0))
        wait_ms = min(max(2 * waited_ms, _SOONEST_MS), _LATEST_MS)
        self._later[number] = (self._now_ms() + wait_ms, wait_ms)
