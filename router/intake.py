"""A channel's door: read the message, decide where it goes, make it durable in one publish, answer.

No task, no database and no copy of the body stand between a sender and its answer: `deliver` decides at once and
the broker's confirm completes the reply.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from channels.model import BATCH, Branch, Channel
from config.errors import BadMessage, JingluoError
from router.arrival import Arrival, failed, problem_of, refused
from router.brokers.base import Publisher, QueueFull
from router.duplicates import Duplicates
from router.envelope import JOURNAL, BlobRef, Envelope, encode, queues_of
from router.ids import fixed_id, new_id
from router.large import APART, Large, ref_of
from router.metrics import Metrics
from router.reading import Came, Read, Reader
from router.replies import Replies, pending
from router.results import Results
from schemas.message import Blob, Message, Reply
from schemas.validation.base import told

log = structlog.get_logger()

_INDEX_VALUE = 200  # characters kept of a searchable value


class Intake:
    """One channel's way in. `deliver` is what its source is handed."""

    def __init__(
        self,
        channel: Channel,
        broker: Publisher,
        replies: Replies,
        metrics: Metrics,
        now_ms: Callable[[], int],
        large: Large,
        full: Callable[[], None],
        duplicates: Duplicates,
        results: Results | None = None,
        ids: Callable[[int], str] = new_id,
    ) -> None:
        """`full` is told that a queue took no more; `ids` makes the id of a message that came at a time (Unix ms)."""
        self.channel = channel
        self._broker = broker
        self._replies = replies
        self._count = metrics.channel(channel.name)
        self._now_ms = now_ms
        self._large = large
        self._full = full
        self.taken = self.taken_bytes = 0  # what was published so far
        self._reading: asyncio.Future[Came] | None = None  # the last that is read in a thread
        self._duplicates = duplicates
        self._results = results if channel.web else None
        self._ids = ids
        self._queues = {b.name: queues_of_branch(channel, b) for b in channel.branches}
        self._ways = channel.ways
        self._names = tuple(b.name for b in channel.ways)
        self._reader = Reader(channel, large)
        self._silent = channel.reply == "none"
        self._asks = channel.asks

    def deliver(self, message: Message) -> asyncio.Future[Reply]:
        """Takes one message. Never raises; the Future ends in a Reply once the broker has confirmed.

        One that has an id already comes from another channel. It keeps the id, so that what is handed over twice is
        the same message; what cannot be taken is filed nowhere here: it is that channel's dead letter.
        """
        if message.blob is not None:
            return asyncio.ensure_future(self._deliver_large(message, message.blob))
        if self._reading is None and (not self._reader.takes_long or len(message.body) < APART):
            return self._deliver(message, "")
        self._reading = reading = asyncio.ensure_future(self._read_apart(message, self._reading))
        return asyncio.ensure_future(self._deliver_apart(message, reading))

    async def _read_apart(self, message: Message, before: asyncio.Future[Came] | None) -> Came:
        """In a thread, so that it holds up no other channel; in this one nothing overtakes."""
        if before is not None:
            await asyncio.wait([before])
        return await asyncio.to_thread(self._reader.came, message)

    async def _deliver_apart(self, message: Message, reading: asyncio.Future[Came]) -> Reply:
        came = await reading
        if self._reading is reading:
            self._reading = None
        return await self._deliver(message, "", came)

    async def _deliver_large(self, message: Message, blob: Blob) -> Reply:
        """Its id is its file's name: so who sweeps finds what refers to a file."""
        try:
            message, read = await asyncio.to_thread(self._reader.large, message, blob)
        except JingluoError as error:
            self._count.failed.inc()
            if not message.id:
                self._forget(ref_of(blob), error)
            return failed(message.id or blob.name, error)
        return await self._deliver(message, blob.name, read)

    def _deliver(self, message: Message, message_id: str, read: Came = None) -> asyncio.Future[Reply]:
        """`read`: what came of reading it already."""
        now_ms = self._now_ms()
        arrival = Arrival(
            message.id or message_id or self._own_id(message) or self._ids(now_ms),
            asyncio.get_running_loop().create_future(),
            time.perf_counter(),
            handed=bool(message.id),
            caller=message.headers.get("caller.name", ""),
        )
        try:
            envelope, queues = self._decide(message, arrival, now_ms, read)
            body = encode(envelope)
        except BadMessage as error:
            arrival.settle(refused(arrival.id, error))
            return arrival.done
        except Exception:
            # A bug of ours must not cost the sender's connection: it is told, nothing was kept.
            log.exception("intake.bug", channel=self.channel.name, message=arrival.id)
            self._count.failed.inc()
            if not arrival.handed:
                self._forget(ref_of(message.blob), None)
            text = "internal error, nothing was kept"
            arrival.settle(Reply("failed", id=arrival.id, code="JL-D900", text=text))
            return arrival.done
        if arrival.first is not None:
            arrival.first.reply.add_done_callback(
                lambda future: self._repeat(arrival, envelope.blob, body, future.result())
            )
            return arrival.done
        # Before the publish: a quick destination may answer before the confirm is read.
        if self._asks in envelope.destinations and not arrival.handed:
            arrival.waited = self._replies.expect(arrival.id, self.channel.timeout_s)
        if arrival.keys:
            self._duplicates.begin(arrival.keys, arrival.id)
        self.taken += 1
        self.taken_bytes += len(body)
        confirmed = self._broker.publish(queues, body)
        confirmed.add_done_callback(lambda future: self._answer(arrival, envelope, future))
        return arrival.done

    def _own_id(self, message: Message) -> str:
        """Of what its source may take again after a crash; else ''."""
        once = message.once
        return fixed_id(once.at_ms, self.channel.name.encode() + once.key) if once and once.at_ms else ""

    def _decide(
        self, message: Message, arrival: Arrival, now_ms: int, read: Came
    ) -> tuple[Envelope, tuple[str, ...]]:
        """What becomes of it: sent on, filtered, refused, or known as the resend of another."""
        try:
            if isinstance(read, BadMessage):
                raise read
            if read is None:
                read = self._reader.read(message)
            tree = read.tree
            keys = self._duplicates.keys(message, tree)
            arrival.first = self._duplicates.first(keys)
            if arrival.first is not None:
                resent = self._unsent(message, arrival.id, now_ms, "duplicate", arrival.first.id)
                return resent, (JOURNAL,)
            envelope, queues = self._route(message, read, arrival.id, now_ms)
        except BadMessage as error:
            if arrival.handed:
                raise
            arrival.refusal = refused(arrival.id, error)
            return self._unsent(message, arrival.id, now_ms, "refused", error=error), (JOURNAL,)
        if envelope.destinations:
            arrival.keys = keys
        return envelope, queues

    def _route(
        self, message: Message, read: Read, message_id: str, now_ms: int
    ) -> tuple[Envelope, tuple[str, ...]]:
        channel, tree, noted = self.channel, read.tree, read.noted
        chosen: tuple[str, ...] = ()
        if read.batch:
            chosen = (BATCH,)
        elif channel.when is None or channel.when(tree, message):
            chosen = tuple(b.name for b in self._ways if b.when is None or b.when(tree, message))
        index = {}
        for name, value_of in channel.index.items() if not read.batch else ():
            value = value_of(tree, message)
            if value:
                index[name] = value[:_INDEX_VALUE]
        envelope = Envelope(
            id=message_id,
            channel=channel.name,
            received_ms=now_ms,
            source=message.source,
            format=channel.format.name,
            charset=message.charset,
            kind=BATCH if read.batch else channel.format.sniff(tree) if tree is not None else "",
            body=message.body if message.blob is None else b"",
            headers=dict(message.headers),
            index=index,
            destinations=chosen,
            filtered=() if read.batch else tuple(n for n in self._names if n not in chosen),
            state="accepted" if chosen else "filtered",
            code=noted[0].code if noted else "",
            reason=told(noted) if noted else "",
            parent=message.parent,
            reply_to=self._replies.address if self._asks in chosen and not message.id else "",
            blob=ref_of(message.blob),
            again=message.redelivered,
        )
        return envelope, self.queues(envelope, tree)

    def queues(self, envelope: Envelope, tree: object = None) -> tuple[str, ...]:
        """Every queue that this message must be durable in: its destinations' (in their lane) and the journal's.

        Raises JingluoError (JL-J007) for a destination that the channel does not have.
        """
        channel = self.channel
        if unknown := [name for name in envelope.destinations if name not in self._queues]:
            raise JingluoError("JL-J007", f"the channel {channel.name} has no destination {unknown[0]}")
        lane = 0
        keyless = envelope.item or (channel.batch is not None and envelope.destinations == (BATCH,))
        if channel.lanes and channel.order_by is not None and envelope.destinations and not keyless:
            if tree is None:
                tree = channel.format.decode(self._large.beginning(envelope), envelope.charset)
            lane = zlib.crc32((channel.order_by(tree, envelope) or "").encode()) % channel.lanes
        queues = [self._queues[name] for name in envelope.destinations]
        return (*[mine[lane % len(mine)] for mine in queues], JOURNAL)

    def _unsent(
        self,
        message: Message,
        message_id: str,
        now_ms: int,
        state: str,
        parent: str = "",
        error: BadMessage | None = None,
    ) -> Envelope:
        """For the journal alone."""
        return Envelope(
            id=message_id,
            channel=self.channel.name,
            received_ms=now_ms,
            source=message.source,
            format=self.channel.format.name,
            charset=message.charset,
            kind="",
            body=message.body if message.blob is None else b"",
            headers=dict(message.headers),
            index={},
            destinations=(),
            state=state,
            code=error.code if error else "",
            reason=error.text if error else "",
            parent=parent or message.parent,
            blob=ref_of(message.blob),
        )

    def _answer(self, arrival: Arrival, envelope: Envelope, confirmed: asyncio.Future[None]) -> None:
        """The broker has it, or has not. A resend could come from now on: first it is made known, then answered."""
        problem = problem_of(confirmed)
        if problem is not None:
            self._count.failed.inc()
            if not arrival.handed:
                self._forget(envelope.blob, problem)
            if isinstance(problem, QueueFull):
                self._full()
            self._replies.forget(envelope.id)
            arrival.waited = None
            self._end(arrival, failed(envelope.id, problem))
        elif envelope.state == "refused":
            self._count.refused.inc()
            assert arrival.refusal is not None
            arrival.settle(arrival.refusal)
        else:
            if envelope.code:
                self._count.noted.inc()
            (self._count.accepted if envelope.destinations else self._count.filtered).inc()
            if arrival.waited is None:
                self._known(arrival, Reply("accepted", id=envelope.id, silent=self._silent))
            else:
                if arrival.keys:
                    self._duplicates.kept(arrival.keys, pending(envelope.id))
                    self._pending(envelope, pending(envelope.id))
                arrival.waited.add_done_callback(
                    lambda future: self._came_back(arrival, envelope, future.result())
                )
        self._count.answer_seconds.observe(time.perf_counter() - arrival.started)

    def _forget(self, blob: BlobRef | None, problem: BaseException | None) -> None:
        if blob is not None:
            asyncio.get_running_loop().run_in_executor(None, self._large.forget, blob, problem)

    def _came_back(self, arrival: Arrival, envelope: Envelope, reply: Reply) -> None:
        """What its destination said, or `pending`."""
        if reply.state == "pending":
            self._pending(envelope, reply)
        self._known(arrival, reply)

    def _pending(self, envelope: Envelope, reply: Reply) -> None:
        if self._results is not None:
            self._results.pending(envelope, reply)

    def _known(self, arrival: Arrival, reply: Reply) -> None:
        if arrival.keys:
            kept = self._duplicates.kept(arrival.keys, reply)
            kept.add_done_callback(lambda _: self._end(arrival, reply))
        else:
            arrival.settle(reply)

    def _end(self, arrival: Arrival, reply: Reply) -> None:
        if arrival.keys:
            self._duplicates.end(arrival.keys, reply)
        arrival.settle(reply)

    def _repeat(self, arrival: Arrival, blob: BlobRef | None, body: bytes, reply: Reply) -> None:
        """A resend hears what the first heard. Where nothing was kept of that one, nothing is of this."""
        blob = None if arrival.handed else blob
        if arrival.first is not None and arrival.first.id == arrival.id:  # it was handed over before
            arrival.settle(reply)
            return
        if reply.state == "failed":
            self._count.failed.inc()
            self._forget(blob, None)
            arrival.settle(reply)
            return
        if reply.state == "pending" and self._results is not None:
            reply = self._results.find(self.channel.name, arrival.caller, reply.id) or reply

        def filed(confirmed: asyncio.Future[None]) -> None:
            problem = problem_of(confirmed)
            (self._count.failed if problem else self._count.duplicates).inc()
            if problem is not None:
                self._forget(blob, problem)
            arrival.settle(failed(arrival.id, problem) if problem else replace(reply, again=True))
            self._count.answer_seconds.observe(time.perf_counter() - arrival.started)

        self._broker.publish((JOURNAL,), body).add_done_callback(filed)


def queues_of_branch(channel: Channel, branch: Branch) -> tuple[str, ...]:
    """A destination's queues: one, or one a lane."""
    return queues_of(channel.name, branch.name, channel.lanes_to(branch.name))
