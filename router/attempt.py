"""One try of one delivery: map, send, and say what became of it. Knows no queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from msgspec import Struct
from msgspec.structs import replace

from channels.model import LONGEST_SEND_S, Branch, Channel
from config.errors import BadMessage, JingluoError, Refused, Unreachable
from endpoints.base import Destination
from router.envelope import ANSWER_KEPT, EXPIRES, Attempt, BlobRef, Envelope
from router.items import Handed, Items, Letter
from router.large import APART, Large
from router.lineage import handed_on
from schemas.message import Message, Receipt
from schemas.validation.base import Fault, told

log = structlog.get_logger()

_LONGEST_DELAY_S = 86_400.0  # what a broker's delay can hold
_NOT_FOUND_BY = "its answer cannot be read, so nothing is found by it 应答无法读取，不能据此检索"


T = TypeVar("T")


class Outcome(Struct, frozen=True):
    """What one try came to. `delay_s` is for a retry; `error` explains a retry or a dead letter."""

    record: Attempt
    receipt: Receipt | None = None
    reply_body: bytes = b""
    reply_format: str = ""
    error: JingluoError | None = None
    delay_s: float = 0.0
    noted: bool = False  # what was sent has faults
    letters: list[Letter] = []  # items of it that another channel does not take: they are to be filed first


class Answer(Struct, frozen=True):
    """A receiver's answer as the requester shall see it, or why nothing can be made of it."""

    body: bytes = b""
    format: str = ""
    error: JingluoError | None = None


UNASKED = Answer()


class Attempter:
    """Tries deliveries of one destination of one channel."""

    def __init__(
        self,
        channel: Channel,
        branch: Branch,
        destination: Destination,
        now_ms: Callable[[], int],
        large: Large,
    ) -> None:
        self._channel = channel
        self._branch = branch
        # A kind that has no limit of its own: one that hangs would keep its delivery until the broker takes it back.
        self._send = destination.send if branch.longest_send_s else self._send_bounded
        self._destination = destination
        self._now_ms = now_ms
        self._large = large
        self._target = branch.target
        self._items = Items(channel, branch, branch.split, destination.send) if branch.split else None
        self._passed_on = branch.map is None and branch.validation is None
        whole = (branch.split is not None and not branch.split.streams) or branch.collect is not None
        self._streams = self._passed_on and not whole and getattr(destination, "streams", False)

    async def attempt(self, envelope: Envelope, number: int, *, redelivered: bool = False) -> Outcome:
        """Try number `number` (from 1). Never raises but CancelledError."""
        began_ms = self._now_ms()
        trying = self._try(envelope, number, redelivered, began_ms)
        done = await self.judged(envelope, number, began_ms, trying)
        if isinstance(done, Outcome):
            return await self._findable(envelope, done)
        outcome = self.sent(envelope, number, began_ms, *done, await self._answer(envelope, done[0]))
        return await self._findable(envelope, outcome)

    async def judged(
        self, envelope: Envelope, number: int, began_ms: int, doing: Awaitable[T]
    ) -> T | Outcome:
        """What it gives, or what its failure comes to. Never raises but CancelledError."""
        try:
            return await doing
        except Unreachable as error:
            return self._again(envelope, number, began_ms, error, error.after_s)
        except Refused as error:
            if error.retry:
                return self._again(envelope, number, began_ms, error, None)
            return self._outcome(envelope, number, began_ms, "dead", error=error, answer=error.answer or b"")
        except BadMessage as error:
            return self._outcome(envelope, number, began_ms, "dead", error=error)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cut_short():
                raise
            bug = self._bug(envelope, error)  # kept as a dead letter, not tried for a day
            return self._outcome(envelope, number, began_ms, "dead", error=bug)

    async def message(self, envelope: Envelope, number: int, redelivered: bool) -> Message:
        """What came, with a large body as the destination takes it. Raises Unreachable and BadMessage."""
        message = Message(
            body=envelope.body,
            source=envelope.source,
            headers=envelope.headers,
            id=envelope.id,
            channel=envelope.channel,
            received_ms=envelope.received_ms,
            format=envelope.format,
            charset=envelope.charset,
            parent=envelope.parent,
            attempt=number,
            redelivered=redelivered or envelope.again or number > 1,
        )
        return message if envelope.blob is None else await self._with_large(message, envelope.blob)

    async def _try(
        self, envelope: Envelope, number: int, redelivered: bool, began_ms: int
    ) -> tuple[Receipt, list[Fault], Handed | None]:
        message = await self.message(envelope, number, redelivered)
        made, noted = await self.made(message) if not envelope.item else (message, [])
        if (expires := envelope.headers.get(EXPIRES)) is not None:
            _once(message, expires, began_ms)
        if self._target:
            handed = await self._hand_over(made, envelope, began_ms)
            return handed.receipt, noted, handed
        if envelope.blob is not None:  # it has its time by the piece, and this for all of them
            return await in_time(self._destination.send(made), LONGEST_SEND_S / 2), noted, None
        return await self._send(made), noted, None

    async def _hand_over(self, made: Message, envelope: Envelope, began_ms: int) -> Handed:
        """To another channel, as a message of its own, or as many."""
        if self._items is not None and not envelope.item:
            return await in_time(self._items.send(made, envelope, began_ms), LONGEST_SEND_S)
        return Handed(await self._send(handed_on(made, self._branch.name, self._target)))

    async def _send_bounded(self, message: Message) -> Receipt:
        return await in_time(self._destination.send(message), LONGEST_SEND_S)

    def sent(
        self,
        envelope: Envelope,
        number: int,
        began_ms: int,
        receipt: Receipt,
        noted: list[Fault],
        handed: Handed | None,
        answer: Answer = UNASKED,
    ) -> Outcome:
        """The receiver has it, whatever can be made of its answer."""
        body, format, error = answer.body, answer.format, answer.error
        outcome = self._outcome(
            envelope, number, began_ms, "sent", receipt=receipt, body=body, format=format, error=error
        )
        if not noted and handed is None:
            return outcome
        said = (outcome.record.reason, handed.said if handed else "", told(noted) if noted else "")
        record = replace(outcome.record, reason="; ".join(filter(None, said)))
        return replace(outcome, record=record, noted=bool(noted), letters=handed.letters if handed else [])

    def poisoned(self, envelope: Envelope, tries: int) -> Outcome:
        """A message that every try of it ended with the process: it is parked, not tried."""
        error = JingluoError(
            "JL-D901", f"{tries} tries in a row ended with the process 连续{tries}次处理时进程退出"
        )
        return self._outcome(envelope, envelope.attempt, self._now_ms(), "dead", error=error)

    def skipped(self, envelope: Envelope, number: int, code: str, reason: str) -> Outcome:
        """What an operator has taken out of its lane: a dead letter for the reason that it was held for."""
        error = JingluoError(code, f"{reason} (skipped by an operator 操作员跳过)")
        return self._outcome(envelope, max(number, 1), self._now_ms(), "dead", error=error)

    async def _with_large(self, message: Message, ref: BlobRef) -> Message:
        """As a stream where the destination takes one, else whole. Raises Unreachable and BadMessage."""
        blob = self._large.blobs.find(ref)
        if self._streams:
            return replace(message, blob=blob)
        return replace(message, body=await asyncio.to_thread(self._large.whole, blob))

    async def made(self, message: Message) -> tuple[Message, list[Fault]]:
        """In a thread where it may take long: no other channel waits for it."""
        if self._passed_on or len(message.body) < APART:
            return self._made(message)
        return await asyncio.to_thread(self._made, message)

    def _made(self, message: Message) -> tuple[Message, list[Fault]]:
        """What is sent, and what is to be noted of it. Raises BadMessage where nothing is to be sent."""
        made, branch = self._mapped(message), self._branch
        if branch.validation is None:
            return made, []
        return made, branch.validation.of_body(made.body, made.charset, own=branch.map is not None)

    def _mapped(self, message: Message) -> Message:
        branch = self._branch
        if branch.map is None:
            return message
        tree = self._channel.format.decode(message.body, message.charset)
        body = branch.map(tree, message)
        return Message(
            body=body,
            source=message.source,
            headers=message.headers,
            id=message.id,
            channel=message.channel,
            received_ms=message.received_ms,
            format=branch.format,
            charset=branch.charset,
            parent=message.parent,
            attempt=message.attempt,
            redelivered=message.redelivered,
        )

    async def _answer(self, envelope: Envelope, receipt: Receipt) -> Answer:
        """The receiver's answer; mapped only where the channel asks for it, and in a thread where it may take long.
        Never raises but CancelledError.
        """
        branch, said = self._branch, receipt.answer
        if self._channel.reply != branch.name or branch.reply_map is None:
            return Answer(said, receipt.format or branch.format)
        try:
            apart = len(said) >= APART
            made = await asyncio.to_thread(self._reply, said) if apart else self._reply(said)
            return Answer(made, self._channel.format.name)
        except BadMessage as error:
            return Answer(error=error)
        except Exception as error:
            return Answer(error=self._bug(envelope, error))

    async def _findable(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        """With what the message is found by in the whole answer; also in one that said no for good.

        An answer that cannot be read for it changes nothing else: the record says so.
        """
        read, error = self._branch.findable, outcome.error
        if read is None or outcome.record.outcome == "retry":
            return outcome
        said = outcome.receipt.answer if outcome.receipt else getattr(error, "answer", b"") or b""
        record = outcome.record
        try:
            apart = len(said) >= APART
            found = await asyncio.to_thread(read, said, envelope) if apart else read(said, envelope)
        except BadMessage as bad:
            reason = "; ".join(filter(None, (record.reason, f"{_NOT_FOUND_BY} ({bad.code})")))
            return replace(outcome, record=replace(record, reason=reason))
        except Exception as bug:
            self._bug(envelope, bug)
            return outcome
        return replace(outcome, record=replace(record, index=found)) if found else outcome

    def _reply(self, answer: bytes) -> bytes:
        """Raises BadMessage."""
        assert self._branch.reply_map is not None
        return self._branch.reply_map(self._branch.reply_format.decode(answer))

    def _bug(self, envelope: Envelope, error: BaseException) -> JingluoError:
        """Ours or a plug-in's, to be called while it is handled: loud."""
        log.exception(
            "delivery.bug", channel=envelope.channel, destination=self._branch.name, message=envelope.id
        )
        return JingluoError("JL-D900", f"internal error: {type(error).__name__}")

    def _again(
        self, envelope: Envelope, number: int, began_ms: int, error: JingluoError, after_s: float | None
    ) -> Outcome:
        retry = self._branch.retry
        delay_s = min(max(retry.delay_s(number), after_s or 0.0), _LONGEST_DELAY_S)
        first_ms = envelope.first_ms or began_ms
        if self._now_ms() + delay_s * 1000 > first_ms + retry.for_s * 1000:
            return self._outcome(envelope, number, began_ms, "dead", error=error)
        return self._outcome(envelope, number, began_ms, "retry", error=error, delay_s=delay_s)

    def _outcome(
        self,
        envelope: Envelope,
        number: int,
        began_ms: int,
        outcome: str,
        *,
        receipt: Receipt | None = None,
        body: bytes = b"",
        format: str = "",
        error: JingluoError | None = None,
        answer: bytes = b"",
        delay_s: float = 0.0,
    ) -> Outcome:
        record = Attempt(
            id=envelope.id,
            channel=envelope.channel,
            destination=self._branch.name,
            attempt=number,
            at_ms=began_ms,
            took_ms=max(self._now_ms() - began_ms, 0),
            outcome=outcome,
            code=receipt.code if receipt else error.code if error else "",
            reason=error.text if error else "",
            answer=(receipt.answer if receipt else answer)[: ANSWER_KEPT + 1],
        )
        return Outcome(record, receipt, body, format, error, delay_s)


def _once(message: Message, expires: str, now_ms: int) -> None:
    """What a settlement asks of a party is sent at most once, and not late: it finds out for itself what became of it.

    Raises BadMessage (JL-D914) where it did not leave, and Unreachable (JL-D915) where it may have.
    """
    if message.redelivered:
        text = "it was handed out before, and is not sent a second time 可能已发送，不再重发"
        raise Unreachable("JL-D915", text, maybe_done=True)
    if now_ms > int(expires):
        raise BadMessage("JL-D914", "it waited too long, and is not sent any more 等待超时，不再发送")


async def in_time(sending: Awaitable[T], within_s: float) -> T:
    """Raises Unreachable (JL-D902) where it takes longer."""
    try:
        async with asyncio.timeout(within_s) as limit:
            return await sending
    except TimeoutError:
        if not limit.expired():
            raise  # its own, which nobody asked it for
        text = f"the destination did not end within {within_s:g} s"
        raise Unreachable("JL-D902", text, maybe_done=True) from None


def _cut_short() -> bool:
    """Whether somebody wants this task to end; otherwise the cancellation is the destination's own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
