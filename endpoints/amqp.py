"""AMQP 0-9-1: kind `amqp`, for queues and exchanges of others. The engine's own broker is not spoken to so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from config import registry
from config.errors import Refused, Unreachable
from config.units import Seconds, Size
from endpoints.base import Alone, Ground, Options
from endpoints.brokers.amqp import AmqpLink, Letter
from endpoints.brokers.party import Party
from endpoints.brokers.source import Subscribed
from endpoints.rest.media import media_type
from schemas.message import Message, Receipt

_PERSISTENT = 2


class _Broker(Party):
    ports: ClassVar[tuple[int, int]] = (5672, 5671)
    away: ClassVar[str] = "JL-E820"

    vhost: str = Field("/", max_length=255)


class SourceOptions(_Broker):
    """`from: {amqp: {host: esb, queue: his.adt}}`."""

    queue: str = Field(min_length=1, max_length=255, description="it must be there: it is theirs to make")
    prefetch: int = Field(100, ge=1, le=10_000, description="messages that are under way here at once")
    refused: Literal["acknowledge", "reject"] = Field(
        "acknowledge", description="reject: what is refused here goes to the queue's dead letters too"
    )
    max_size: Size = Field(100_000_000, description="of a message; a larger one is filed as refused")


class DestinationOptions(_Broker):
    """`send: {amqp: {host: esb, exchange: hospital, key: lab.result}}`."""

    exchange: str = Field("", max_length=255, description="without it the default one: `key` is then a queue")
    key: str = Field("", max_length=255, description="the routing key")
    content_type: str = Field("", description="of what is sent; by default that of its format")
    timeout: Seconds = Field(30.0, description="from the message to the broker's word that it has it")


@registry.source("amqp")
class AmqpSource(Subscribed[Letter]):
    """Several processes share the queue: then only the broker's own means keep an order."""

    Options: ClassVar[type[Options]] = SourceOptions
    kind, lost, not_kept = "amqp", "JL-E821", "JL-E822"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground, Alone())

    async def subscribed(self) -> AmqpLink:
        options: SourceOptions = self.options
        link = AmqpLink(options, self.ground.base_dir, options.vhost, options.refused == "reject")
        try:
            await link.open()
            await link.consume(options.queue, options.prefetch)
        except (OSError, TimeoutError) as error:
            await link.close()
            raise options.refused_by(error) from None
        return link

    def message(self, came: Letter) -> Message | None:
        body, fault, code = self.limited(came.body, self.options.max_size, "JL-E823")
        source = f"amqp {self.options.queue}"[:200]
        return Message(body, source, came.headers, redelivered=came.again, fault=fault, fault_code=code)


@registry.destination("amqp")
class AmqpDestination:
    """Publishes persistent messages, confirmed: the yes is the broker's, once a queue has it."""

    Options: ClassVar[type[Options]] = DestinationOptions
    streams = False
    codes = frozenset(("sent",))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._link: AmqpLink | None = None
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """A connection is made when there is something to send."""

    async def stop(self) -> None:
        if self._link is not None:
            await self._link.close()

    async def send(self, message: Message) -> Receipt:
        link = await self._opened()
        properties = {
            "delivery_mode": _PERSISTENT,
            "message_id": message.id or None,
            "content_type": self.options.content_type or media_type(self.ground.format),
            "headers": {"x-redelivered": True} if message.redelivered else None,
        }
        try:
            async with asyncio.timeout(self.options.timeout):
                await link.publish(self.options.exchange, self.options.key, message.body, properties)
        except TimeoutError:
            text = f"no word of the broker within {self.options.timeout:g} s"
            raise Unreachable("JL-E821", text, maybe_done=True) from None
        except ConnectionError as error:
            raise Unreachable("JL-E821", str(error), maybe_done=True) from None
        except BlockingIOError as error:
            raise Unreachable("JL-E824", str(error)) from None
        except LookupError as error:
            raise Refused("JL-E825", f"no queue takes it: {error.args[0]}", retry=True) from None
        return Receipt("sent")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        return Receipt("sent")

    async def _opened(self) -> AmqpLink:
        async with self._opening:
            if self._link is None or not self._link.good:
                if self._link is not None:
                    await self._link.close()
                self._link = AmqpLink(self.options, self.ground.base_dir, self.options.vhost)
                try:
                    await self._link.open()
                    await self._link.confirm()
                except (OSError, TimeoutError) as error:
                    raise self.options.refused_by(error) from None
            return self._link
