"""What a settlement asks of a party, by that party's channel: each call is a message in its queue and in the journal.

A call that waits too long in the queue is not sent any more (`EXPIRES`): what has no answer by the time that the
channel waits was sent by then, or never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from channels.model import Channel
from config.errors import BadMessage
from endpoints.base import HandOver
from router.envelope import DELIVERED, EXPIRES
from router.settlement.book import Settlement
from router.settlement.commands import Call
from router.settlement.rows import CALL_MS, Outcome
from router.settlement.runner import Told
from schemas.json import Json
from schemas.message import Message, Reply

_SEND_MS = 30_000  # how long a call may wait in its queue
_OUTCOMES: Mapping[str, Outcome] = {
    "OK": "OK",
    "REJECTED": "REJECTED",
    "PROCESSING": "PROCESSING",
    "UNKNOWN": "UNKNOWN",
    "UNSENT": "UNSENT",  # the party knows that nothing of it left
    "ABSENT": "ABSENT",
}
_TOO_LATE = "JL-D914"
# Of a call that no broker took. With any other code it may lie in its queue all the same, and leave.
_NOT_KEPT = ("JL-B001", "JL-B002", "JL-D913")
_JSON = Json()


class ChannelCalls:
    """Meets `Calls`. `channels()` are those of the moment."""

    def __init__(
        self, channels: Callable[[], tuple[Channel, ...]], hand_over: HandOver, now_ms: Callable[[], int]
    ) -> None:
        self._channels = channels
        self._hand_over = hand_over
        self._now_ms = now_ms

    async def call(self, settlement: Settlement, call: Call) -> Told:
        system, _, operation = call.operation.rpartition(".")
        try:
            message = self._message(settlement, call, operation)
            channel = self._channel(system, message)
        except BadMessage as error:
            return Told("UNSENT", code=error.code, text=error.text)
        if channel is None:
            text = f"no channel takes calls of {system}: `from: {{calls: {system}}}` 未配置通道"
            return Told("UNSENT", code="JL-T030", text=text)
        try:
            async with asyncio.timeout(CALL_MS / 1000):
                asked = self._hand_over(channel.name, message)
                reply = await asyncio.shield(asked)
        except TimeoutError:
            return Told("UNKNOWN", code="JL-T032", text="no answer in time 应答超时")
        return _told(reply)

    def _channel(self, system: str, message: Message) -> Channel | None:
        """Where several take calls of one system, the first whose `when` holds of what is asked: a payment by its
        channel, say.
        """
        taking = [one for one in self._channels() if one.kind == "calls" and one.options.of == system]
        tree = _tree(message.body)
        return next((one for one in taking if one.when is None or one.when(tree, message)), None)

    def _message(self, settlement: Settlement, call: Call, operation: str) -> Message:
        attempts = (
            settlement.rows.attempts
        )  # the last is this one, and others reckon from when it was written
        made_ms = attempts[-1].began_ms if attempts else self._now_ms()
        headers = {
            "param.code": operation,
            "settlement": settlement.number,
            "step": call.place.step,
            "direction": call.direction,
            "about": call.about,
            "key": f"{settlement.number}/{call.key}",
            EXPIRES: str(made_ms + _SEND_MS),
        }
        return Message(_JSON.encode(call.body), f"settlement {settlement.number}", headers)


def _told(reply: Reply) -> Told:
    """What a channel's reply says of the call."""
    if (reply.state, reply.code) in (*(("failed", code) for code in _NOT_KEPT), ("refused", _TOO_LATE)):
        return Told("UNSENT", code=reply.code, text=reply.text)
    if (
        reply.state == "refused" and DELIVERED in reply.headers
    ):  # the party did what its answer says, whatever it says
        return Told("UNKNOWN", True, code=reply.code, text=reply.text)
    if reply.state == "refused":
        return Told("REJECTED", code=reply.code, text=reply.text, reply=_tree(reply.body))
    if reply.state != "answered":
        return Told("UNKNOWN", code=reply.code, text=reply.text)
    tree = _tree(reply.body)
    if tree is None and reply.body:
        return Told("UNKNOWN", True, code="JL-T031", text="an answer that nobody can read 无法识别的应答")
    if not isinstance(tree, dict) or "outcome" not in tree:
        return Told("OK", reply=tree)
    code, text = str(tree.get("code") or tree.get("infcode") or ""), str(tree.get("err_msg") or "")
    outcome = _OUTCOMES.get(str(tree["outcome"]), "UNKNOWN")
    return Told(outcome, bool(tree.get("final")) or outcome == "UNKNOWN", tree, code, text)


def _tree(body: bytes) -> Any:
    """None where it is no JSON."""
    if not body:
        return None
    try:
        return _JSON.decode(body)
    except (BadMessage, msgspec.DecodeError):
        return None
