"""Queue to destination: one outlet a destination, its deliveries in parallel or, where order counts, in lanes.

Nobody sleeps on an unacknowledged delivery. Without order a failed delivery goes back through a delay queue; a lane
lets go of its consumer instead, so that what waits behind keeps its place. A paused destination has no consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from channels.model import LONGEST_SEND_S
from endpoints.base import Destination
from router import envelope as wire
from router.board import Board
from router.collector import Collector
from router.gate import Gate
from router.handling import OLDEST_TRACKED, Handling
from router.intake import queues_of_branch
from router.lane import Lane
from router.orders import fence, older, specs
from router.parallel import Parallel

log = structlog.get_logger()

_AGAIN_S = 1.0

Worker = Lane | Parallel | Collector
Collecting = Callable[[str, Gate, Callable[[], bool]], Collector]


class Outlet:
    """One destination of one channel at work. After `start`, `queues` are all that it delivers."""

    def __init__(
        self,
        handling: Handling,
        destination: Destination,
        board: Board,
        tries: Callable[[str, str], tuple[int, int]],
        takes: Callable[[], bool] = lambda: True,
        collector: Collecting | None = None,
    ) -> None:
        """`tries` is the journal's: of a message and a destination, the last number and the first time.

        `takes`: whether the receiver can be sent anything just now. `look` again when that may have changed.
        `collector` makes who works a queue, where the destination collects.
        """
        self.channel = handling.channel
        self.branch = handling.branch
        self.way = (self.channel.name, self.branch.name)
        self.target = self.branch.target
        self.queues = queues_of_branch(self.channel, self.branch)
        self._handling = handling
        self._destination = destination
        self._broker = handling.broker
        self._board = board
        self._tries = tries
        self._takes = takes
        self._collector = collector
        self._collectors: list[Collector] = []
        self.emptying = False  # it goes once nothing waits: what is gathered waits for no more
        self._gates: list[Gate] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._fencing: asyncio.Task[None] | None = None
        self._deaf: Callable[[], None] = lambda: None

    async def prepare(self) -> None:
        """Makes the destination ready to send, before anything is taken from a queue. Raises what it raises."""
        await self._destination.start()

    async def start(self) -> None:
        """Begins to deliver."""
        own = self.channel.lanes_to(self.branch.name)
        if not own:
            for body in await self._broker.delayed_in(self.queues[0], OLDEST_TRACKED):
                waiting = wire.decode_work(body)  # its age counts until it comes again
                if isinstance(waiting, wire.Envelope):
                    self._handling.seen(waiting)
        ways = [(own, queue) for queue in self.queues]
        for lanes, queue in older(self.way, self._board, own):
            await self._broker.declare(
                [spec for spec in specs(self.channel, self.way, lanes) if spec.name == queue]
            )
            log.info("delivery.older_queue", queue=queue)
            ways.append((lanes, queue))
        self.queues = tuple(queue for _, queue in ways)
        for lanes, queue in ways:
            work = self._work(lanes, queue)
            self._tasks.append(asyncio.create_task(_kept_up(work, queue), name=queue))
        self._fencing = asyncio.create_task(fence(self.way, self._board, self._broker), name="fence")
        self._deaf = self._board.listen(self.look)

    async def stop(self) -> None:
        """Finishes and records what is being sent; what waits stays in its queue."""
        self._deaf()
        self._deaf = lambda: None
        if self._fencing is not None:
            self._fencing.cancel()
        for gate in self._gates:
            gate.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._destination.stop()
        except Exception:  # nothing is sent there any more; who comes next shall not wait for it
            log.exception("destination.not_stopped", channel=self.way[0], destination=self.way[1])

    @property
    def known(self) -> int:
        """How many of the messages that wait here this process has had in hand, up to 10,000."""
        return len(self._handling.waiting)

    def oldest_ms(self) -> int | None:
        """When the oldest message that waits here was received (Unix ms), as far as this process has seen it."""
        return min(self._handling.waiting.values(), default=None)

    def _work(self, lanes: int, queue: str) -> Worker:
        gate = Gate(lambda: self._allowed(lanes, queue))
        self._gates.append(gate)
        if self._collector is not None:
            self._collectors.append(self._collector(queue, gate, self._at_once))
            return self._collectors[-1]
        # How many sends one after the other fit into that time: what waits in hand behind them waits so long.
        rounds = int(LONGEST_SEND_S / max(self.branch.longest_send_s, 1.0))
        if not lanes:
            return Parallel(queue, self._handling, gate, self._board, rounds)
        return Lane(queue, self._handling, gate, self._board, self._tries, rounds)

    def _allowed(self, lanes: int, queue: str) -> bool:
        board = self._board
        return (
            self._takes()
            and board.state(self.way) != "paused"
            and queue not in board.held
            and board.in_turn(self.way, queue, lanes)
        )

    def _at_once(self) -> bool:
        return self.emptying or self._board.state(self.way) == "draining"

    def look(self) -> None:
        for gate in self._gates:
            gate.look()
        for collector in self._collectors:
            collector.look()


async def _kept_up(work: Worker, queue: str) -> None:
    """Until its gate ends: a queue that nobody delivers any more would be a silent one."""
    while True:
        try:
            return await work.run()
        except Exception:
            log.exception("delivery.bug", queue=queue)
            await asyncio.sleep(_AGAIN_S)
