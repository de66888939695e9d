"""What is done with the messages of a collecting destination: each is made by itself, and each group is handed over.

The group is a message of the other channel, under an id that follows from what is in it. What became of it is what
became of each of its messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from channels.collecting import Collect
from channels.model import LONGEST_SEND_S, Branch, Channel
from router.attempt import Attempter, Outcome, in_time
from router.brokers.base import Delivered
from router.envelope import Envelope
from router.hand import Group, Item, id_of
from router.large import APART
from schemas.message import Message, Receipt
from schemas.validation.base import told

T = TypeVar("T")


class Tries(Struct, frozen=True):
    """Those that went before. `first_ms` is the time of the first (Unix ms), 0 where `for` begins anew."""

    number: int = 0
    first_ms: int = 0

    def next(self, outcome: Outcome) -> Tries:
        return Tries(self.number + 1, self.first_ms or outcome.record.at_ms)


class Gathering:
    """Of one destination. `send` takes what a group is made into."""

    def __init__(
        self,
        channel: Channel,
        branch: Branch,
        attempter: Attempter,
        send: Callable[[Message], Awaitable[Receipt]],
        now_ms: Callable[[], int],
    ) -> None:
        assert branch.collect is not None
        self._collect: Collect = branch.collect
        self._channel = channel
        self._branch = branch
        self._attempter = attempter
        self._send = send
        self._now_ms = now_ms
        self._way = f"{channel.name}.{branch.name} {branch.target}"

    async def item(self, envelope: Envelope, delivered: Delivered, before: Tries) -> Item | Outcome:
        """A message as it is gathered; or what became of it where it cannot be. Never raises but CancelledError."""
        number = before.number + 1
        envelope = replace(envelope, first_ms=before.first_ms)
        making = self._item(envelope, delivered, number)
        return await self._attempter.judged(envelope, number, self._now_ms(), making)

    def id_of(self, group: Group) -> str:
        return group.known.id if group.known is not None else id_of(group, self._way)

    async def hand_over(self, group: Group, before: Tries) -> Outcome:
        """One more try of a group; the record is that of its first message. Never raises but CancelledError."""
        began_ms, number = self._now_ms(), before.number + 1
        envelope = replace(group.first.envelope, first_ms=before.first_ms)
        sending = in_time(self._sent(group, again=number > 1 or group.known is not None), LONGEST_SEND_S / 2)
        done = await self._attempter.judged(envelope, number, began_ms, sending)
        if isinstance(done, Outcome):
            return done
        return self._attempter.sent(envelope, number, began_ms, done, [], None)

    def outcomes(self, group: Group, outcome: Outcome) -> list[tuple[Item, Outcome]]:
        """Of each message of a group, what became of the group."""
        id, total, reason = self.id_of(group), len(group.items), outcome.record.reason
        made = []
        for place, item in enumerate(group.items, 1):
            where = f"{place} of {total} in {id}"
            record = replace(
                outcome.record,
                id=item.envelope.id,
                reason="; ".join(filter(None, (where, reason, item.said))),
            )
            made.append((item, replace(outcome, record=record, noted=bool(item.said))))
        return made

    def ended(self, envelope: Envelope, id: str, code: str) -> Outcome:
        """Of a message whose group has ended, and which came again."""
        receipt = Receipt(code or "accepted")
        outcome = self._attempter.sent(envelope, envelope.attempt, self._now_ms(), receipt, [], None)
        record = replace(outcome.record, outcome="dead" if code else "sent", reason=f"in {id}")
        return replace(outcome, record=record)

    async def _item(self, envelope: Envelope, delivered: Delivered, number: int) -> Item:
        message = await self._attempter.message(envelope, number, delivered.redelivered)
        apart = len(message.body) >= APART
        key = await _done(self._key, message, apart=apart)
        made, noted = await self._attempter.made(message)
        await _done(self._collect.check, made.body, made.charset, apart=apart)
        return Item(envelope, delivered, made, key, told(noted) if noted else "")

    def _key(self, message: Message) -> str:
        """Raises BadMessage."""
        if self._collect.by is None:
            return ""
        return self._collect.key(self._channel.format.decode(message.body, message.charset), message)

    async def _sent(self, group: Group, again: bool) -> Receipt:
        bodies = [(item.made.body, item.made.charset) for item in group.items]
        charset = group.first.made.charset
        body = await _done(self._collect.written, bodies, charset, apart=group.bytes >= APART)
        return await self._send(self._message(group, body, again))

    def _message(self, group: Group, body: bytes, again: bool) -> Message:
        first = group.first
        count = len(group.items)
        headers = {"collect.count": str(count), "collect.messages": " ".join(group.ids)}
        if first.key:
            headers["collect.key"] = first.key
        return replace(
            first.made,
            body=body,
            blob=None,
            id=self.id_of(group),
            parent=first.envelope.id,
            source=f"channel {self._channel.name}, {count} {'message' if count == 1 else 'messages'} gathered",
            headers=headers,
            redelivered=again,
        )


async def _done(what: Callable[..., T], *given: Any, apart: bool) -> T:
    """In a thread where it may take long: no other channel waits for it."""
    return await asyncio.to_thread(what, *given) if apart else what(*given)
