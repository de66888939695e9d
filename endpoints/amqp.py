"""AMQP 0-9-1: kind `amqp`, for queues and exchanges of others. The engine's own broker is not spoken to so."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from config import registry
from config.errors import Refused, Unreachable
from config.units import Seconds, Size
from endpoints.base import Alone, Ground, Options
from endpoints.brokers.amqp import AmqpLink, Letter
from endpoints.brokers.destination import Publishing
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
class AmqpDestination(Publishing[AmqpLink]):
    """Publishes persistent messages, confirmed: the yes is the broker's, once a queue has it."""

    Options: ClassVar[type[Options]] = DestinationOptions
    lost = "JL-E821"

    def made(self) -> AmqpLink:
        return AmqpLink(self.options, self.ground.base_dir, self.options.vhost)

    async def open(self, link: AmqpLink) -> None:
        await link.open()
        await link.confirm()

    async def send(self, message: Message) -> Receipt:
        link = await self.link()
        properties = {
            "delivery_mode": _PERSISTENT,
            "message_id": message.id or None,
            "content_type": self.options.content_type or media_type(self.ground.format),
            "headers": {"x-redelivered": True} if message.redelivered else None,
        }
        try:
            return await self.word(
                link.publish(self.options.exchange, self.options.key, message.body, properties)
            )
        except BlockingIOError as error:
            raise Unreachable("JL-E824", str(error)) from None
        except LookupError as error:
            raise Refused("JL-E825", f"no queue takes it: {error.args[0]}", retry=True) from None
