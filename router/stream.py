"""A stream of the broker as a place to speak: what one process says there is durable, and all hear it in one order.

Who speaks waits until it hears itself: then it has heard all that was said before.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import msgspec

from router.brokers.base import Broker, BrokerDown, QueueSpec

_HEARD_WITHIN_S = 15.0


class Mark(msgspec.Struct, frozen=True, tag="mark", array_like=True):
    """Says nothing: who hears its own is up to date."""

    id: str


class Stream:
    """`hear` is handed each entry, undecoded, but for marks."""

    def __init__(self, broker: Broker, spec: QueueSpec, hear: Callable[[bytes], None]) -> None:
        self._broker = broker
        self._spec = spec
        self._hear = hear
        self._unheard: dict[bytes, asyncio.Future[None]] = {}

    async def start(self, since_ms: int = 0) -> None:
        """Returns when all is heard that was said before; without what was said long before `since_ms` (Unix ms)."""
        await self._broker.declare([self._spec])
        await self._broker.follow(self._spec.name, self._came, since_ms)
        await self.say(Mark(uuid.uuid4().hex))

    async def say(self, entry: msgspec.Struct) -> None:
        """Returns when it is durable, and heard here. Raises BrokerDown."""
        body = msgspec.msgpack.encode(entry)
        heard = self._unheard.setdefault(body, asyncio.get_running_loop().create_future())
        try:
            await self._broker.publish((self._spec.name,), body)
            async with asyncio.timeout(_HEARD_WITHIN_S):
                await asyncio.shield(heard)
        except TimeoutError:
            raise BrokerDown("JL-B001", "the broker took a word and does not tell it") from None
        finally:
            self._unheard.pop(body, None)

    def mention(self, entry: msgspec.Struct) -> asyncio.Future[None]:
        """Says it without waiting. The Future fails with BrokerDown while there is no broker."""
        return self._broker.publish((self._spec.name,), msgspec.msgpack.encode(entry))

    def _came(self, body: bytes) -> None:
        if not body.startswith(_MARK):
            self._hear(body)
        if (waits := self._unheard.get(body)) is not None and not waits.done():
            waits.set_result(None)


_MARK = msgspec.msgpack.encode(Mark(""))[:-1]  # the array's head and the tag: an id follows
