"""A destination whose number of lanes changed: what its old queues hold is delivered before what comes into the new.

Each number of lanes has queues of its own, and an era on the board. When another begins, a fence goes into every queue
of the one before; what delivers that queue says on the board when it has come to it. Until all have, the new queues
wait. A key's messages may have been in any of the old lanes, so each waits for all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from channels.model import Channel
from router.board import Board, Ordered, Way
from router.brokers.base import Broker, BrokerDown, QueueFull, QueueSpec
from router.envelope import Fence, encode, queues_of
from router.queues import Queues

log = structlog.get_logger()

_AGAIN_S = 1.0
_LOOK_S, _LOOKS = 0.25, 20
_WHY = "other processes of this engine run with these; stop all of them to change it"


async def agreed(channels: Sequence[Channel], board: Board, queues: Queues) -> list[Channel]:
    """The channels with the lanes that the site's other processes deliver in, where any of them run.

    Lanes change for all at once: a process that comes back with files that say otherwise would put messages where
    nobody fetches them, and past those that wait. One that just died may still be counted for a moment.
    """
    told = {c.name: _told(c, board) for c in channels}
    if all(told[c.name] == c.lanes for c in channels):
        return list(channels)
    for _ in range(_LOOKS):
        if not await queues.others():
            return list(channels)
        await asyncio.sleep(_LOOK_S)
    return [c if told[c.name] == c.lanes else _kept(c, told[c.name]) for c in channels]


def _told(channel: Channel, board: Board) -> int:
    """How many lanes the channel had last, by the board."""
    eras = (board.eras((channel.name, b.name)) for b in channel.branches if b.collect is None)
    return next((had[-1] for had in eras if had), channel.lanes)


def _kept(channel: Channel, lanes: int) -> Channel:
    log.warning("order.lanes_kept", channel=channel.name, lanes=lanes, file=channel.lanes, why=_WHY)
    return replace(channel, lanes=lanes, digest=f"{channel.digest} with lanes: {lanes}")


async def begin(channels: Sequence[Channel], board: Board, broker: Broker) -> None:
    """Makes known which lanes the channels have now, before a door opens. Raises BrokerDown."""
    await asyncio.gather(*(_begin(c, (c.name, b.name), board, broker) for c in channels for b in c.branches))


async def _begin(channel: Channel, way: Way, board: Board, broker: Broker) -> None:
    lanes = channel.lanes_to(way[1])
    if (board.eras(way) or [-1])[-1] != lanes:
        await board.say(Ordered(*way, lanes))
    for era, queues in _fenced(way, board):
        await broker.declare(specs(channel, way, board.eras(way)[era]))
        with contextlib.suppress(QueueFull):  # who delivers them puts it there once there is room
            await broker.publish(queues, encode(Fence(era)))


async def fence(way: Way, board: Board, broker: Broker) -> None:
    """Puts the fences, once there is room: nothing else is sent there any more. A second one harms nothing."""
    for era, queue in [(era, queue) for era, queues in _fenced(way, board) for queue in queues]:
        while True:
            try:
                await broker.publish((queue,), encode(Fence(era)))
                break
            except BrokerDown as error:
                log.info("order.fence_waits", queue=queue, code=error.code)
            await asyncio.sleep(_AGAIN_S)


def _fenced(way: Way, board: Board) -> list[tuple[int, list[str]]]:
    """The eras of before that are not over, and their queues."""
    eras = range(len(board.eras(way)) - 1)
    return [(era, queues) for era in eras if (queues := board.undrained(way, era))]


def older(way: Way, board: Board, lanes: int) -> list[tuple[int, str]]:
    """The queues that are to be delivered besides those of today: (number of lanes, queue).

    One without an order is always among them: a message may come back into it from a delay of up to a day.
    """
    eras = board.eras(way)
    waiting = {
        had for era, had in enumerate(eras) if had != lanes and (had == 0 or board.undrained(way, era))
    }
    return [(had, queue) for had in sorted(waiting) for queue in queues_of(*way, had)]


def all_specs(channel: Channel, way: Way, board: Board) -> list[QueueSpec]:
    """Of today's queues, and then of the older ones that are still delivered."""
    now = channel.lanes_to(way[1])
    names = {queue for _, queue in older(way, board, now)}
    had = {lanes for lanes, _ in older(way, board, now)}
    return specs(channel, way, now) + [
        spec for lanes in sorted(had) for spec in specs(channel, way, lanes) if spec.name in names
    ]


def specs(channel: Channel, way: Way, lanes: int) -> list[QueueSpec]:
    """The queues of a destination with so many lanes, with the limits of its channel."""
    return [
        QueueSpec(name, single=lanes > 0, max_length=channel.max_messages, max_bytes=channel.max_bytes)
        for name in queues_of(*way, lanes)
    ]
