"""One delivery that is many messages: `split` of a destination that is a channel.

Each item is handed over by itself, with an id that follows from its number. What that channel does not take is a dead
letter on its own, and the others go on. Where something else fails, the whole is tried again: what was handed over by
then is the same messages again, flagged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, islice

from msgspec import Struct
from msgspec.structs import replace

from channels.model import Branch, Channel
from channels.splitting import Parts, Split
from config.errors import BadMessage, Refused
from router.envelope import Attempt, Envelope
from router.large import APART
from router.lineage import handed_on
from schemas.message import Message, Receipt

_NAMED = 20
_AT_ONCE = 64  # items on their way to the broker, where nobody asks for their order

Send = Callable[[Message], Awaitable[Receipt]]
Numbered = Iterator[tuple[int, bytes | BadMessage]]


class Letter(Struct, frozen=True):
    """An item that could not be handed over: what the journal has of it, as a message and as its one try."""

    envelope: Envelope
    attempt: Attempt


class Handed(Struct, frozen=True):
    """What another channel has taken. `said`: of items, in words how many; `letters`: those that it did not take."""

    receipt: Receipt
    said: str = ""
    letters: list[Letter] = []


class Items:
    """Hands over the items of one destination's messages. `send` takes one."""

    def __init__(self, channel: Channel, branch: Branch, split: Split, send: Send) -> None:
        self._branch = branch
        self._split = split
        self._send = send
        self._at_once = 1 if channel.lanes else _AT_ONCE
        self._hold = branch.retry.then == "hold"

    async def send(self, made: Message, parent: Envelope, at_ms: int) -> Handed:
        """All of them. Raises BadMessage where there is nothing to divide, and what `send` raises beyond a refusal.

        Where the lane shall be held for what is refused, it ends with the first such item.
        """
        total, parts = await self._parts(made)
        numbered = zip(count(1), parts, strict=False)
        letters: list[Letter] = []
        number = 0
        while some := await self._some(made, numbered):
            ends = await asyncio.gather(
                *(self._one(made, number, part, total) for number, part in some), return_exceptions=True
            )
            for (number, part), end in zip(some, ends, strict=True):
                if not isinstance(end, Receipt | Refused | BadMessage):
                    raise end
                if isinstance(end, Receipt):
                    continue
                if self._hold:
                    raise Refused(end.code, f"{self._where(number)}: {end.text}")
                body = part if isinstance(part, bytes) else b""
                letters.append(self._letter(made, parent, number, body, end, at_ms))
            await asyncio.sleep(0)  # many of them hold up nobody else
        return Handed(Receipt("accepted"), _said(total or number, letters), letters)

    async def _parts(self, made: Message) -> Parts:
        """Of a large body nobody knows how many before they have come."""
        if made.blob is not None:
            return 0, self._split.pieces(made.blob.pieces())
        if len(made.body) < APART:
            return self._split.parts(made.body, made.charset)
        return await asyncio.to_thread(self._split.parts, made.body, made.charset)

    async def _some(self, made: Message, numbered: Numbered) -> list[tuple[int, bytes | BadMessage]]:
        if made.blob is None:
            return list(islice(numbered, self._at_once))
        return await asyncio.to_thread(lambda: list(islice(numbered, self._at_once)))

    async def _one(self, made: Message, number: int, part: bytes | BadMessage, total: int) -> Receipt:
        if isinstance(part, BadMessage):
            raise part
        return await self._send(self._item(replace(made, body=part, blob=None), number, total))

    def _item(self, made: Message, number: int, total: int) -> Message:
        return handed_on(made, self._branch.name, self._branch.target, number, total)

    def _where(self, number: int) -> str:
        return f"item {number} of {self._split.text}"

    def _letter(
        self,
        made: Message,
        parent: Envelope,
        number: int,
        body: bytes,
        refusal: Refused | BadMessage,
        at_ms: int,
    ) -> Letter:
        """It is found by what its message is found by, and can be sent again: as the item that it is."""
        id = self._item(made, number, 0).id
        envelope = Envelope(
            id=id,
            channel=parent.channel,
            received_ms=at_ms,
            source=f"item {number} of {parent.id}",
            format=self._branch.format,
            charset=made.charset,
            kind=parent.kind,
            body=body,
            headers=parent.headers,
            index=parent.index,
            destinations=(self._branch.name,),
            parent=parent.id,
            item=number,
        )
        reason = f"{self._where(number)}: {refusal.text}"
        way = (parent.channel, self._branch.name)
        return Letter(envelope, Attempt(id, *way, 1, at_ms, 0, "dead", refusal.code, reason))


def _said(total: int, letters: list[Letter]) -> str:
    items = f"{total} {'item' if total == 1 else 'items'}"
    if not letters:
        return items
    numbers = [str(letter.envelope.item) for letter in letters]
    some = ", ".join(numbers[:_NAMED]) + (" ..." if len(numbers) > _NAMED else "")
    return f"{items}, {len(letters)} of them dead: {some}"
