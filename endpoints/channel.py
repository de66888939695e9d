"""Another channel of the same engine: a destination without a network, and a source without a door.

The engine takes care of the way between them (`ground.hand_over`); here stands what its reply means to who sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import RETRY_AFTER_S, Doorless, Ground, Options
from schemas.message import Message, Receipt, Reply


class SourceOptions(Options):
    """`from: {channel: {}}`: messages come from other channels alone, those that `send: {channel: ...}` here."""


@registry.source("channel")
class ChannelSource(Doorless):
    """What other channels send here comes by their destinations."""

    Options: ClassVar[type[Options]] = SourceOptions


class DestinationOptions(Options):
    """`send: {channel: lab-results}`: what is sent becomes a message of that channel, and knows where it came from."""

    short: ClassVar[str] = "channel"

    channel: str = Field(min_length=1, description="the name of the channel that takes it")


@registry.destination("channel")
class ChannelDestination:
    """Hands messages to another channel. It is sent when that channel has it in all of its queues."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = ""
    codes = frozenset(("accepted", "refused", "failed"))
    streams = True

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self._hand_over = ground.hand_over

    async def start(self) -> None:
        """Nothing to do: the way is the engine's own."""

    async def send(self, message: Message) -> Receipt:
        if self._hand_over is None:  # outside of an engine
            return Receipt("accepted")
        return _receipt(await asyncio.shield(self._hand_over(self.options.channel, message)))

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        if code == "refused":
            return _receipt(Reply("refused", code="JL-D905", text="refused, says the test"))
        if code == "failed":
            return _receipt(
                Reply("failed", code="JL-B001", text="nothing was kept", retry_after_s=RETRY_AFTER_S)
            )
        return Receipt("accepted")

    async def stop(self) -> None:
        """Nothing is open."""


def _receipt(reply: Reply) -> Receipt:
    """Kept is kept: what that channel's own receivers say is its own affair. Raises Refused and Unreachable."""
    if reply.state == "refused":
        raise Refused(reply.code, reply.text)
    if reply.state == "failed":
        if reply.retry_after_s:
            raise Unreachable(reply.code, reply.text, after_s=reply.retry_after_s)
        # A bug of the engine's or of a plug-in: no other try would help.
        raise Refused(reply.code, reply.text)
    return Receipt("accepted")
