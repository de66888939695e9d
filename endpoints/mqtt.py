"""MQTT (OASIS MQTT 3.1.1): kind `mqtt`, for devices and their brokers. Each topic's messages come as they are.

Nothing is acknowledged before it is durable here, so the broker keeps what a crash leaves: it comes again.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from config import registry
from config.errors import Refused
from config.units import Seconds, Size
from endpoints.base import Ground, Listed, Options
from endpoints.brokers.destination import Publishing
from endpoints.brokers.mqtt import Arrived, Link
from endpoints.brokers.party import Party
from endpoints.brokers.source import Subscribed
from schemas.message import Message, Receipt


class _Broker(Party):
    ports: ClassVar[tuple[int, int]] = (1883, 8883)
    away: ClassVar[str] = "JL-E810"


class SourceOptions(_Broker):
    """`from: {mqtt: {host: iot, topics: "ward/+/vitals"}}`."""

    topics: Listed = Field(
        min_length=1, max_length=100, description="filters; + stands for one level, # for all below"
    )
    client: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="the session's name; without it jingluo-<channel>"
    )
    retained: bool = Field(
        False, description="true: what a topic kept from before is taken at each connection"
    )
    max_size: Size = Field(10_000_000, description="of a message; a larger one is filed as refused")

    @field_validator("topics")
    @classmethod
    def _filters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        """MQTT 3.1.1 section 4.7.1."""
        for topic in topics:
            levels = topic.split("/")
            wild = [
                level
                for level in levels
                if ("+" in level and level != "+") or ("#" in level and level != "#")
            ]
            if wild or not topic or "\0" in topic or "#" in levels[:-1] or len(topic.encode()) > 1000:
                raise ValueError(f"{topic!r} is no filter: + is a whole level, # the whole last one")
        return topics


class DestinationOptions(_Broker):
    """`send: {mqtt: {host: iot, topic: "ward/orders"}}`."""

    topic: str = Field(pattern=r"^[^+#\x00]{1,500}$")
    retain: bool = Field(False, description="the broker keeps the last for who subscribes later")
    timeout: Seconds = Field(30.0, description="from the message to the broker's word that it has it")


@registry.source("mqtt")
class MqttSource(Subscribed[Arrived]):
    """One session that the broker keeps while we are away. Of several processes one has it.

    Acknowledged in the order of arrival, as section 4.6 wants it.
    """

    Options: ClassVar[type[Options]] = SourceOptions
    driver = ("paho", "mqtt")
    kind, lost, not_kept = "mqtt", "JL-E811", "JL-E812"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground, ground.turn())

    async def subscribed(self) -> Link:
        client = self.options.client or f"jingluo-{self.ground.name}"
        link = Link(self.options, self.ground.base_dir, client)
        try:
            await link.open(self.options.topics)
        except (OSError, TimeoutError) as error:
            raise self.options.refused_by(error) from None
        return link

    def message(self, came: Arrived) -> Message | None:
        if came.retained and not self.options.retained:
            return None
        body, fault, code = self.limited(came.body, self.options.max_size, "JL-E813")
        source, headers = f"mqtt {came.topic}"[:200], {"topic": came.topic}
        return Message(body, source, headers, redelivered=came.again, fault=fault, fault_code=code)


@registry.destination("mqtt")
class MqttDestination(Publishing[Link]):
    """Publishes with QoS 1: the broker's word is the yes."""

    Options: ClassVar[type[Options]] = DestinationOptions
    driver = ("paho", "mqtt")
    lost = "JL-E811"

    def made(self) -> Link:
        return Link(self.options, self.ground.base_dir, "")

    async def open(self, link: Link) -> None:
        await link.open()

    async def start(self) -> None:
        """What speaks MQTT is here before the first message."""
        import paho.mqtt.client  # noqa: F401

    async def send(self, message: Message) -> Receipt:
        link = await self.link()
        try:
            return await self.word(link.publish(self.options.topic, message.body, self.options.retain))
        except ValueError as error:  # too large for MQTT
            raise Refused("JL-E814", str(error)) from None
