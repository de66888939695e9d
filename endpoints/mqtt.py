"""MQTT (OASIS MQTT 3.1.1): kind `mqtt`, for devices and their brokers. Each topic's messages come as they are.

Nothing is acknowledged before it is durable here, so the broker keeps what a crash leaves: it comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from config import registry
from config.errors import Refused, Unreachable
from config.secrets import Secret
from config.tls import ClientTls, refusal
from config.units import Seconds, Size
from endpoints.base import Deliver, Ground, Options, Told
from endpoints.brokers.mqtt import Arrived, Link
from endpoints.polling import Poller
from schemas.message import Message, Receipt, Reply

_AGAIN_S = 1.0  # between two looks whether the turn is still ours


class _Party(Options):
    """What both sides say of the broker."""

    host: str
    port: int = Field(0, ge=0, le=65535, description="without it 8883, and without TLS 1883")
    user: str = ""
    password: Secret = Field(Secret(""), description="by secret://name")
    tls: ClientTls | None = Field(None, description="without it, what is sent can be read on the way")
    keepalive: Seconds = Field(30.0, ge=1, le=3600, description="a broker that is silent for longer is gone")
    connect_within: Seconds = 10.0

    @model_validator(mode="after")
    def _keeps_its_password(self) -> _Party:
        if self.password and not self.user:
            raise ValueError("a password needs its user")
        return self

    @property
    def real_port(self) -> int:
        return self.port or (8883 if self.tls is not None else 1883)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Filters = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=list[str] | str)]


class SourceOptions(_Party):
    """`from: {mqtt: {host: iot, topics: "ward/+/vitals"}}`."""

    topics: Filters = Field(
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


class DestinationOptions(_Party):
    """`send: {mqtt: {host: iot, topic: "ward/orders"}}`."""

    topic: str = Field(pattern=r"^[^+#\x00]{1,500}$")
    retain: bool = Field(False, description="the broker keeps the last for who subscribes later")
    timeout: Seconds = Field(30.0, description="from the message to the broker's word that it has it")


def _refusal(error: BaseException, options: _Party) -> Unreachable:
    if isinstance(error, TimeoutError):
        said = f"no connection within {options.connect_within:g} s"
    else:
        said = f"TLS: {refusal(error)}" if isinstance(error, ssl.SSLError) else refusal(error)
    return Unreachable("JL-E810", f"{options.host}:{options.real_port}: {said}"[:300])


Owed = deque[tuple[Arrived, asyncio.Future[Reply]]]


def _settle(link: Link, owed: Owed) -> None:
    """Acknowledges in the order of arrival (section 4.6). Raises Unreachable where one was not kept here."""
    while owed and owed[0][1].done():
        arrived, future = owed.popleft()
        if future.cancelled() or future.exception() or future.result().state == "failed":
            owed.clear()
            raise Unreachable("JL-E812", "the engine did not keep a message; the broker sends it again")
        link.acknowledge(arrived)


@registry.source("mqtt")
class MqttSource:
    """One session that the broker keeps while we are away. Of several processes one has it."""

    Options: ClassVar[type[Options]] = SourceOptions
    driver = ("paho", "mqtt")
    codes = frozenset(("acknowledged", "kept"))

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._poller = Poller(f"mqtt {ground.name}", ground.turn(), self._session)
        self.pause, self.resume = self._poller.pause, self._poller.resume
        self.close, self.stop = self._poller.close, self._poller.stop
        self._deliver: Deliver

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await self._poller.start()

    def told(self, message: Message, reply: Reply) -> Told:
        return Told("kept" if reply.state == "failed" else "acknowledged")

    async def _session(self) -> float:
        """Until the connection is lost, or this process is to take nothing more. Raises Unreachable."""
        client = self.options.client or f"jingluo-{self.ground.name}"
        link = Link(self.options, self.ground.base_dir, client)
        try:
            await link.open(self.options.topics)
        except (OSError, TimeoutError) as error:
            raise _refusal(error, self.options) from None
        owed: Owed = deque()
        try:
            while await self._poller.may():
                arrived = await link.next(_AGAIN_S)
                if arrived is not None:
                    owed.append((arrived, self._taken(arrived)))
                    owed[-1][1].add_done_callback(lambda _: link.nudge())
                _settle(link, owed)
        except ConnectionError as error:
            raise Unreachable("JL-E811", str(error)) from None
        finally:
            with contextlib.suppress(Unreachable):
                while owed:
                    await asyncio.wait([owed[0][1]])
                    _settle(link, owed)
            await link.close()
        return 0.0

    def _taken(self, arrived: Arrived) -> asyncio.Future[Reply]:
        if not arrived.retained or self.options.retained:
            return self._deliver(self._message(arrived))
        passed_over: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        passed_over.set_result(Reply("accepted"))
        return passed_over

    def _message(self, arrived: Arrived) -> Message:
        body, fault = arrived.body, ""
        if len(body) > self.options.max_size:
            body, fault = body[:4096], f"the message is larger than {self.options.max_size} bytes"
        return Message(
            body,
            f"mqtt {arrived.topic}"[:200],
            {"topic": arrived.topic},
            redelivered=arrived.again,
            fault=fault,
            fault_code="JL-E813" if fault else "",
        )


@registry.destination("mqtt")
class MqttDestination:
    """Publishes with QoS 1: the broker's word is the yes. One connection, opened when there is something to send."""

    Options: ClassVar[type[Options]] = DestinationOptions
    driver = ("paho", "mqtt")
    streams = False
    codes = frozenset(("sent",))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._link: Link | None = None
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """What speaks MQTT is here before the first message."""
        import paho.mqtt.client  # noqa: F401

    async def stop(self) -> None:
        if self._link is not None:
            await self._link.close()

    async def send(self, message: Message) -> Receipt:
        link = await self._opened()
        try:
            async with asyncio.timeout(self.options.timeout):
                await link.publish(self.options.topic, message.body, self.options.retain)
        except TimeoutError:
            text = f"no word of the broker within {self.options.timeout:g} s"
            raise Unreachable("JL-E811", text, maybe_done=True) from None
        except ConnectionError as error:
            raise Unreachable("JL-E811", str(error), maybe_done=True) from None
        except ValueError as error:  # too large for MQTT
            raise Refused("JL-E814", str(error)) from None
        return Receipt("sent")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        return Receipt("sent")

    async def _opened(self) -> Link:
        async with self._opening:
            if self._link is None or not self._link.good:
                if self._link is not None:
                    await self._link.close()
                self._link = Link(self.options, self.ground.base_dir, "")
                try:
                    await self._link.open()
                except (OSError, TimeoutError) as error:
                    raise _refusal(error, self.options) from None
            return self._link
