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

from channels.model import Branch, Channel
from config.errors import BadMessage, JingluoError
from router.brokers.base import Broker, BrokerDown
from router.envelope import JOURNAL, Envelope, encode, queue_name
from router.ids import new_id
from router.metrics import Metrics
from router.replies import Replies
from schemas.message import Message, Reply

log = structlog.get_logger()

RETRY_AFTER_S = 5  # what a sender is told when the broker cannot take more
_INDEX_VALUE = 200  # characters kept of a searchable value


class Intake:
    """One channel's way in. `deliver` is what its source is handed."""

    def __init__(
        self, channel: Channel, broker: Broker, replies: Replies, metrics: Metrics, now_ms: Callable[[], int]
    ) -> None:
        self.channel = channel
        self._broker = broker
        self._replies = replies
        self._count = metrics.channel(channel.name)
        self._now_ms = now_ms
        self._queues = {b.name: queues_of_branch(channel, b) for b in channel.branches}
        self._names = tuple(b.name for b in channel.branches)
        self._silent = channel.reply == "none"
        self._asks = channel.reply if channel.reply not in ("accepted", "none") else ""

    def deliver(self, message: Message) -> asyncio.Future[Reply]:
        """Takes one message. Never raises; the Future ends in a Reply once the broker has confirmed."""
        started = time.perf_counter()
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        now_ms = self._now_ms()
        message_id = new_id(now_ms)
        try:
            envelope, queues = self._route(message, message_id, now_ms)
            body = encode(envelope)
        except BadMessage as error:
            envelope, queues = self._refusal(message, message_id, now_ms, error), (JOURNAL,)
            body = encode(envelope)
        except Exception:
            # A bug of ours must not cost the sender's connection: it is told, nothing was kept.
            log.exception("intake.bug", channel=self.channel.name, message=message_id)
            done.set_result(
                Reply("failed", id=message_id, code="JL-D900", text="internal error, nothing was kept")
            )
            return done
        # Before the publish: a quick destination may answer before the confirm is read.
        waited = None
        if self._asks in envelope.destinations:
            waited = self._replies.expect(message_id, self.channel.timeout_s)
        confirmed = self._broker.publish(queues, body)
        confirmed.add_done_callback(lambda future: self._answer(envelope, future, waited, done, started))
        return done

    def _route(self, message: Message, message_id: str, now_ms: int) -> tuple[Envelope, tuple[str, ...]]:
        channel = self.channel
        if message.fault:
            raise BadMessage(message.fault_code, message.fault)
        tree = channel.format.decode(message.body, message.charset)
        chosen: tuple[str, ...] = ()
        if channel.when is None or channel.when(tree):
            chosen = tuple(b.name for b in channel.branches if b.when is None or b.when(tree))
        index = {}
        for name, read in channel.index.items():
            value = read(tree)
            if value:
                index[name] = value[:_INDEX_VALUE]
        envelope = Envelope(
            id=message_id,
            channel=channel.name,
            received_ms=now_ms,
            source=message.source,
            format=channel.format.name,
            charset=message.charset,
            kind=channel.format.sniff(tree),
            body=message.body,
            headers=dict(message.headers),
            index=index,
            destinations=chosen,
            filtered=self._names if not chosen else tuple(n for n in self._names if n not in chosen),
            state="accepted" if chosen else "filtered",
            parent=message.parent,
            reply_to=self._replies.address if self._asks in chosen else "",
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
        if channel.order_by is not None and envelope.destinations:
            if tree is None:
                tree = channel.format.decode(envelope.body, envelope.charset)
            lane = zlib.crc32((channel.order_by(tree) or "").encode()) % channel.lanes
        return (*[self._queues[name][lane] for name in envelope.destinations], JOURNAL)

    def _refusal(self, message: Message, message_id: str, now_ms: int, error: BadMessage) -> Envelope:
        return Envelope(
            id=message_id,
            channel=self.channel.name,
            received_ms=now_ms,
            source=message.source,
            format=self.channel.format.name,
            charset=message.charset,
            kind="",
            body=message.body,
            headers=dict(message.headers),
            index={},
            destinations=(),
            state="refused",
            code=error.code,
            reason=error.text,
            parent=message.parent,
        )

    def _answer(
        self,
        envelope: Envelope,
        confirmed: asyncio.Future[None],
        waited: asyncio.Future[Reply] | None,
        done: asyncio.Future[Reply],
        started: float,
    ) -> None:
        problem = (
            confirmed.exception() if not confirmed.cancelled() else BrokerDown("JL-B001", "the engine stops")
        )
        if problem is not None:
            self._count.failed.inc()
            reply = _failed(envelope, problem)
            self._replies.forget(envelope.id)
        elif envelope.state == "refused":
            self._count.refused.inc()
            reply = Reply("refused", id=envelope.id, code=envelope.code, text=envelope.reason)
        else:
            (self._count.accepted if envelope.destinations else self._count.filtered).inc()
            reply = Reply("accepted", id=envelope.id, silent=self._silent)
        self._count.answer_seconds.observe(time.perf_counter() - started)
        if waited is not None and reply.state == "accepted":
            waited.add_done_callback(lambda future: _settle(done, future.result()))
        else:
            _settle(done, reply)


def _failed(envelope: Envelope, problem: BaseException) -> Reply:
    if isinstance(problem, JingluoError):
        code, text = problem.code, problem.text
    else:
        code, text = "JL-D900", "internal error"
    text = f"nothing was kept: {text}"
    return Reply("failed", id=envelope.id, code=code, text=text, retry_after_s=RETRY_AFTER_S)


def _settle(done: asyncio.Future[Reply], reply: Reply) -> None:
    if not done.done():  # else the sender went away
        done.set_result(reply)


def queues_of_branch(channel: Channel, branch: Branch) -> tuple[str, ...]:
    """A destination's queues: one, or one a lane."""
    if channel.order_by is None:
        return (queue_name(channel.name, branch.name),)
    return tuple(queue_name(channel.name, branch.name, lane) for lane in range(channel.lanes))
