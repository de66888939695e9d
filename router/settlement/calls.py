"""What a settlement asks of a party, by that party's channel: each call is a message in its queue and in the journal.

A call that waits too long in the queue is not sent any more (`EXPIRES`): what has no answer by the time that the
channel waits was sent by then, or never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from channels.model import Channel
from config.errors import BadMessage
from router.envelope import EXPIRES
from router.ids import child_id, fixed_id
from router.settlement.book import Settlement
from router.settlement.commands import Call
from router.settlement.rows import Outcome
from router.settlement.runner import Told
from schemas.json import Json
from schemas.message import Message, Reply

_SEND_MS = 30_000  # how long a call may wait in its queue
_OUTCOMES: Mapping[str, Outcome] = {
    "OK": "OK",
    "REJECTED": "REJECTED",
    "PROCESSING": "PROCESSING",
    "UNKNOWN": "UNKNOWN",
    "ABSENT": "ABSENT",
}
_TOO_LATE = "JL-D914"
_JSON = Json()


class HandOver(Protocol):
    def __call__(self, name: str, message: Message) -> asyncio.Future[Reply]: ...


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
        channel = next(
            (c for c in self._channels() if c.kind == "calls" and c.options.system == system), None
        )
        if channel is None:
            text = f"no channel takes calls of {system}: `from: {{calls: {system}}}` 未配置通道"
            return Told("UNSENT", code="JL-T030", text=text)
        reply = await self._hand_over(channel.name, self._message(settlement, call, operation))
        return _told(reply)

    def _message(self, settlement: Settlement, call: Call, operation: str) -> Message:
        """Its id is that of the attempt: handed over twice, it is one message."""
        now = self._now_ms()
        number = len(settlement.rows.attempts)
        first = fixed_id(settlement.rows.began_ms, settlement.number.encode())
        headers = {
            "param.code": operation,
            "settlement": settlement.number,
            "step": call.place.step,
            "direction": call.direction,
            "about": call.about,
            "key": f"{settlement.number}/{call.key}",
            EXPIRES: str(now + _SEND_MS),
        }
        id = child_id(first, f"call {number}")
        return Message(_JSON.encode(call.body), f"settlement {settlement.number}", headers, id)


def _told(reply: Reply) -> Told:
    """What a channel's reply says of the call."""
    if reply.state == "failed" or (reply.state == "refused" and reply.code == _TOO_LATE):
        return Told("UNSENT", code=reply.code, text=reply.text)
    if reply.state == "refused":
        return Told("REJECTED", code=reply.code, text=reply.text, reply=_tree(reply.body))
    if reply.state != "answered":
        return Told("UNKNOWN", code=reply.code, text=reply.text)
    tree = _tree(reply.body)
    said = tree.get("outcome") if isinstance(tree, dict) else None
    if said is None:
        return Told("OK", reply=tree)
    outcome = _OUTCOMES.get(str(said), "UNKNOWN")
    final = bool(tree.get("final")) if isinstance(tree, dict) else False
    code, text = str(tree.get("code") or tree.get("infcode") or ""), str(tree.get("err_msg") or "")
    return Told(outcome, final, tree, code, text)


def _tree(body: bytes) -> Any:
    """None where it is no JSON."""
    if not body:
        return None
    try:
        return _JSON.decode(body)
    except (BadMessage, msgspec.DecodeError):
        return None
