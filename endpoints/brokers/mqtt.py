"""One MQTT connection. paho reads and writes in a thread of its own; what comes crosses over to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from config.tls import client_context
from endpoints.brokers.inbox import LOST, Inbox
from endpoints.brokers.party import Party
from schemas.message import Reply

log = structlog.get_logger()

QOS = 1  # at least once (section 4.3.2)
MOST_WAITING = 10_000  # messages that came and were not asked for yet


class Arrived(NamedTuple):
    """A message. `again`: the broker has sent it before; `retained`: it is older than the subscription."""

    topic: str
    body: bytes
    again: bool
    retained: bool
    mid: int
    qos: int


class Link(Inbox[Arrived]):
    """A session named `client`, that the broker keeps; without a name one that it forgets."""

    def __init__(self, party: Party, base_dir: str, client: str) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._party = party
        self._base_dir = base_dir
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._sent: dict[int, asyncio.Future[None]] = {}
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._drops = False  # said once for each connection
        self._paho = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client,
            clean_session=not client,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._paho.on_connect = self._crossing(self._on_connect)
        self._paho.on_subscribe = self._crossing(self._on_subscribe)
        self._paho.on_disconnect = self._crossing(self._on_disconnect)
        self._paho.on_publish = self._crossing(self._on_publish)
        self._paho.on_message = self._crossing(self._on_message)

    async def open(self, topics: Sequence[str] = ()) -> None:
        """Connected, and subscribed where there are topics. Raises OSError and TimeoutError."""
        party = self._party
        if party.tls is not None:
            self._paho.tls_set_context(client_context(party.tls, self._base_dir))
        if party.user:
            self._paho.username_pw_set(party.user, str(party.password) or None)
        async with asyncio.timeout(party.connect_within):
            try:
                connect: Callable[..., Any] = self._paho.connect
                await asyncio.to_thread(connect, party.host, party.real_port, int(party.keepalive))
                self._paho.loop_start()
                await self._connected
                if topics:
                    self._paho.subscribe([(topic, QOS) for topic in topics])
                    await self._subscribed
            except BaseException:
                await self.close()
                raise

    def acknowledge(self, came: Arrived, reply: Reply) -> None:
        self._paho.ack(came.mid, came.qos)

    async def publish(self, topic: str, body: bytes, retain: bool) -> None:
        """Returns once the broker has it. Raises ConnectionError, and ValueError where it is too large."""
        if not self.good:
            raise ConnectionResetError(LOST)
        info = self._paho.publish(topic, body, QOS, retain)
        # The word may be on its way to the loop already, but not in it before this: nothing awaits in between.
        word = self._sent[info.mid] = self._loop.create_future()
        try:
            await word
        finally:
            self._sent.pop(info.mid, None)

    async def close(self) -> None:
        self.good = False
        self._paho.disconnect()
        await asyncio.to_thread(self._paho.loop_stop)
        for one in (self._connected, self._subscribed):
            one.cancel()

    def _crossing(self, heard: Callable[..., None]) -> Callable[..., None]:
        """A callback of paho's thread, done in the loop. Its first two arguments, client and user data, stay there."""

        def cross(_: Any, __: Any, *said: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(heard, *said)

        return cross

    def _on_connect(self, flags: Any, reason: Any, properties: Any) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            self._connected.set_exception(ConnectionRefusedError(f"the broker says: {reason}"))
        else:
            self.good = True
            self._connected.set_result(None)

    def _on_subscribe(self, mid: int, reasons: Sequence[Any], properties: Any) -> None:
        if self._subscribed.done():
            return
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._subscribed.set_exception(ConnectionRefusedError("the broker refuses the subscription"))
        else:
            self._subscribed.set_result(None)

    def _on_disconnect(self, flags: Any, reason: Any, properties: Any) -> None:
        self.good = False
        lost = ConnectionResetError(LOST)
        for waiting in (self._connected, self._subscribed, *self._sent.values()):
            if not waiting.done():
                waiting.set_exception(lost)
                waiting.exception()  # who waits for it hears of it; nobody else need to
        self._came.put_nowait(None)

    def _on_publish(self, mid: int, reason: Any, properties: Any) -> None:
        word = self._sent.get(mid)
        if word is not None and not word.done():
            word.set_result(None)

    def _on_message(self, message: Any) -> None:
        """Of QoS 1 and 2 the broker sends no more than a window; QoS 0 has no end, and no promise to be kept."""
        if message.qos == 0 and self._came.qsize() >= MOST_WAITING:
            if not self._drops:
                log.warning("mqtt.messages_dropped", broker=self._party.host, waiting=MOST_WAITING)
            self._drops = True
            return
        self._came.put_nowait(
            Arrived(message.topic, message.payload, message.dup, message.retain, message.mid, message.qos)
        )
