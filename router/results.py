"""What became of messages whose senders could not wait: for a day, by the message's id and who sent it.

An answer that comes in time goes to its sender and nowhere else. One that comes later is remembered here, and so is
one that another process delivered, whose sender may be gone with the process that it asked. The memory is that of
resends, so all processes of a site have it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from router.duplicates import Seen, decode_reply
from router.envelope import Envelope
from schemas.message import Reply

WITHIN_MS = 86_400_000
_ENDED = 10_000  # ids of which this process knows that they are not pending any more


class Results:
    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._ended: OrderedDict[bytes, None] = OrderedDict()

    def pending(self, envelope: Envelope, reply: Reply) -> None:
        """Its sender is told so now; unless its end was a moment quicker."""
        key = _key(envelope.channel, caller_of(envelope), envelope.id)
        if key not in self._ended:
            self._seen.remember(key, reply, WITHIN_MS)

    def ended(self, envelope: Envelope, reply: Reply) -> None:
        """Nobody here waits for it."""
        key = _key(envelope.channel, caller_of(envelope), envelope.id)
        if reply.state != "pending":  # else it waits for an operator
            self._ended[key] = None
            if len(self._ended) > _ENDED:
                self._ended.popitem(last=False)
        self._seen.remember(key, reply, WITHIN_MS)

    def find(self, channel: str, caller: str, id: str) -> Reply | None:
        return self._seen.find(_key(channel, caller, id))

    async def wait(self, channel: str, caller: str, id: str, within_s: float) -> Reply | None:
        """What is known of it, once it is more than `pending`, or the time is over. None: nothing is known."""
        key = _key(channel, caller, id)
        reply = self._seen.find(key)
        if reply is None or reply.state != "pending" or within_s <= 0:
            return reply
        ends_at = asyncio.get_running_loop().time() + within_s
        while reply.state == "pending":
            heard = self._seen.watch(key)
            try:
                async with asyncio.timeout_at(ends_at):
                    reply = decode_reply(await heard)
            except TimeoutError:
                break
        return reply


def caller_of(envelope: Envelope) -> str:
    return envelope.headers.get("caller.name", "")


def _key(channel: str, caller: str, id: str) -> bytes:
    said = f"result\0{channel}\0{caller}\0{id}"
    return hashlib.blake2b(said.encode(), digest_size=20).digest()
