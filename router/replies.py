"""Senders that wait for a destination's answer: from a message's id to the Future of its reply.

The answer comes back through memory, or from another process by the mailbox that the message names. The message
itself is durable before anybody waits, so a time-out or a crash costs the sender an answer (`pending`), never a
message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from config.errors import BadMessage, JingluoError, Refused
from router.attempt import Outcome
from router.brokers.base import Post
from router.envelope import DELIVERED, Attempt, Envelope
from router.results import Results
from schemas.message import Receipt, Reply

_encoder = msgspec.msgpack.Encoder(enc_hook=dict)
_decoder = msgspec.msgpack.Decoder(Reply)


class Replies:
    """Who waits for what. Bounded: over `limit` the next ones are not waited for and hear `accepted`.

    `address` is this process's mailbox, which its messages name; empty where no other process delivers them.
    """

    def __init__(self, broker: Post, results: Results | None = None, limit: int = 10_000) -> None:
        """`results` are told of answers to web doors that nobody here waits for."""
        self._results = results
        self._where: Callable[[], str] = lambda: ""
        self._broker = broker
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._limit = limit

    @property
    def address(self) -> str:
        return self._where()

    async def open(self) -> None:
        self._where = await self._broker.mailbox(self._came)

    def expect(self, message_id: str, within_s: float) -> asyncio.Future[Reply] | None:
        """From now on an answer to this message is awaited; `pending` after `within_s` seconds."""
        if len(self._waiting) >= self._limit:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        timer = loop.call_later(within_s, self._settle, message_id, pending(message_id))
        future.add_done_callback(lambda _: timer.cancel())
        self._waiting[message_id] = future
        return future

    def forget(self, message_id: str) -> None:
        """The message was not accepted after all."""
        self._settle(message_id, pending(message_id))

    def answered(self, envelope: Envelope, receipt: Receipt, body: bytes, format: str) -> None:
        """The destination said yes; `body` is its answer, mapped where the channel maps it."""
        reply = Reply("answered", id=envelope.id, body=body, format=format, headers=dict(receipt.headers))
        self._pass_on(envelope, reply)

    def failed(self, envelope: Envelope, error: JingluoError, delivered: bool = False) -> None:
        """There will be no answer. Never "nothing was kept": the message is, and an operator sees it."""
        if isinstance(error, Refused):
            body, headers = error.answer or b"", dict(error.headers)
            reply = Reply(
                "refused", id=envelope.id, code=error.code, text=error.text, body=body, headers=headers
            )
        elif isinstance(error, BadMessage):
            headers = {DELIVERED: "true"} if delivered else {}
            reply = Reply("refused", id=envelope.id, code=error.code, text=error.text, headers=headers)
        else:
            text = f"kept, but given up: {error.text}; do not send it again 已接收，处理失败待人工，请勿重发"
            reply = Reply("pending", id=envelope.id, code=error.code, text=text)
        self._pass_on(envelope, reply)

    def give_up(self) -> None:
        """The engine stops: everybody still waiting hears `pending`."""
        for message_id in list(self._waiting):
            self._settle(message_id, pending(message_id))

    def tried(self, envelope: Envelope, outcome: Outcome) -> None:
        """What a try of the destination whose answer is the reply means to who waits: nothing, where it is repeated."""
        if outcome.receipt is not None and outcome.error is None:
            self.answered(envelope, outcome.receipt, outcome.reply_body, outcome.reply_format)
        elif outcome.error is not None and outcome.record.outcome != "retry":
            self.failed(envelope, outcome.error, outcome.receipt is not None)

    def held(self, envelope: Envelope, record: Attempt) -> None:
        """It is given up, and waits for an operator."""
        self.failed(envelope, JingluoError(record.code, record.reason))

    def _pass_on(self, envelope: Envelope, reply: Reply) -> None:
        if envelope.id in self._waiting:
            self._settle(envelope.id, reply)
            return
        if envelope.reply_to and envelope.reply_to != self.address:
            self._broker.post(envelope.reply_to, _encoder.encode(reply))
        if self._results is not None and "method" in envelope.headers:
            self._results.ended(envelope, reply)

    def _came(self, body: bytes) -> None:
        reply = _decoder.decode(body)
        self._settle(reply.id, reply)

    def _settle(self, message_id: str, reply: Reply) -> None:
        future = self._waiting.pop(message_id, None)
        if future is not None and not future.done():
            future.set_result(reply)


def pending(message_id: str) -> Reply:
    """Kept, and no more is known."""
    return Reply(
        "pending",
        id=message_id,
        text="accepted, no answer yet; do not send it again 已接收，尚无结果，请勿重发",
    )
