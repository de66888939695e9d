"""What an operator sees of the destinations and does to them: pause, resume, drain, and the end of a hold.

All of it is said on the board, so it reaches every process that delivers and outlives restarts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from pydantic import BaseModel, ConfigDict, Field

from channels.model import Channel
from config.errors import JingluoError
from config.models import did_you_mean
from config.registry import nearest
from router.board import Board, Decided, Held, Mode, State, Way
from router.brokers.base import Broker, QueueSpec
from router.envelope import JOURNAL, queues_of, way_of
from router.orders import all_specs
from router.search import Query
from router.store import Store, StoreError

log = structlog.get_logger()

_IN_HAND_MS = 3_600_000  # nobody sends one message for longer than that


class NotPossible(JingluoError):
    """JL-D910: no such destination; JL-D911: no lane is held by that message."""


class Order(BaseModel):
    """What an operator says. `id` names the message that holds a lane; its first digits are enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(default="", max_length=500, description="for those who look later; no patient data")
    id: str = Field(default="", max_length=64, description="only the lane that this message holds")


class HeldLane(BaseModel):
    """A lane that waits for an operator. `since_ms` is Unix time."""

    queue: str
    id: str
    code: str
    reason: str
    since_ms: int


class Shown(BaseModel):
    """A destination. `state`: running, paused, draining, drained; or gone, where no channel has it any more.

    `waiting` counts what is in its queues.
    """

    channel: str
    destination: str
    state: str
    reason: str = ""
    since_ms: int = 0
    waiting: int = 0
    held: list[HeldLane] = []


class Destinations:
    """`channels()` are those of the moment. Needs the journal: it alone knows what waits for another try."""

    def __init__(
        self,
        channels: Callable[[], tuple[Channel, ...]],
        board: Board,
        broker: Broker,
        store: Store,
        now_ms: Callable[[], int],
        give_up: Callable[[Way, str], Awaitable[bool]],
    ) -> None:
        """`give_up` makes a dead letter of what is missing, and says whether it was."""
        self._channels = channels
        self._board = board
        self._broker = broker
        self._store = store
        self._now_ms = now_ms
        self._give_up = give_up

    async def all(self) -> list[Shown]:
        shown = [await self._shown(channel, (channel.name, name)) for channel, name in self._ways()]
        here = {(one.channel, one.destination) for one in shown}
        return shown + [
            found for way in self._board.known() if way not in here for found in await self._gone(way)
        ]

    async def one(self, way: Way) -> Shown:
        channel = self._known(way)
        if channel is not None:
            return await self._shown(channel, way)
        return next(iter(await self._gone(way)), self._made(way, "gone", 0))

    async def set(self, way: Way, state: State, order: Order) -> Shown:
        """Pause, drain, or let run. Raises NotPossible, BrokerDown."""
        self._known(way)
        await self._board.say(Mode(*way, state, self._now_ms(), order.reason))
        log.info("destination." + state, channel=way[0], destination=way[1])
        return await self.one(way)

    async def resume(self, way: Way, order: Order) -> Shown:
        """Lets it run, and its held lanes try again; or with an id that lane alone, whatever else holds."""
        self._known(way)
        for held in self._held(way, order.id):
            await self._decide(held, skip=False)
        return await (self.one(way) if order.id else self.set(way, "running", order))

    async def skip(self, way: Way, order: Order) -> Shown:
        """The message that holds a lane, or is missing, becomes a dead letter; the lane goes on."""
        self._known(way)
        if not order.id:
            raise NotPossible("JL-D911", "say which message shall be skipped 请指定要跳过的消息")
        if not await self._give_up(way, order.id):
            for held in self._held(way, order.id):
                await self._decide(held, skip=True)
        return await self.one(way)

    def _ways(self) -> list[tuple[Channel, str]]:
        return [(channel, branch.name) for channel in self._channels() for branch in channel.branches]

    def _known(self, way: Way) -> Channel | None:
        """None where its channel is gone: what still waits for it may be let go all the same."""
        ways = {f"{channel.name}/{name}": channel for channel, name in self._ways()}
        wanted = "/".join(way)
        if wanted not in ways and way not in self._board.known():
            hint = did_you_mean(nearest(wanted, list(ways)), sorted(ways))
            raise NotPossible("JL-D910", f"no destination is called {wanted}; {hint} 没有这个目的地")
        return ways.get(wanted)

    def _held(self, way: Way, id: str) -> list[Held]:
        """Those of a destination; with an id, exactly one."""
        held = [one for one in self._board.held.values() if way_of(one.queue) == way]
        if not id:
            return held
        found = [one for one in held if one.id.startswith(id)]
        if len(found) != 1:
            what = "several lanes are" if found else "no lane is"
            raise NotPossible("JL-D911", f"{what} held by a message {id} 没有（唯一）被该消息挂起的通道")
        return found

    async def _decide(self, held: Held, *, skip: bool) -> None:
        await self._board.say(Decided(held.queue, held.id, skip, self._now_ms()))
        log.info("lane.skipped" if skip else "lane.resumed", queue=held.queue, message=held.id)

    async def _shown(self, channel: Channel, way: Way) -> Shown:
        queues = [spec.name for spec in await self._declared(channel, way)]
        depths = await self._broker.depth(queues)
        waiting = sum(depth.total for depth in depths.values())
        state: str = self._board.state(way)
        if state == "draining" and not waiting and await self._nothing_left(way):
            state = "drained"
        return self._made(way, state, waiting)

    async def _gone(self, way: Way) -> list[Shown]:
        """A destination that no channel has any more, while its queues are still there."""
        queues = [queue for lanes in {*self._board.eras(way)} for queue in queues_of(*way, lanes)]
        there = [found for queue in queues if (found := await self._broker.look(queue)) is not None]
        return [self._made(way, "gone", sum(found.ready for found in there))] if there else []

    def _made(self, way: Way, state: str, waiting: int) -> Shown:
        mode = self._board.modes.get(way)
        return Shown(
            channel=way[0],
            destination=way[1],
            state=state,
            reason=mode.reason if mode else "",
            since_ms=mode.at_ms if mode else 0,
            waiting=waiting,
            held=[
                HeldLane(queue=one.queue, id=one.id, code=one.code, reason=one.reason, since_ms=one.at_ms)
                for one in self._held(way, "")
            ],
        )

    async def _declared(self, channel: Channel, way: Way) -> list[QueueSpec]:
        """All queues that may hold something for it; this process may not have used the older ones yet."""
        specs = all_specs(channel, way, self._board)
        await self._broker.declare(specs[channel.lanes_to(way[1]) or 1 :])
        return specs

    async def _nothing_left(self, way: Way) -> bool:
        """Its queues are empty: does anything wait for its next try, or is another process still sending?"""
        if (await self._broker.depth([JOURNAL]))[JOURNAL].total:
            return False  # the journal is behind, so nobody knows
        channel, destination = way
        recently = self._now_ms() - _IN_HAND_MS
        for query in (
            Query(channel=channel, destination=destination, state="retrying"),
            Query(channel=channel, destination=destination, state="waiting", since_ms=recently),
        ):
            try:
                if (await asyncio.to_thread(self._store.search, query, 1)).found:
                    return False
            except StoreError:
                return False  # the database is away: again nobody knows
        return True
