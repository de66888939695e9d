"""What a test sees of a message on its way, and the receivers that answer what the test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from channels.cases import MAX_TRIES, SILENCE, UNREACHABLE, Answer, World
from channels.model import Branch, Channel
from config.errors import Unreachable
from endpoints.base import Destination, Told
from endpoints.channel import ChannelDestination
from router.attempt import Outcome
from router.envelope import Envelope
from schemas.message import Message, Receipt, Reply


@dataclass(slots=True)
class Clock:
    ms: int = 0

    def __call__(self) -> int:
        return self.ms


@dataclass(slots=True)
class Way:
    """What became of a message at one destination. `body`: what the last try sent; None, where it sent nothing.

    `handed`: what became of it in the channel that it was handed to, or of each of its items; where messages are
    gathered, of every group that went.
    """

    state: str
    tries: int = 0
    code: str = ""
    reason: str = ""
    body: bytes | None = None
    handed: list[Handed] = field(default_factory=list)
    found_by: Mapping[str, str] = field(default_factory=dict)  # in the answer


@dataclass(slots=True)
class Handed:
    """A message that was handed to another channel, and what became of it there; None where it was not taken."""

    number: int  # of the item, or the group
    body: bytes = b""
    played: Played | None = None
    code: str = ""
    reason: str = ""
    messages: int = 0  # that were gathered


@dataclass(frozen=True, slots=True)
class Played:
    """What a message came to in one channel."""

    channel: Channel
    reply: Reply
    told: Told
    envelope: Envelope  # what the journal has of it
    ways: dict[str, Way]
    order: str | None

    @property
    def index(self) -> dict[str, str]:
        """What the journal finds it by: in the answers, and in the message itself."""
        return {
            name: value for way in self.ways.values() for name, value in way.found_by.items()
        } | self.envelope.index


@dataclass(slots=True)
class Receiver:
    """A destination that answers what the test says; what that means, its protocol's own code decides."""

    real: Destination
    timeout_s: float
    answers: tuple[Answer, ...]
    clock: Clock
    tries: int = 0
    body: bytes | None = None

    async def send(self, message: Message) -> Receipt:
        answer = self.answers[min(self.tries, len(self.answers) - 1)]
        self.tries += 1
        self.body = message.body
        late = 0 < self.timeout_s < answer.after_s
        by_hand = answer.code not in ("", "accepted")
        self.clock.ms += int(1000 * (self.timeout_s if late else answer.after_s))
        if answer.code == UNREACHABLE:
            raise Unreachable("JL-D903", "no connection, says the test")
        if answer.code == SILENCE or late:
            raise Unreachable("JL-D904", "no answer in time, says the test", maybe_done=True)
        if isinstance(self.real, ChannelDestination) and not by_hand:
            return await self.real.send(message)
        heard = getattr(self.real, "heard", None)
        if heard is None:
            return Receipt(answer.code or "ok", answer.body, headers=answer.headers)
        receipt: Receipt = heard(message, answer.code, answer.body, answer.headers)
        return receipt


def goes_on(world: World, number: int, answers: tuple[Answer, ...], passed_ms: int) -> bool:
    if number >= MAX_TRIES:
        return False
    if world.passes_s is None:
        return number < len(answers)
    return passed_ms <= world.passes_s * 1000


def state_of(branch: Branch, outcome: Outcome) -> str:
    """As a test names it."""
    if outcome.record.outcome == "dead" and branch.retry.then == "hold":
        return "held"
    return {"retry": "retrying"}.get(outcome.record.outcome, outcome.record.outcome)
