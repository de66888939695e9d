"""A collecting destination in a test: the engine's own groups, formed and handed over by the test's clock."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from channels.cases import World
from channels.model import Branch, Channel
from router.attempt import Attempter, Outcome
from router.brokers.base import Delivered
from router.envelope import Envelope
from router.gathering import Gathering, Tries
from router.hand import Group, Hand
from router.proving.played import Clock, Handed, Receiver, Way, goes_on, state_of


class Gathered:
    """What waits for one destination. `taken` gives what other channels were handed since it was asked last."""

    def __init__(
        self,
        channel: Channel,
        branch: Branch,
        receiver: Receiver,
        attempter: Attempter,
        clock: Clock,
        world: World,
        taken: Callable[[], list[Handed]],
    ) -> None:
        assert branch.collect is not None
        self._branch = branch
        self._receiver = receiver
        self._clock = clock
        self._world = world
        self._taken = taken
        self._gathering = Gathering(channel, branch, attempter, receiver.send, clock)
        self._hand = Hand(branch.collect)
        self._ways: dict[str, Way] = {}  # by message
        self._groups: list[Handed] = []

    @property
    def due_ms(self) -> float:
        """When the next group's time is over."""
        return self._hand.due_ms

    async def came(self, envelope: Envelope) -> Way:
        """What becomes of it is known when its group goes."""
        way = self._ways[envelope.id] = Way("waiting", handed=self._groups)
        item = await self._gathering.item(envelope, Delivered("", b"", None), Tries())
        if isinstance(item, Outcome):
            self._ended(way, item, 1)
        else:
            self._hand.add(item)
            await self._full(inf)
        return way

    async def go(self, at_ms: int, until_ms: float) -> None:
        """The time of some is over. They are tried again until `until_ms` (Unix ms)."""
        self._clock.ms = at_ms
        self._hand.close_due(at_ms)
        await self._full(until_ms)

    async def _full(self, until_ms: float) -> None:
        while groups := self._hand.full(1):
            await self._hand_over(groups[0], until_ms)

    async def _hand_over(self, group: Group, until_ms: float) -> None:
        began_ms, tries = self._clock.ms, Tries()
        self._taken()
        while True:
            outcome = await self._gathering.hand_over(group, tries)
            tries = tries.next(outcome)
            next_ms = self._clock.ms + int(outcome.delay_s * 1000)
            if outcome.record.outcome != "retry" or next_ms > until_ms:
                break
            if not goes_on(self._world, tries.number, self._receiver.answers, next_ms - began_ms):
                break
            self._clock.ms = next_ms
        for item in group.items:
            self._ended(self._ways[item.envelope.id], outcome, tries.number)
        if outcome.record.outcome != "retry":
            self._groups.append(self._as_handed(group, outcome))

    def _as_handed(self, group: Group, outcome: Outcome) -> Handed:
        number, record, count = len(self._groups) + 1, outcome.record, len(group.items)
        for one in self._taken():
            one.number, one.messages = number, count
            return one
        return Handed(number, self._receiver.body or b"", None, record.code, record.reason, count)

    def _ended(self, way: Way, outcome: Outcome, tries: int) -> None:
        way.state, way.tries = state_of(self._branch, outcome), tries
        way.code, way.reason = outcome.record.code, outcome.record.reason
