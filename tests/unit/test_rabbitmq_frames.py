"""Our frames of AMQP are pika's, octet for octet, and a stream may be cut anywhere."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.exceptions import BodyTooLongError, InvalidFrameError
from pika.frame import Body, Header, Heartbeat, Method, decode_frame
from pika.spec import Basic, Channel, Queue

from router.brokers.rabbitmq_frames import (
    FrameReader,
    Publish,
    TakeDeliveries,
    ack,
    delivery_count,
    take_confirms,
)

FRAME_MAX = 40
names = st.text("abcdefgh.-ä", min_size=1, max_size=12)
tags = st.integers(1, 2**64 - 1)
channels = st.integers(1, 2**16 - 1)
sizes = st.integers(0, 4 * FRAME_MAX) | st.sampled_from([FRAME_MAX - 9, FRAME_MAX - 8, FRAME_MAX - 7])
bodies = st.binary(max_size=8) | sizes.map(lambda size: bytes(range(256))[:size])


def body_frames(channel: int, body: bytes) -> list[bytes]:
    step = FRAME_MAX - 8
    return [Body(channel, body[at : at + step]).marshal() for at in range(0, len(body), step)]


@dataclass(frozen=True)
class Content:
    """A delivery as RabbitMQ writes it, or with `returned` one that it gives back to its publisher."""

    body: bytes
    tag: int
    redelivered: bool
    headers: dict[str, int] | None
    returned: bool = False

    def frames(self, channel: int) -> list[bytes]:
        method: object = Basic.Deliver("ctag1.x", self.tag, self.redelivered, "jl", "a.b")
        if self.returned:
            method = Basic.Return(312, "NO_ROUTE", "jl", "a.b")
        properties = pika.BasicProperties(delivery_mode=2, headers=self.headers)
        first = [Method(channel, method).marshal(), Header(channel, len(self.body), properties).marshal()]
        return first + body_frames(channel, self.body)


contents = st.builds(
    Content,
    bodies,
    tags,
    st.booleans(),
    st.none() | st.fixed_dictionaries({"x-delivery-count": st.integers(0, 9)}),
)
others = st.sampled_from(
    [
        Heartbeat().marshal(),
        Method(1, Queue.DeclareOk("a.b", 3, 1)).marshal(),
        Method(2, Basic.Cancel("ctag1.x")).marshal(),
        Method(3, Channel.CloseOk()).marshal(),
        Method(4, Basic.Ack(7, True)).marshal(),
    ]
)


@given(channels, names, st.lists(names, min_size=1, max_size=4, unique=True), bodies)
def test_a_publish_is_written_as_pika_writes_it(
    channel: int, exchange: str, queues: list[str], body: bytes
) -> None:
    properties = pika.BasicProperties(
        delivery_mode=2, headers={"CC": queues[1:]} if len(queues) > 1 else None
    )
    method = Basic.Publish(0, exchange, queues[0], mandatory=True)
    wanted = [Method(channel, method).marshal(), Header(channel, len(body), properties).marshal()]
    publish = Publish(channel, exchange, queues, FRAME_MAX)
    assert publish.frames(body) == b"".join(wanted + body_frames(channel, body))
    assert publish.frames(b"next") == b"".join(
        [wanted[0], Header(channel, 4, properties).marshal(), *body_frames(channel, b"next")]
    )


@given(channels, tags, st.booleans())
def test_an_acknowledgement_is_written_as_pika_writes_it(channel: int, tag: int, multiple: bool) -> None:
    assert ack(channel, tag, multiple) == Method(channel, Basic.Ack(tag, multiple)).marshal()


@given(tags, st.booleans(), st.booleans(), st.booleans())
def test_confirms_are_taken_and_what_else_comes_on_their_channel_is_not(
    tag: int, multiple: bool, kept: bool, requeue: bool
) -> None:
    told: list[tuple[int, bool, bool]] = []
    passed: list[bytes] = []
    reader = FrameReader({1: take_confirms(lambda *confirm: told.append(confirm))}, passed.append)
    confirm = Method(1, Basic.Ack(tag, multiple) if kept else Basic.Nack(tag, multiple, requeue)).marshal()
    returned = Content(b"x", 1, False, None, returned=True).frames(1)
    assert reader.feed(b"".join(returned) + confirm) == len(confirm)
    assert told == [(tag, multiple, kept)]
    assert passed == returned


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[object]]:
    """Frames as they come: content on the channels 2 and 3, ours, and 4, pika's, with other frames between.

    With it what is to be told of it, in order: a delivery as (channel, content), pika's frames as they are.
    """
    left = {
        channel: [
            (frame, made) for made in draw(st.lists(contents, max_size=3)) for frame in made.frames(channel)
        ]
        for channel in (2, 3, 4)
    }
    data, told = b"", list[object]()
    while choices := [channel for channel, frames in left.items() if frames]:
        if draw(st.integers(0, 4)) == 0:
            other = draw(others)
            data += other
            told.append(other)
        channel = draw(st.sampled_from(choices))
        frame, made = left[channel].pop(0)
        data += frame
        if channel == 4:
            told.append(frame)
        elif not left[channel] or decode_frame(left[channel][0][0])[1].frame_type == 1:
            told.append((channel, made))
    return data, told


@given(streams(), st.lists(st.integers(0, 2000), max_size=8))
def test_deliveries_are_taken_whole_and_in_order_wherever_the_stream_is_cut(
    stream: tuple[bytes, list[object]], cuts: list[int]
) -> None:
    data, wanted = stream
    told: list[object] = []

    def taker(channel: int) -> TakeDeliveries:
        def deliver(tag: int, redelivered: bool, properties: bytes, body: bytes) -> None:
            headers = pika.BasicProperties().decode(properties).headers
            told.append((channel, Content(body, tag, redelivered, headers)))

        return TakeDeliveries(deliver)

    reader = FrameReader({2: taker(2), 3: taker(3)}, told.append)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    taken = sum(reader.feed(data[start:end]) for start, end in itertools.pairwise(edges))
    assert told == wanted
    assert taken == len(data) - sum(len(frame) for frame in wanted if isinstance(frame, bytes))


def test_a_body_that_is_longer_than_announced_ends_the_connection() -> None:
    reader = FrameReader({2: TakeDeliveries(lambda *_: None)}, lambda _: None)
    method, header, _ = Content(b"four", 1, False, None).frames(2)
    with pytest.raises(BodyTooLongError):
        reader.feed(method + header + Body(2, b"fives").marshal())


def test_a_frame_without_its_end_is_left_for_pika_to_refuse() -> None:
    passed: list[bytes] = []
    reader = FrameReader({2: TakeDeliveries(lambda *_: None)}, passed.append)
    broken = Content(b"", 1, False, None).frames(2)[0][:-1] + b"\0"
    assert reader.feed(broken) == 0
    with pytest.raises(InvalidFrameError):
        decode_frame(passed[0])


def test_the_count_of_deliveries_is_read_from_the_properties() -> None:
    def encoded(headers: dict[str, object] | None) -> bytes:
        return b"".join(pika.BasicProperties(delivery_mode=2, headers=headers).encode())

    assert delivery_count(encoded({"CC": ["b"], "x-delivery-count": 3})) == 3
    assert delivery_count(encoded({"CC": ["b"]})) == 0
    assert delivery_count(encoded(None)) == 0
