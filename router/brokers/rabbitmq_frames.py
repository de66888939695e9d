"""AMQP 0-9-1 frames of the methods of which there are many: publish, deliver and acknowledge.

A frame is a kind (1 octet), a channel (2), the payload's length (4), the payload and the octet 0xCE; a method's
payload begins with class and method (2 each). Content is its method's frame, one of a header (class 2, weight 2,
size of the body 8, properties) and any number of the body (AMQP 0-9-1 specification, 4.2.3, 4.2.4 and 4.2.6;
nack is RabbitMQ's own, https://www.rabbitmq.com/docs/nack). Whatever else comes is left to pika.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

import pika
from pika.exceptions import BodyTooLongError
from pika.frame import Header, Method
from pika.spec import Basic

METHOD, HEADER, BODY = 1, 2, 3
END = b"\xce"
END_OCTET = END[0]
OVERHEAD = 8  # octets of a frame that are not payload
PERSISTENT = 2

_FRAME = Struct(">BHI")
_SIZE = Struct(">Q")
_LENGTH = Struct(">I")
_TAG = Struct(">QB")  # a delivery tag, and the octet with the bits after it
_ACK = Struct(">BHIHHQ?c")
_DELIVER, _ACKED, _NACKED = b"\0\x3c\0\x3c", b"\0\x3c\0\x50", b"\0\x3c\0\x78"

Taker = Callable[[int, bytes, int, int], bool]
"""Is offered a frame's kind and the buffer with where its payload begins and ends; False leaves it to pika."""


class Publish:
    """A persistent publish, all but its body: one routing key, a CC header for the other queues."""

    def __init__(
        self, channel: int, exchange: str, queues: Sequence[str], frame_max: int, mandatory: bool = True
    ) -> None:
        headers = {"CC": list(queues[1:])} if len(queues) > 1 else None
        properties = pika.BasicProperties(delivery_mode=PERSISTENT, headers=headers)
        method = Method(channel, Basic.Publish(0, exchange, queues[0], mandatory=mandatory)).marshal()
        header = Header(channel, 0, properties).marshal()
        size_at = _FRAME.size + 4  # after class and weight
        self._body_max = frame_max - OVERHEAD
        self._before_size = method + header[:size_at]
        self._after_size = header[size_at + _SIZE.size :]
        self._before_length = _FRAME.pack(BODY, channel, 0)[: -_LENGTH.size]

    def frames(self, body: bytes) -> bytes:
        """Method, header, and as many frames of the body as the limit of a frame makes of it, none if empty."""
        pieces = [self._before_size, _SIZE.pack(len(body)), self._after_size]
        for at in range(0, len(body), self._body_max):
            part = body[at : at + self._body_max]
            pieces += (self._before_length, _LENGTH.pack(len(part)), part, END)
        return b"".join(pieces)


def ack(channel: int, tag: int, multiple: bool) -> bytes:
    """Basic.Ack of one delivery, or with `multiple` of all up to it."""
    return _ACK.pack(METHOD, channel, 13, 60, 80, tag, multiple, END)


def take_confirms(on_confirm: Callable[[int, bool, bool], None]) -> Taker:
    """Basic.Ack and Basic.Nack, as `on_confirm(tag, multiple, kept)`."""

    def take(kind: int, data: bytes, at: int, end: int) -> bool:
        if kind != METHOD or not data.startswith((_ACKED, _NACKED), at):
            return False
        tag, bits = _TAG.unpack_from(data, at + 4)
        on_confirm(tag, bool(bits & 1), data.startswith(_ACKED, at))
        return True

    return take


class TakeDeliveries:
    """Basic.Deliver with its content, as `on_delivery(tag, redelivered, properties, body)`, the properties encoded.

    A body longer than its header says is a BodyTooLongError, which ends the connection.
    """

    def __init__(self, on_delivery: Callable[[int, bool, bytes, bytes], None]) -> None:
        self._on_delivery = on_delivery
        self._method: tuple[int, bool] | None = None  # of the content whose frames are coming in
        self._properties = b""
        self._size = 0
        self._parts: list[bytes] = []
        self._seen = 0

    def __call__(self, kind: int, data: bytes, at: int, end: int) -> bool:
        if kind == METHOD:
            if not data.startswith(_DELIVER, at):
                return False
            tag, bits = _TAG.unpack_from(data, at + 5 + data[at + 4])  # after the consumer's tag
            self._method = (tag, bool(bits & 1))
            return True
        if self._method is None:
            return False
        if kind == HEADER:
            (self._size,) = _SIZE.unpack_from(data, at + 4)
            self._properties = data[at + 12 : end]
        elif kind == BODY:
            self._parts.append(data[at:end])
            self._seen += end - at
        if self._seen >= self._size:
            self._finish(self._method)
        return True

    def _finish(self, method: tuple[int, bool]) -> None:
        if self._seen > self._size:
            raise BodyTooLongError(self._seen, self._size)
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._method, self._parts, self._seen = None, [], 0
        self._on_delivery(*method, self._properties, body)


class FrameReader:
    """Cuts a stream into frames, offers each to the taker of its channel, and gives the others to `other`, whole."""

    def __init__(self, takers: dict[int, Taker], other: Callable[[bytes], None]) -> None:
        self._takers = takers
        self._other = other
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """How many octets the takers took."""
        if self._rest:
            data = self._rest + data
        at, taken, available = 0, 0, len(data)
        while available - at >= OVERHEAD:
            kind, channel, length = _FRAME.unpack_from(data, at)
            end = at + OVERHEAD + length
            if end > available:
                break
            taker = self._takers.get(channel)
            if (
                taker is not None
                and data[end - 1] == END_OCTET
                and taker(kind, data, at + _FRAME.size, end - 1)
            ):
                taken += end - at
            else:
                self._other(data[at:end])
            at = end
        self._rest = data[at:]
        return taken


def delivery_count(properties: bytes) -> int:
    """How often a quorum queue handed the message out before, from the encoded properties of its delivery."""
    headers = pika.BasicProperties().decode(properties).headers or {}
    return int(headers.get("x-delivery-count", 0))
