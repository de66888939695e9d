"""RabbitMQ: quorum queues, one confirmed publish for all destinations, own reconnect.

A session (rabbitmq_session.py) is opened as a whole, with every queue declared and verified and every
consumer attached, before the broker says it is open; and it ends as a whole, whatever part of it fails: a
lost connection, a late confirm, a queue deleted behind our back. Then the next one is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from config.tls import ClientTls, client_context
from router.brokers.base import BrokerDown, Delivered, Depth, QueueFull, QueueSpec, Standing
from router.brokers.rabbitmq_consume import RabbitConsumer, Returned
from router.brokers.rabbitmq_follow import Follower
from router.brokers.rabbitmq_link import LinkLost
from router.brokers.rabbitmq_mail import Mailbox
from router.brokers.rabbitmq_session import Session
from router.brokers.rabbitmq_topology import delay_name, delay_step_ms

log = structlog.get_logger()

BACKOFF_S = (0.5, 30.0)
CONFIRM_TIMEOUT_S = 10.0
RENEW_S = 1.0  # after the beginning of a session: by then there are new leaders
CHECK_S = 5.0  # between two looks whether every queue is still there, and how full

T = TypeVar("T")


class RabbitBroker:
    """`urls` are tried in turn. `prefix` names the exchange and the delay queues."""

    def __init__(
        self,
        urls: Sequence[str],
        prefix: str = "jl",
        *,
        tls: ClientTls | None = None,
        confirm_timeout_s: float = CONFIRM_TIMEOUT_S,
        check_s: float = CHECK_S,
    ) -> None:
        self._urls = list(urls)
        self._prefix = prefix
        self._tls = tls or ClientTls()
        self._context: ssl.SSLContext | None = None
        self._confirm_timeout_s = confirm_timeout_s
        self._check_s = check_s
        self._specs: dict[str, QueueSpec] = {}
        self._consumers: list[RabbitConsumer] = []
        self._listeners: list[Mailbox | Follower] = []  # each is attached to every session
        self._returned: defaultdict[str, Returned] = defaultdict(Returned)
        self._full: set[str] = set()
        self._tell: list[Callable[[bool], None]] = []
        self._session: Session | None = None  # only while it is complete
        self._blocked = False
        self._open = False
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()  # the life of sessions, and first uses of a delay step

    def on_change(self, tell: Callable[[bool], None]) -> None:
        self._tell.append(tell)

    @property
    def open(self) -> bool:
        return self._open

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawn(self._run())
        await self._opened.wait()

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        """While RabbitMQ is away: remembered, and BrokerDown."""
        self._specs.update({spec.name: spec for spec in queues})
        await self._ask(lambda session: session.declare(queues))

    async def delete(self, queues: Sequence[str]) -> None:
        for name in queues:
            self._specs.pop(name, None)
            self._returned.pop(name, None)
            for consumer in [c for c in self._consumers if c.queue == name]:
                await consumer.cancel()
            await self._ask(lambda session, name=name: session.delete(name))  # type: ignore[misc]

    def publish(self, queues: Sequence[str], body: bytes, *, delay_s: float = 0) -> asyncio.Future[None]:
        if not queues:
            raise ValueError("a publish needs at least one queue")
        future: asyncio.Future[None] = self._loop.create_future()
        names = list(dict.fromkeys(queues))
        try:
            # What waits for its time is work that was accepted before: not refused for want of room.
            session = self._accepting(names, limited=delay_s <= 0)
            if delay_s <= 0:
                session.publisher.publish(self._prefix, names, body, future)
                return future
            step = delay_step_ms(delay_s)
            if step in session.steps:
                session.publisher.publish(delay_name(self._prefix, step), names, body, future)
            else:
                self._spawn(self._first_of_step(step, names, body, future))
        except BrokerDown as refused:
            future.set_exception(refused)
        return future

    async def consume(
        self, queue: str, on_delivery: Callable[[Delivered], None], prefetch: int
    ) -> RabbitConsumer:
        if queue not in self._specs:
            raise _unknown(queue)
        consumer = RabbitConsumer(queue, on_delivery, prefetch, self._returned[queue], self._consumers.remove)
        self._consumers.append(consumer)
        session = self._session
        if session is not None:
            try:
                await consumer.attach(session.consuming, session.end)
            except LinkLost as lost:
                session.end(lost)  # the next session attaches it
        return consumer

    async def follow(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        if stream not in self._specs:
            raise _unknown(stream)
        await self._listen(Follower(stream, on_entry, since_ms))

    async def _listen(self, listener: Mailbox | Follower) -> None:
        self._listeners.append(listener)
        with contextlib.suppress(BrokerDown):  # the next session attaches it
            await self._ask(lambda session: listener.attach(session.consuming, session.end))

    def ack(self, delivered: Delivered) -> None:
        held, tag = delivered.tag
        held.ack(tag)

    def holds(self, delivered: Delivered) -> bool:
        held, tag = delivered.tag
        return tag in held.tags

    async def mailbox(self, on_mail: Callable[[bytes], None]) -> Callable[[], str]:
        mailbox = Mailbox(self._prefix, on_mail)
        await self._listen(mailbox)
        return lambda: mailbox.address

    def post(self, address: str, body: bytes) -> None:
        if self._session is not None:
            self._session.post(address, body)

    async def depth(self, queues: Sequence[str]) -> dict[str, Depth]:
        """`held` is what this process's consumers hold. `Depth.delayed` is not known by queue, and 0."""

        async def look(session: Session) -> dict[str, Depth]:
            return {name: await self._look(session, name) for name in queues}

        return await self._ask(look)

    async def settled(self) -> None:
        if self._session is not None:
            await self._session.publisher.settled()

    async def empty(self, queues: Sequence[str]) -> bool:
        """The delay queues are those of all destinations: while any of them holds something, nobody knows.

        They are looked at before and after: a message moves between them and its queue meanwhile, both ways.
        """
        if await self.delayed():
            return False
        for name in queues:
            found = await self.look(name)
            if (found is not None and found.ready) or self._held(name):
                return False
        return not await self.delayed()

    async def look(self, queue: str) -> Standing | None:
        return await self._ask(lambda session: session.look(queue))

    async def delayed(self) -> int:
        return await self._ask(lambda session: session.delayed())

    async def delayed_in(self, queue: str, limit: int) -> list[bytes]:
        return []  # the delay queues are those of all destinations, and no queue can be read in place

    async def contents(self, queue: str, limit: int) -> list[bytes] | None:
        return None

    async def stop(self) -> None:
        for consumer in list(self._consumers):
            await consumer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The life of sessions

    async def _run(self) -> None:
        wait_s = BACKOFF_S[0]
        for url in itertools.cycle(self._urls):
            session = Session(self._prefix)
            try:
                await self._begin(session, url)
                wait_s = BACKOFF_S[0]
                lost = await self._watch(session)
            except LinkLost as failed:
                lost = failed
            except asyncio.CancelledError:
                self._end(session, "stopped")
                await session.closed()
                raise
            except Exception as bug:  # must not end the reconnecting
                log.exception("a session with RabbitMQ failed")
                lost = LinkLost(bug)
            log.warning("rabbitmq closed", host=urlsplit(url).hostname, reason=str(lost))
            self._end(session, str(lost))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))
            wait_s = min(wait_s * 2, BACKOFF_S[1])

    async def _begin(self, session: Session, url: str) -> None:
        self._blocked = False
        await session.open(url, self._secure(url), self._on_blocked)
        # Others may declare and consume meanwhile: it is complete when nothing is left to do.
        listening = 0
        while True:
            specs = [spec for name, spec in self._specs.items() if name not in session.verified]
            detached = [consumer for consumer in self._consumers if consumer.held is None]
            if not specs and not detached and listening == len(self._listeners):
                break
            await session.declare(specs)
            for listener in self._listeners[listening:]:
                listening += 1
                await listener.attach(session.consuming, session.end)
            for (
                consumer
            ) in detached:  # last: what is handed out is sent on, and what failed now would bring it back
                await consumer.attach(session.consuming, session.end)
        if session.lost is not None:
            raise session.lost
        log.info("rabbitmq open", host=urlsplit(url).hostname)
        self._session = session
        self._full.clear()
        self._update()

    def _secure(self, url: str) -> ssl.SSLContext | None:
        """Raises LinkLost where a file of TLS cannot be used; it may be there at the next try."""
        if not url.startswith("amqps:"):
            return None
        try:
            self._context = self._context or client_context(self._tls)
        except OSError as error:
            raise LinkLost(f"TLS: {error.strerror}") from error
        return self._context

    async def _watch(self, session: Session) -> LinkLost:
        """Until it is lost: late confirms, queues that are gone, queues that are full.

        The queues are looked at beside it: RabbitMQ that does not answer shall not keep senders waiting for that too.
        """
        look_at = self._loop.time() + self._check_s
        renew_at = self._loop.time() + min(RENEW_S, self._check_s)
        looking: asyncio.Task[None] | None = None
        while session.lost is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, self._confirm_timeout_s / 4, self._check_s)):
                    await session.wake.wait()
            if session.publisher.oldest_s() > self._confirm_timeout_s:
                late = f"no confirm within {self._confirm_timeout_s:g} s"
                session.publisher.fail(BrokerDown("JL-B006", late))
                return LinkLost(late)
            now = self._loop.time()
            if session.wake.is_set():
                session.wake.clear()
                look_at = now
            if now >= look_at and (looking is None or looking.done()):
                looking = self._spawn(self._look_at_all(session))
                look_at = now + self._check_s
            if session.refused and now >= renew_at:
                renew_at = now + self._check_s
                self._spawn(session.renew())
        return session.lost

    async def _look_at_all(self, session: Session) -> None:
        try:
            for name in list(self._specs):
                with contextlib.suppress(BrokerDown):  # deleted: by us, or the session ends for it
                    await self._look(session, name)
        except LinkLost as lost:
            session.end(lost)

    def _end(self, session: Session, reason: str) -> None:
        self._session = None
        for consumer in self._consumers:
            consumer.detached()
        self._update()
        session.close(BrokerDown("JL-B007", f"the connection to RabbitMQ was lost: {reason}"))

    def _on_blocked(self, blocked: bool) -> None:
        log.warning("rabbitmq alarm", blocked=blocked)
        self._blocked = blocked
        self._update()

    def _update(self) -> None:
        is_open = self._session is not None and not self._blocked
        if is_open:
            self._opened.set()
        if is_open != self._open:
            self._open = is_open
            for tell in self._tell:
                tell(is_open)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is asked of the session

    def _accepting(self, names: Iterable[str], limited: bool) -> Session:
        session = self._session
        if session is None or not self._open:
            raise BrokerDown("JL-B001", "RabbitMQ cannot take messages now")
        for name in names:
            if name not in session.verified:
                raise _unknown(name)
            if limited and name in self._full:
                raise QueueFull("JL-B003", f"queue {name} is full")
        return session

    async def _first_of_step(
        self, step: int, names: Sequence[str], body: bytes, future: asyncio.Future[None]
    ) -> None:
        try:
            await self._ask(lambda session: session.declare_step(step))
            session = self._accepting(names, limited=False)
            session.publisher.publish(delay_name(self._prefix, step), names, body, future)
        except BrokerDown as down:
            if not future.done():
                future.set_exception(down)

    async def _ask(self, work: Callable[[Session], Awaitable[T]]) -> T:
        session = self._session
        if session is None:
            raise BrokerDown("JL-B001", "RabbitMQ is not connected")
        try:
            return await work(session)
        except LinkLost as lost:
            session.end(lost)
            raise BrokerDown("JL-B007", f"RabbitMQ did not do it: {lost}") from lost

    async def _look(self, session: Session, name: str) -> Depth:
        """How full a queue is. One that is gone ends the session: the next declares it again."""
        ready = await session.count(name)
        spec = self._specs.get(name)
        if ready is None:
            if spec is not None:
                session.end(LinkLost(f"queue {name} was deleted"))
            raise _unknown(name)
        if spec is not None and ready >= spec.max_length and not spec.stream:
            self._full.add(name)
        else:
            self._full.discard(name)
        return Depth(ready, self._held(name))

    def _held(self, name: str) -> int:
        return sum(len(c.held.tags) for c in self._consumers if c.queue == name and c.held is not None)


def _unknown(name: str) -> BrokerDown:
    return BrokerDown("JL-B002", f"queue {name} was not declared")
