"""A channel with everything around it played: no network, no broker, a clock that a test sets.

The engine's own `Intake` decides what becomes of a message, its own `Attempter` maps, tries and judges, and the
protocols' own code says what an answer means and what a sender reads. Played are only the broker (a list), the clock
(a number), and the receivers, who answer what the test says.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from channels.cases import Answer, Case, World
from channels.model import BATCH, Branch, Channel
from config import registry
from config.crypto import SiteKeys
from endpoints.base import Destination, Ground, Told
from router.attempt import Attempter, Outcome
from router.blobs import Blobs
from router.duplicates import Duplicates, First
from router.envelope import JOURNAL, Attempts, Envelope, copy, decode, way_of
from router.ids import id_of
from router.intake import Intake
from router.items import Letter
from router.large import Large
from router.metrics import Metrics
from router.proving.gathered import Gathered
from router.proving.played import Clock, Handed, Played, Receiver, Way, goes_on, state_of
from router.replies import Replies
from schemas.message import Message, Reply

_ANSWER_S = 30.0  # of real time, after which a test would hang for good
_TURNS = 5  # of the event loop, until all that was set going has come to rest


class _Mail:
    """A broker's place: what is published is kept at once."""

    def __init__(self) -> None:
        self.published: list[tuple[tuple[str, ...], bytes]] = []

    def publish(self, queues: Sequence[str], body: bytes, *, delay_s: float = 0) -> asyncio.Future[None]:
        self.published.append((tuple(queues), body))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def mailbox(self, on_mail: Callable[[bytes], None]) -> Callable[[], str]:
        return str

    def post(self, address: str, body: bytes) -> None:
        """There is no other process."""


class _Memory:
    """What the engine keeps of resends in a file."""

    def __init__(self, clock: Clock) -> None:
        self.open: dict[bytes, First] = {}
        self._clock = clock
        self._known: dict[bytes, tuple[int, Reply]] = {}

    def find(self, key: bytes) -> Reply | None:
        until_ms, reply = self._known.get(key, (0, None))
        return reply if until_ms > self._clock.ms else None

    def remember(self, key: bytes, reply: Reply, within_ms: int) -> asyncio.Future[None]:
        self._known[key] = (self._clock.ms + within_ms, reply)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


Others = Callable[[str], "Stage | None"]


def _nobody(name: str) -> None:
    """No other channel is there."""


@dataclass(slots=True)
class Stage:
    """One channel as all its tests meet it; each has a clock and a memory of its own."""

    channel: Channel
    site: Path
    destinations: dict[str, Destination] = field(default_factory=dict)
    scene: _Scene | None = None  # the one that is being played

    def __post_init__(self) -> None:
        for branch in self.channel.branches:
            name = f"{self.channel.name}.{branch.name}"
            ground = Ground(
                name,
                branch.format,
                base_dir=str(self.site),
                hand_over=self._hand_over,
                writes=branch.writes,
            )
            self.destinations[branch.name] = registry.destinations.get(branch.kind)(branch.options, ground)

    async def play(self, case: Case, others: Others = _nobody) -> Played:
        """Brings in what came before, and then the test's message. `others` are the stages of all channels."""
        scene = _Scene(self, case, others)
        for given, ago_s in case.before:
            await scene.message(given.body, case.world.clock_ms - int(ago_s * 1000), {})
        played = await scene.message(case.given.body, case.world.clock_ms, dict(case.envelope))
        passes_s = case.world.passes_s
        await scene.wait(inf if passes_s is None else case.world.clock_ms + passes_s * 1000)
        return played

    def _hand_over(self, name: str, message: Message) -> asyncio.Future[Reply]:
        assert self.scene is not None
        return asyncio.ensure_future(self.scene.hand_over(name, message))


class _Scene:
    """One test while it is played, in one of its channels."""

    def __init__(self, stage: Stage, case: Case, others: Others) -> None:
        channel = stage.channel
        self.stage, self.channel, self.world = stage, channel, case.world
        self.case, self.stages = case, others
        self.others: dict[str, _Scene] = {}  # the same test in the channels that messages are handed to
        self.turn, self.apart = asyncio.Lock(), asyncio.Lock()
        self.handed: list[Handed] = []  # what became there of the last message
        self.gathered: dict[str, Gathered] = {}  # by destination
        stage.scene = self
        self.clock, self.mail = Clock(), _Mail()
        self.replies = Replies(self.mail)
        self.large = Large(channel, Blobs(stage.site, _no_keys, self.clock), 0)
        self.given_id = ""
        numbers = itertools.count(1)
        self.intake = Intake(
            channel,
            self.mail,
            self.replies,
            _METRICS,
            self.clock,
            self.large,
            _nothing,
            Duplicates(channel, _Memory(self.clock)),
            ids=lambda now_ms: self.given_id or id_of(now_ms, next(numbers)),
        )

    async def message(self, body: bytes, at_ms: int, said: dict[str, Any]) -> Played:
        await self.wait(at_ms)
        self.clock.ms = at_ms
        self.given_id = said.pop("id", "")
        said.setdefault("source", f"{self.channel.kind} test")
        charset = getattr(self.channel.options, "charset", "")
        message = Message(body, charset=charset, **said)
        received: Callable[[Message], Message] | None = getattr(self._source(), "received", None)
        return await self._play(received(message) if received else message, at_ms)

    async def wait(self, until_ms: float) -> None:
        """What was to be gathered goes when its time is over, here and in the channels behind."""
        while due := min(self._waiting(), key=lambda one: one.due_ms, default=None):
            if due.due_ms == inf or due.due_ms > until_ms:
                return
            await due.go(int(due.due_ms), until_ms)

    def _waiting(self) -> list[Gathered]:
        behind = [one for other in self.others.values() for one in other._waiting()]
        return [*self.gathered.values(), *behind]

    async def hand_over(self, name: str, message: Message) -> Reply:
        """What another channel says to a message of this one. There all receivers say yes."""
        stage = self.stages(name)
        if stage is None:
            return Reply("failed", code="JL-D913", text=f"the channel {name} does not run")
        own = name == self.channel.name  # it takes its own batch apart: the same door, the same memory
        if not own and name not in self.others:
            self.others[name] = _Scene(stage, replace(self.case, world=World()), self.stages)
        other = self if own else self.others[name]
        # Items come one after the other, whatever the engine would have on its way at once.
        async with self.apart if own else self.turn:
            handed, at_ms = self.handed, self.clock.ms
            other.clock.ms = at_ms
            played = await other._play(message, at_ms)
            self.handed, self.clock.ms = handed, at_ms
            if played.reply.state not in ("refused", "failed"):
                self.handed.append(Handed(len(self.handed) + 1, message.body, played))
            return played.reply

    async def _play(self, message: Message, at_ms: int) -> Played:
        answered = self.intake.deliver(message)
        await _rest()
        envelope, queues = self._published(message)
        ways = {name: Way("filtered") for name in envelope.filtered}
        for queue in queues:
            if queue != JOURNAL:
                name = way_of(queue)[1]
                ways[name] = await self._deliver(name, envelope, at_ms)
        await _rest()
        self.replies.give_up()
        async with asyncio.timeout(_ANSWER_S):
            reply = await answered
        order = None
        keyed = envelope.destinations and envelope.destinations != (BATCH,)
        if self.channel.order_by is not None and keyed:
            tree = self.channel.format.decode(message.body, message.charset)
            order = self.channel.order_by(tree, envelope)
        return Played(self.channel, reply, self._told(message, reply), envelope, ways, order)

    def _published(self, message: Message) -> tuple[Envelope, tuple[str, ...]]:
        """What the intake made of it, and where it put that; in no queue where a bug kept it from both."""
        if not self.mail.published:
            channel, said = self.channel, dict(message.headers)
            return Envelope("", channel.name, 0, "", "", "", "", b"", said, {}, (), state="nothing"), ()
        queues, published = self.mail.published.pop()
        envelope = decode(published)
        assert not isinstance(envelope, Attempts)
        return envelope, queues

    async def _deliver(self, name: str, envelope: Envelope, at_ms: int) -> Way:
        """Tries as the engine does: until it is over, or the test's answers or its time are."""
        self.clock.ms = at_ms
        branch = next(branch for branch in self.channel.branches if branch.name == name)
        if branch.collect is not None:
            return await self._gathered(branch).came(envelope)
        receiver, attempter = self._receiver(branch)
        number = 1
        while True:
            self.handed = []
            outcome = await attempter.attempt(envelope, number)
            self._say(branch, envelope, outcome, at_ms)
            next_ms = self.clock.ms + int(outcome.delay_s * 1000)
            if outcome.record.outcome != "retry" or not goes_on(
                self.world, number, receiver.answers, next_ms - at_ms
            ):
                break
            first_ms = envelope.first_ms or outcome.record.at_ms
            envelope = copy(envelope, attempt=number + 1, first_ms=first_ms)
            self.clock.ms = next_ms
            number += 1
        record = outcome.record
        state = state_of(branch, outcome)
        handed = _numbered(self.handed, outcome.letters)
        return Way(state, number, record.code, record.reason, receiver.body, handed, record.index)

    def _receiver(self, branch: Branch) -> tuple[Receiver, Attempter]:
        answers = self.world.answers.get(branch.name, (Answer(),))
        timeout_s = getattr(branch.options, "timeout", 0.0)
        receiver = Receiver(self.stage.destinations[branch.name], timeout_s, answers, self.clock)
        return receiver, Attempter(self.channel, branch, receiver, self.clock, self.large)  # type: ignore[arg-type]

    def _gathered(self, branch: Branch) -> Gathered:
        if branch.name not in self.gathered:
            receiver, attempter = self._receiver(branch)
            made = Gathered(self.channel, branch, receiver, attempter, self.clock, self.world, self._taken)
            self.gathered[branch.name] = made
        return self.gathered[branch.name]

    def _taken(self) -> list[Handed]:
        """What other channels were handed since this was asked last."""
        taken, self.handed = self.handed, []
        return taken

    def _say(self, branch: Branch, envelope: Envelope, outcome: Outcome, at_ms: int) -> None:
        """A sender that waits for this destination hears of it, unless its time is over."""
        if self.clock.ms - at_ms > self.channel.timeout_s * 1000:
            self.replies.give_up()
        if self.channel.reply != branch.name:
            return
        if state_of(branch, outcome) == "held":
            self.replies.held(envelope, outcome.record)
        else:
            self.replies.tried(envelope, outcome)

    def _told(self, message: Message, reply: Reply) -> Told:
        told: Callable[[Message, Reply], Told] | None = getattr(self._source(), "told", None)
        return told(message, reply) if told else Told(reply.state, reply.body, reply.format)

    def _source(self) -> Any:
        channel, site = self.channel, str(self.stage.site)
        ground = Ground(
            channel.name,
            channel.format.name,
            base_dir=site,
            now=lambda: self.clock.ms / 1000,
            described=channel.described,
        )
        return registry.sources.get(channel.kind)(channel.options, ground)


def _numbered(taken: list[Handed], letters: Sequence[Letter]) -> list[Handed]:
    """Items that were taken, and those that were not, in their order."""
    dead = [
        Handed(one.envelope.item, one.envelope.body, None, one.attempt.code, one.attempt.reason)
        for one in letters
    ]
    places = sorted({*range(1, len(taken) + len(dead) + 1)} - {one.number for one in dead})
    for number, one in zip(places, taken, strict=True):
        one.number = number
    return sorted([*taken, *dead], key=lambda one: one.number)


async def _rest() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _nothing() -> None:
    """Queues without end are never full."""


def _no_keys() -> SiteKeys:
    raise AssertionError("a test's message is no large body")


_METRICS = Metrics()
