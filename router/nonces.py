"""What signed requests have used up: a nonce is good once, in all processes of a site, and over their restarts.

The memory is that of resends (router.duplicates): a file, until the time of each is over. Where there are other
processes, every claim goes through a stream of the broker first, which gives all of them one order. Who said it first
has it; who claims waits until it hears itself. So a request that is played to two machines at once comes in at one of
them. Claims that come while others are being said go together.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable

import msgspec

from router.brokers.base import Broker, BrokerDown, QueueSpec
from router.duplicates import Seen, encode_reply
from router.stream import Stream
from schemas.message import Reply

# For processes that were down: more than what comes within the longest window.
NONCES = QueueSpec("jl.nonces", stream=True, max_length=1_000_000, max_bytes=200_000_000)
LONGEST_MS = 1_800_000  # twice the longest window that callers.yaml may have
_AT_ONCE = 1000  # claims in one entry
_USED = encode_reply(Reply("accepted"))

Claim = tuple[bytes, int]  # key, until when it counts (Unix seconds)


class _Claimed(msgspec.Struct, frozen=True, tag="nonces", array_like=True):
    by: str  # the process
    claims: tuple[Claim, ...]


_decode = msgspec.msgpack.Decoder(_Claimed).decode


class Nonces:
    """`known` and `claim` serve endpoints.callers.admission."""

    def __init__(self, seen: Seen, broker: Broker, now_ms: Callable[[], int], *, alone: bool) -> None:
        """`alone`: there are no other processes, so that nobody need be told."""
        self._seen = seen
        self._now_ms = now_ms
        self._stream = None if alone else Stream(broker, NONCES, self._heard)
        self._own = uuid.uuid4().hex
        # Claimed here: whether it is ours, None while nobody can say.
        self._mine: dict[bytes, bool | None] = {}
        self._next: list[Claim] = []
        self._next_said: asyncio.Future[None] | None = None
        self._saying: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> None:
        """Returns when all is known that was claimed before. Once is enough. Raises sqlite3.Error and BrokerDown."""
        if self._started:
            return
        await self._seen.start()
        if self._stream is not None:
            await self._stream.start(max(self._now_ms() - LONGEST_MS, 0))
        self._started = True

    async def stop(self) -> None:
        """Who still waits hears BrokerDown."""
        if self._saying is not None:
            self._saying.cancel()
            await asyncio.gather(self._saying, return_exceptions=True)

    def known(self, key: bytes) -> bool:
        return self._started and (key in self._mine or self._seen.find(key) is not None)

    async def claim(self, key: bytes, until_s: int) -> bool:
        """Whether nobody had it before; then it is durable. Raises BrokerDown: then nobody can say."""
        if not self._started:
            raise BrokerDown("JL-B001", "what was used before is not known yet")
        if self.known(key):
            return False
        if self._stream is None:
            await self._learn([(key, until_s)])
            return True
        self._mine[key] = None
        try:
            await asyncio.shield(self._say(self._stream, (key, until_s)))
            return self._mine[key] is True
        finally:
            del self._mine[key]

    def _learn(self, claims: Iterable[Claim]) -> asyncio.Future[None]:
        return self._seen.learn([(key, until_s * 1000, _USED) for key, until_s in claims])

    def _say(self, stream: Stream, claim: Claim) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self._next.append(claim)
        if self._next_said is None:
            self._next_said = loop.create_future()
        if self._saying is None:
            self._saying = loop.create_task(self._say_all(stream), name="nonces")
        return self._next_said

    async def _say_all(self, stream: Stream) -> None:
        """One entry after the other, as long as there is something to say."""
        said = None
        try:
            while self._next_said is not None:
                claims, said = self._next, self._next_said
                self._next, self._next_said = [], None
                try:
                    for at in range(0, len(claims), _AT_ONCE):
                        await stream.say(_Claimed(self._own, tuple(claims[at : at + _AT_ONCE])))
                    said.set_result(None)
                except BrokerDown as error:
                    _fail(said, error)
        finally:
            self._saying = None
            for left in (said, self._next_said):
                if left is not None and not left.done():
                    _fail(left, BrokerDown("JL-B001", "the engine stops"))
            self._next, self._next_said = [], None

    def _heard(self, body: bytes) -> None:
        told = _decode(body)
        for key, _ in told.claims:
            if told.by == self._own and self._mine.get(key, True) is None:
                self._mine[key] = self._seen.find(key) is None
        self._learn(told.claims)


def _fail(said: asyncio.Future[None], error: BrokerDown) -> None:
    said.set_exception(error)
    said.exception()  # who asked may be gone
