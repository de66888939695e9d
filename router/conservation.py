"""Conservation: what was accepted is delivered, dead, filtered or waiting. What is in neither place is named.

Once a minute the deliveries that have no end in the journal are held against what waits in the queues. The queues are
looked at first: what is delivered between the two looks then has its end in the journal. An alarm needs a delivery
older than a settle time that two looks in a row miss, while the journal keeps pace; what is paused, held or waits for
its next try is in a queue and is counted there.

RabbitMQ does not show what is in a queue, only how many. So there it is known how many are missing, and which only
where all that have no end are: else the alarm names those that they are among. What other processes have in hand it
does not show either. Where others run, only what was never tried counts, and only after half an hour: by then
RabbitMQ has taken back what somebody held, and whoever works has tried it.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog
from msgspec import Struct

from channels.model import Channel
from router.board import Board, Way
from router.brokers.base import Broker
from router.chore import Chore
from router.envelope import JOURNAL, Attempt, Attempts, Envelope, decode_work, encode, queues_of
from router.ids import first_id, time_ms
from router.journal import Journal
from router.queues import Queues
from router.search import Unended
from router.store import StoreError

log = structlog.get_logger()

SETTLE_MS = 120_000
_EVERY_S = 60.0
_LOOKS = 2
_LOOKS_BESIDE_OTHERS = 33  # a minute each: RabbitMQ takes back what is not acknowledged after 30
_MOST = 100_000  # deliveries without an end that are followed
_LOOKED_INTO = 5_000  # messages in a queue, where the broker shows them
_NAMED = 100  # in an alarm
_OVERLAP_MS = 10_000  # rows do not come in the order of their ids
_LATELY_MS = 150_000  # two looks
_READ_S = 10.0  # of one look: a long journal is read day by day, over several


class Books(Protocol):
    """What is asked of the journal. Blocking."""

    def unended(self, since: str, until: str, limit: int) -> tuple[tuple[Unended, ...], str]: ...

    def still_unended(self, ids: Sequence[str]) -> tuple[Unended, ...]: ...

    def replayed(self, ids: Sequence[str]) -> set[tuple[str, str, str]]: ...


class Missing(Struct, frozen=True):
    """Deliveries of one destination that are in neither. `exact`: these ids are the ones, else they are among them."""

    channel: str
    destination: str
    count: int
    ids: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        among = "" if self.exact else " of these 以下之中"
        more = " ..." if len(self.ids) > _NAMED else ""
        return f"{self.count} missing 缺失{among}: {' '.join(self.ids[:_NAMED])}{more}"


class _Suspicion(Struct):
    """What so many looks in a row have missed, and how many of it at least."""

    ids: set[str]
    count: int
    looks: int = 1


def _again(before: _Suspicion | None, now: _Suspicion) -> _Suspicion:
    """What both looks missed."""
    if before is None or not (both := before.ids & now.ids):
        return now
    return _Suspicion(both, min(before.count, now.count, len(both)), before.looks + 1)


class Conservation(Chore):
    """For the process that has the database. `missing` is what the last looks came to."""

    def __init__(
        self,
        books: Books,
        broker: Broker,
        journal: Journal,
        board: Board,
        queues: Queues,
        channels: Callable[[], Iterable[Channel]],
        now_ms: Callable[[], int],
        count_dead: Callable[[Way], None],
    ) -> None:
        super().__init__("conservation", self.once, _EVERY_S, _EVERY_S)
        self.missing: tuple[Missing, ...] = ()
        self.oldest: dict[
            Way, int
        ] = {}  # of each way, when the oldest was received that has no end (Unix ms)
        self.settle_ms = SETTLE_MS
        self._looked_ms = 0  # until when everything was looked at
        self._books = books
        self._broker = broker
        self._journal = journal
        self._board = board
        self._queues = queues
        self._channels = channels
        self._now_ms = now_ms
        self._count_dead = count_dead
        self._open: set[tuple[str, str, str]] = set()  # id, channel, destination: no end at the last look
        self._seen = first_id(0)  # of the journal, so far
        self._made_good: set[tuple[str, str]] = set()  # missed, and replayed since
        self._suspicions: dict[Way, _Suspicion] = {}

    async def once(self) -> None:
        try:
            await self.look()
        except StoreError as error:
            if error.code != "JL-J003":  # nothing was ever written
                raise

    def looked_lately(self, now_ms: int) -> bool:
        """Whether `oldest` is of the last looks, and whole."""
        return now_ms - self._looked_ms <= self.settle_ms + _LATELY_MS

    async def give_up(self, way: Way, id: str) -> bool:
        """What is missing becomes a dead letter, by an operator's word; false where no such thing is missing.

        `id` may be cut short. Should it be delivered after all, it counts as delivered. Raises BrokerDown.
        """
        mine = [one for one in self.missing if (one.channel, one.destination) == way]
        found = [whole for one in mine for whole in one.ids if whole.startswith(id)]
        if len(found) != 1:
            return False
        reason = "in no queue any more: an operator gave it up 队列中已无此消息，操作员放弃"
        end = Attempt(found[0], *way, 0, self._now_ms(), 0, "dead", "JL-J017", reason)
        await self._broker.publish((JOURNAL,), encode(Attempts((end,))))
        self._count_dead(way)
        log.info("delivery.given_up", channel=way[0], destination=way[1], message=found[0])
        return True

    async def look(self) -> None:
        """Raises BrokerDown and StoreError; then no two looks are in a row."""
        before, self._suspicions = self._suspicions, {}
        if not await self._journal.keeps_pace():
            return
        alone = await self._queues.alone()
        ways = self._ways()
        waiting = {way: await self._waiting(queues) for way, queues in ways.items()}
        delayed = await self._broker.delayed() - sum(elsewhere for _, elsewhere in waiting.values())
        unended = await self._unended()
        missed: dict[Way, _Suspicion] = {}
        for way in unended.keys() | ways.keys():
            open = unended.get(way, [])
            if not alone:
                open = self._never_tried(way, open)
            tried = sum(one.tried for one in open)
            count = len(open) - waiting.get(way, (0, 0))[0] - min(max(delayed, 0), tried)
            if count > 0:
                ids = {one.id for one in open}
                missed[way] = await self._sharper(ways.get(way, ()), _Suspicion(ids, count))
        self._suspicions = {way: _again(before.get(way), found) for way, found in missed.items()}
        await self._judge(_LOOKS if alone else _LOOKS_BESIDE_OTHERS)

    def _ways(self) -> dict[Way, tuple[str, ...]]:
        """Every destination's queues: today's, those of other numbers of lanes, and of destinations that are gone."""
        lanes: dict[Way, set[int]] = defaultdict(set)
        for channel in self._channels():
            for branch in channel.branches:
                lanes[channel.name, branch.name].add(channel.lanes_to(branch.name))
        for way in self._board.known():
            lanes[way].update(self._board.eras(way))
        return {
            way: tuple(dict.fromkeys(queue for number in sorted(had) for queue in queues_of(*way, number)))
            for way, had in lanes.items()
        }

    async def _waiting(self, queues: Sequence[str]) -> tuple[int, int]:
        """How many there are in them, and how many of these wait for their next try."""
        there = [name for name in queues if await self._broker.look(name) is not None]
        depths = (await self._broker.depth(there)).values() if there else ()
        return sum(depth.total for depth in depths), sum(depth.delayed for depth in depths)

    async def _unended(self) -> dict[Way, list[Unended]]:
        """Of messages older than the settle time: those known before, and those that became so old since."""
        until_ms = self._now_ms() - self.settle_ms
        ids = sorted({id for id, _, _ in self._open})
        known = await asyncio.to_thread(self._books.still_unended, ids)
        found = {(one.id, one.destination): one for one in known}
        self._look_back({(one.id, one.channel, one.destination) for one in known})
        for one in await self._grown_old(first_id(until_ms), _MOST - len(found)):
            found[one.id, one.destination] = one
        self._open = {(one.id, one.channel, one.destination) for one in found.values()}
        by_way: dict[Way, list[Unended]] = defaultdict(list)
        for key, one in sorted(found.items()):
            if key not in self._made_good:
                by_way[one.channel, one.destination].append(one)
        self.oldest = {way: time_ms(open[0].id) for way, open in by_way.items()}
        if self._seen >= first_id(until_ms - _OVERLAP_MS):
            self._looked_ms = until_ms
        return by_way

    def _look_back(self, open: set[tuple[str, str, str]]) -> None:
        """What was handed to another channel since is a new message there, and lies where its parent lies."""
        feeds = {(c.name, b.name) for c in self._channels() for b in c.branches if b.target}
        handed = [id for id, *way in self._open - open if tuple(way) in feeds]
        if handed:
            self._seen = min(self._seen, first_id(time_ms(min(handed))))

    async def _grown_old(self, until: str, room: int) -> list[Unended]:
        """Up to so many messages with a delivery that has no end, further on in the journal than was looked before."""
        loop = asyncio.get_running_loop()
        ends_at, found = loop.time() + _READ_S, list[Unended]()
        since = self._seen
        while since < until and len(found) < room and loop.time() < ends_at:
            some, since = await asyncio.to_thread(self._books.unended, since, until, room - len(found))
            found += some
        self._seen = max(min(since, first_id(time_ms(until) - _OVERLAP_MS)), self._seen)
        return found

    def _never_tried(self, way: Way, open: list[Unended]) -> list[Unended]:
        """Behind a message that fails in its lane, others may be in somebody's hand for as long as it does.

        So may what is gathered, until its time is over.
        """
        if any(self._board.eras(way)) and any(one.tried for one in open):
            return []
        gathers = [b.collect for c in self._channels() for b in c.branches if (c.name, b.name) == way]
        within_s = next((math.inf if c.within_s is None else c.within_s for c in gathers if c), 0.0)
        until_ms = self._now_ms() - within_s * 1000
        return [one for one in open if not one.tried and time_ms(one.id) <= until_ms]

    async def _sharper(self, queues: Sequence[str], missed: _Suspicion) -> _Suspicion:
        """Without those that are seen in the queues, where the broker shows what is in them."""
        there: set[str] = set()
        for name in queues:
            bodies = await self._broker.contents(name, _LOOKED_INTO) if await self._broker.look(name) else []
            if bodies is None:
                return missed
            there |= {came.id for body in bodies if isinstance(came := decode_work(body), Envelope)}
        ids = missed.ids - there
        return _Suspicion(ids, len(ids))

    async def _judge(self, looks: int) -> None:
        missing = []
        for way, found in sorted(self._suspicions.items()):
            if found.looks < looks or not found.count:
                continue
            good = await asyncio.to_thread(self._books.replayed, sorted(found.ids))
            mine = {(id, way[1]) for id in found.ids if (id, *way) in good}
            self._made_good |= mine
            ids = found.ids - {id for id, _ in mine}
            count = min(found.count, len(ids))
            if count:
                missing.append(Missing(*way, count, tuple(sorted(ids)), exact=count == len(ids)))
        self._tell(missing)
        self.missing = tuple(missing)

    def _tell(self, missing: Sequence[Missing]) -> None:
        """What is new: an alarm that does not change is told once."""
        told = {(one.channel, one.destination): one for one in self.missing}
        for one in missing:
            if told.pop((one.channel, one.destination), None) != one:
                log.error(
                    "delivery.missing",
                    code="JL-J017",
                    channel=one.channel,
                    destination=one.destination,
                    count=one.count,
                    exact=one.exact,
                    messages=" ".join(one.ids[:_NAMED]),
                )
        for over in told.values():
            log.info("delivery.missing_over", channel=over.channel, destination=over.destination)
