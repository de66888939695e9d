"""A message at a channel's door: from its sender's question to the answer."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from config.errors import BadMessage, JingluoError
from router.brokers.base import BrokerDown
from router.duplicates import First, Key
from schemas.message import Reply

RETRY_AFTER_S = 5  # what a sender is told when the broker cannot take more


class Arrival(Struct):
    """On its way. `settle` answers, once."""

    id: str
    done: asyncio.Future[Reply]
    started: float
    handed: bool = False  # by another channel, which keeps it until it is taken
    waited: asyncio.Future[Reply] | None = None  # a destination's answer
    keys: tuple[Key, ...] = ()  # by which a resend of it would be known
    refusal: Reply | None = None  # what is said once it is filed
    first: First | None = None  # the message that this one repeats
    caller: str = ""

    def settle(self, reply: Reply) -> None:
        if not self.done.done():  # else the sender went away
            self.done.set_result(reply)


def problem_of(confirmed: asyncio.Future[None]) -> BaseException | None:
    if confirmed.cancelled():
        return BrokerDown("JL-B001", "the engine stops")
    return confirmed.exception()


def refused(message_id: str, error: BadMessage) -> Reply:
    return Reply(
        "refused", message_id, code=error.code, text=error.text, path=error.path, faults=error.faults
    )


def failed(message_id: str, problem: BaseException) -> Reply:
    if isinstance(problem, JingluoError):
        code, text = problem.code, problem.text
    else:
        code, text = "JL-D900", "internal error"
    text = f"nothing was kept: {text}"
    return Reply("failed", id=message_id, code=code, text=text, retry_after_s=RETRY_AFTER_S)
