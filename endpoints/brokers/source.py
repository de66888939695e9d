"""A source that is subscribed at somebody's broker: what came is acknowledged once it is durable here.

What is not acknowledged comes again: the broker keeps it while we are away, and over a crash of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar, Generic, Protocol

from config.errors import Unreachable
from endpoints.base import HEAD_SIZE, Deliver, Ground, Told, Turn
from endpoints.brokers.inbox import Came
from endpoints.polling import Poller
from schemas.message import Message, Reply

_AGAIN_S = 1.0  # between two looks whether the turn is still ours
_UNDER_WAY = 10_000  # messages that wait for their replies, until no more are taken


class Subscription(Protocol[Came]):
    """A connection on which messages come."""

    async def next(self, within_s: float) -> Came | None:
        """None where nothing came, or after a nudge. Raises ConnectionError once the connection is lost."""

    def nudge(self) -> None:
        """Whoever waits for the next looks up."""

    def acknowledge(self, came: Came, reply: Reply) -> None: ...
    async def close(self) -> None: ...


class Subscribed(ABC, Generic[Came]):
    """The source's own part: how it subscribes, and what it makes of what came."""

    kind: ClassVar[str]
    lost: ClassVar[str]  # the codes of a connection that is lost, and of a message that was not kept here
    not_kept: ClassVar[str]
    codes: ClassVar[frozenset[str]] = frozenset(("acknowledged", "kept"))

    def __init__(self, options: Any, ground: Ground, turn: Turn) -> None:
        self.options = options
        self.ground = ground
        self._poller = Poller(f"{self.kind} {ground.name}", turn, self._session)
        self.pause, self.resume = self._poller.pause, self._poller.resume
        self.close, self.stop = self._poller.close, self._poller.stop
        self._deliver: Deliver

    @abstractmethod
    async def subscribed(self) -> Subscription[Came]:
        """Raises Unreachable."""

    @abstractmethod
    def message(self, came: Came) -> Message | None:
        """None where it is passed over."""

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await self._poller.start()

    def told(self, message: Message, reply: Reply) -> Told:
        return Told("kept" if reply.state == "failed" else "acknowledged")

    def limited(self, body: bytes, max_size: int, code: str) -> tuple[bytes, str, str]:
        """The body, and the fault of one that is too large, of which only the beginning is filed."""
        if len(body) <= max_size:
            return body, "", ""
        return body[:HEAD_SIZE], f"the message is larger than {max_size} bytes", code

    async def _session(self) -> float:
        """Until the connection is lost, or this process is to take nothing more. Raises Unreachable."""
        subscription = await self.subscribed()
        owed: deque[tuple[Came, asyncio.Future[Reply]]] = deque()
        try:
            while await self._poller.may():
                if len(owed) >= _UNDER_WAY:
                    await asyncio.wait([owed[0][1]], timeout=_AGAIN_S)
                elif (came := await subscription.next(_AGAIN_S)) is not None:
                    owed.append((came, self._taken(came)))
                    owed[-1][1].add_done_callback(lambda _: subscription.nudge())
                self._settle(subscription, owed)
        except ConnectionError as error:
            raise Unreachable(self.lost, str(error)) from None
        finally:
            with contextlib.suppress(Unreachable):
                while owed:
                    await asyncio.wait([owed[0][1]])
                    self._settle(subscription, owed)
            await subscription.close()
        return 0.0

    def _taken(self, came: Came) -> asyncio.Future[Reply]:
        if (message := self.message(came)) is not None:
            return self._deliver(message)
        passed_over: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        passed_over.set_result(Reply("accepted"))
        return passed_over

    def _settle(
        self, subscription: Subscription[Came], owed: deque[tuple[Came, asyncio.Future[Reply]]]
    ) -> None:
        """Acknowledges in the order of arrival. Raises Unreachable where one was not kept here."""
        while owed and owed[0][1].done():
            came, future = owed.popleft()
            if future.cancelled() or future.exception() or future.result().state == "failed":
                owed.clear()
                raise Unreachable(
                    self.not_kept, "the engine did not keep a message; the broker sends it again"
                )
            subscription.acknowledge(came, future.result())
