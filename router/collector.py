"""The queue of a collecting destination: one consumer at a time, as of a lane, who gathers what comes into groups.

What is in hand leaves the queue when its group is handed over. Nothing is held for long: a round lets go of its
consumer after some minutes, and the next finds the same messages again. So a group may wait for days, and over a
restart. What it was made of is said before it is handed over (groups.py), and how it ended before any of it leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf

import structlog

from router import envelope as wire
from router.attempt import Outcome
from router.board import Board, Drained, Held
from router.brokers.base import POISON_AFTER, BrokerDown, Delivered
from router.gate import Gate
from router.gathering import Gathering, Tries
from router.groups import Groups, Known, Lost
from router.hand import Group, Hand, Item
from router.handling import Handling
from router.suspects import Suspects

log = structlog.get_logger()

_AT_ONCE = 64  # messages made, and groups handed over
_AHEAD = 100  # deliveries beyond those that may be in hand: they wait for the journal's confirm
_TRY_AGAIN_S = 1.0
_NEXT_ROUND_S = 0.01
_LOOK_S = 0.05  # between two looks whether a queue has more
BROKEN_S = 10.0  # a group of before that lacks a message is given up when nothing has come for so long
HELD_S = 600.0  # RabbitMQ takes back what is not acknowledged within 30 minutes, and a group may take 10 to hand over


class Collector:
    """Collects one queue while its gate is open."""

    def __init__(
        self,
        queue: str,
        handling: Handling,
        gathering: Gathering,
        groups: Groups,
        suspects: Suspects,
        gate: Gate,
        board: Board,
        tries: Callable[[str, str], tuple[int, int]],
        at_once: Callable[[], bool],
    ) -> None:
        """`at_once`: whether nothing more is to be waited for: the destination is drained, or goes."""
        collect = handling.branch.collect
        assert collect is not None
        self._collect = collect
        self._queue = queue
        self._handling = handling
        self._gathering = gathering
        self._groups = groups
        self._suspects = suspects
        self._gate = gate
        self._board = board
        self._asks = tries
        self._at_once = at_once
        self._hold = handling.branch.retry.then == "hold"
        self._ordered = bool(handling.channel.lanes) or self._hold
        self._tries: dict[str, Tries] = {}  # by group
        self._came_at = 0.0  # when the last of them came, by the loop's clock
        self._inbox: asyncio.Queue[Delivered | None] = asyncio.Queue()

    def look(self) -> None:
        """Whether what waits shall go at once may have changed."""
        if self._at_once():
            self._inbox.put_nowait(None)

    async def run(self) -> None:
        """Until the gate ends."""
        self._gate.when_shut(lambda: self._inbox.put_nowait(None))
        while await self._gate.opened():
            try:
                await self._groups.start()
                await self._gate.pause(await self._round())
            except BrokerDown as error:
                log.warning("collect.waits", queue=self._queue, code=error.code)
                await self._gate.pause(_TRY_AGAIN_S)

    async def _round(self) -> float:
        """For how many seconds to let go before the next."""
        self._inbox = asyncio.Queue()  # bounded by the consumer's prefetch
        hand, broker = Hand(self._collect), self._handling.broker
        consumer = await broker.consume(self._queue, self._inbox.put_nowait, hand.most + _AHEAD)
        try:
            delay_s = await self._until_let_go(hand)
            await self._handling.flush()  # or what was handed over comes back with the others
            return delay_s
        except Lost:
            log.info("collect.taken_over", queue=self._queue)
            return _TRY_AGAIN_S
        finally:  # also where it is cut short: what it holds must go back
            await consumer.cancel()

    async def _until_let_go(self, hand: Hand) -> float:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + HELD_S
        taken = False
        while not self._gate.shut and loop.time() < ends_at:
            some = await self._some(self._wait_s(hand, ends_at - loop.time()))
            if some and not taken:
                await self._groups.take(self._queue)
                taken = True
            self._came_at = loop.time() if some else self._came_at
            delay_s = await self._came(some, hand) if some else 0.0
            if self._gate.shut:
                return 0.0
            if delay_s:
                hand.close_due(self._handling.now_ms())  # all that came before what failed is read
            elif hand.crowded:
                hand.close_eldest()
            if await self._dissolved(hand, some):
                return _NEXT_ROUND_S
            if not some:
                await self._close(hand)
            while groups := hand.full(_AT_ONCE):
                delay_s = max(await self._hand_over(groups), delay_s)
                if delay_s:
                    break
            if delay_s:
                return delay_s
        return _NEXT_ROUND_S

    def _wait_s(self, hand: Hand, left_s: float) -> float:
        """For how long to wait for the next message."""
        if hand.count and (self._at_once() or hand.broken()):
            return _LOOK_S
        until_due_s = (hand.due_ms - self._handling.now_ms()) / 1000
        return max(min(left_s, until_due_s), _LOOK_S)

    async def _some(self, within_s: float) -> list[Delivered]:
        """What came; nothing where the time is over, or the gate is shut."""
        some: list[Delivered] = []
        try:
            async with asyncio.timeout(within_s):
                came = await self._inbox.get()
        except TimeoutError:
            return some
        while came is not None:
            some.append(came)
            if len(some) == _AT_ONCE or self._inbox.empty():
                break
            came = self._inbox.get_nowait()
        return some

    async def _came(self, some: Sequence[Delivered], hand: Hand) -> float:
        """Into the hand. 0 where all went well, else the seconds to wait before they are tried again."""
        opened = [(delivered, self._handling.open(delivered)) for delivered in some]
        fence = next((at for at, (_, work) in enumerate(opened) if isinstance(work, wire.Fence)), None)
        work = [(delivered, work) for delivered, work in opened[:fence] if isinstance(work, wire.Envelope)]
        made = await asyncio.gather(*(self._made(envelope, delivered) for delivered, envelope in work))
        for (delivered, envelope), item in zip(work, made, strict=True):
            if delay_s := await self._put(envelope, delivered, item, hand):
                return delay_s
        if fence is None:
            return 0.0
        return await self._passed(opened[fence], hand)

    async def _made(self, envelope: wire.Envelope, delivered: Delivered) -> Item | Outcome:
        """A message that ended the process in its tries before is not tried any more."""
        plain = self._handling.branch.map is None and self._handling.branch.validation is None
        if delivered.deliveries == 1 or plain:
            return await self._gathering.item(envelope, delivered, self._tries.get(envelope.id, Tries()))
        async with self._suspects.trying(envelope.id, self._handling.branch.name) as unended:
            if unended >= POISON_AFTER - 1:
                return self._handling.attempter.poisoned(envelope, unended + 1)
            return await self._gathering.item(envelope, delivered, self._tries.get(envelope.id, Tries()))

    async def _put(
        self, envelope: wire.Envelope, delivered: Delivered, item: Item | Outcome, hand: Hand
    ) -> float:
        known = self._groups.find(self._queue, envelope.id)
        if known is not None and known.ended is not None:
            self._handling.settle(envelope, delivered, self._gathering.ended(envelope, known.id, known.ended))
        elif (own := hand.find(envelope.id)) is not None:
            if not self._handling.broker.holds(own):
                raise BrokerDown("JL-B007", "the connection was lost, and what was in hand comes again")
            self._handling.broker.ack(delivered)  # the same one is in the queue twice
        elif isinstance(item, Outcome):
            return await self._failed(envelope, delivered, item)
        elif known is not None:
            hand.add_known(known, item)
        else:
            hand.add(item)
        return 0.0

    async def _failed(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> float:
        """One that cannot be gathered: a dead letter by itself, unless it shall hold, or is to be tried again."""
        if held := self._board.skips(self._queue, envelope.id):
            outcome = self._handling.attempter.skipped(envelope, envelope.attempt, held.code, held.reason)
        elif outcome.record.outcome == "dead" and self._hold:
            self._handling.held(envelope, delivered, outcome)
            return await self._say_held(outcome)
        elif outcome.record.outcome == "retry":
            before = self._tries.get(envelope.id, Tries())
            self._tries[envelope.id] = before.next(outcome)
            self._handling.failed(delivered, outcome.record)
            return outcome.delay_s
        self._tries.pop(envelope.id, None)
        self._handling.settle(envelope, delivered, outcome)
        return 0.0

    async def _close(self, hand: Hand) -> None:
        """The groups that go now although they are not full. First all that belongs to them is read."""
        now_ms = inf if self._at_once() else self._handling.now_ms()
        if hand.due_ms <= now_ms and (hand.exhausted or await self._is_read()):
            hand.close_due(now_ms)

    async def _dissolved(self, hand: Hand, some: Sequence[Delivered]) -> bool:
        """Gives up groups that were formed before and lack a message: then what is there of them had better come again.

        What was delivered before comes first. So with what is new all of it has come; or when nothing comes any more.
        """
        broken = hand.broken()
        quiet = asyncio.get_running_loop().time() - self._came_at >= BROKEN_S
        if not broken or not (quiet or any(not delivered.redelivered for delivered in some)):
            return False
        await self._dissolve(broken)
        return True

    async def _dissolve(self, broken: Sequence[Known]) -> None:
        ids = [known.id for known in broken]
        log.warning("collect.dissolved", queue=self._queue, groups=" ".join(ids))
        await self._groups.dissolve(self._queue, ids)

    async def _is_read(self) -> bool:
        """Whether the queue holds nothing that is not in hand."""
        depth = (await self._handling.broker.depth([self._queue]))[self._queue]
        return not depth.ready and self._inbox.empty()

    async def _hand_over(self, groups: Sequence[Group]) -> float:
        """0 where all of them ended, else the seconds to wait before the others are tried again."""
        gathering = self._gathering
        new = [(gathering.id_of(group), group.ids) for group in groups if group.known is None]
        if new:
            await self._groups.form(self._queue, new)
        if not self._ordered:
            done = await asyncio.gather(*map(self._tried, groups))
            return await self._ended(list(zip(groups, done, strict=True)))
        for group in groups:
            outcome = await self._tried(group)
            if delay_s := await self._ended([(group, outcome)]):
                return delay_s
        return 0.0

    async def _tried(self, group: Group) -> Outcome:
        first, id = group.first, self._gathering.id_of(group)
        before = await self._tried_before(group)
        if held := self._board.skips(self._queue, first.envelope.id):
            return self._handling.attempter.skipped(first.envelope, before.number, held.code, held.reason)
        if group.known is None:
            outcome = await self._gathering.hand_over(group, before)
        else:
            async with self._suspects.trying(id, self._handling.branch.name) as unended:
                if unended >= POISON_AFTER - 1:
                    return self._handling.attempter.poisoned(first.envelope, unended + 1)
                outcome = await self._gathering.hand_over(group, before)
        self._tries[id] = before.next(outcome)
        return outcome

    async def _tried_before(self, group: Group) -> Tries:
        """The tries so far, ours or another's: of those of an engine before us the journal knows."""
        id, envelope = self._gathering.id_of(group), group.first.envelope
        if group.known is None or id in self._tries:
            return self._tries.get(id, Tries())
        try:
            known = await asyncio.to_thread(self._asks, envelope.id, self._handling.branch.name)
        except Exception as error:  # whatever the journal's trouble is, it holds up nobody
            log.warning("delivery.earlier_tries_unknown", queue=self._queue, error=type(error).__name__)
            return Tries()
        number, first_ms = known
        return Tries(number, max(first_ms, self._board.resumed_ms(self._queue, envelope.id)))

    async def _ended(self, done: Sequence[tuple[Group, Outcome]]) -> float:
        """What became of groups is said, and then of each of their messages."""
        over = [(group, outcome) for group, outcome in done if not self._stays(group, outcome)]
        if over:
            ends = [
                (self._gathering.id_of(g), o.record.code if o.record.outcome == "dead" else "")
                for g, o in over
            ]
            await self._groups.end(self._queue, ends)
        delay_s = 0.0
        for group, outcome in done:
            for item, mine in self._gathering.outcomes(group, outcome):
                if not self._stays(group, outcome):
                    self._handling.settle(item.envelope, item.delivered, mine)
                elif outcome.record.outcome == "dead":
                    self._handling.held(item.envelope, item.delivered, mine)
                else:
                    self._handling.failed(item.delivered, mine.record)
            if not self._stays(group, outcome):
                self._tries.pop(self._gathering.id_of(group), None)
            elif outcome.record.outcome == "dead":
                self._tries[self._gathering.id_of(group)] = Tries(outcome.record.attempt, 0)
                return await self._say_held(outcome)
            else:
                delay_s = max(delay_s, outcome.delay_s)
        return delay_s

    def _stays(self, group: Group, outcome: Outcome) -> bool:
        """Whether it is tried again, or waits for an operator."""
        if outcome.record.outcome == "dead" and self._hold:
            return self._board.skips(self._queue, group.first.envelope.id) is None
        return outcome.record.outcome == "retry"

    async def _say_held(self, outcome: Outcome) -> float:
        record = outcome.record
        try:
            held = Held(self._queue, record.id, record.code, record.reason, self._handling.now_ms())
            await self._board.say(held)
            log.warning("lane.held", queue=self._queue, message=record.id, code=record.code)
        except BrokerDown as error:  # it is tried once more, and given up again
            log.warning("lane.not_held", queue=self._queue, message=record.id, code=error.code)
        return _TRY_AGAIN_S

    async def _passed(self, at: tuple[Delivered, object], hand: Hand) -> float:
        """What came before a fence goes, and then the next era may begin, as far as this queue is concerned."""
        delivered, fence = at
        assert isinstance(fence, wire.Fence)
        if broken := hand.broken():
            await self._dissolve(broken)
            return _NEXT_ROUND_S
        hand.close_due(inf)
        while groups := hand.full(_AT_ONCE):
            if delay_s := await self._hand_over(groups):
                return delay_s
        await self._handling.flush()
        if not self._board.over(self._queue, fence.era):
            await self._board.say(Drained(self._queue, fence.era))
        self._handling.broker.ack(delivered)
        return _NEXT_ROUND_S  # what was read beyond it comes again
