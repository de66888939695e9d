"""What travels through the broker: one publish, the same bytes in every destination's queue and the journal's.

msgspec's MessagePack: 1 microsecond each way for a 1 KB message, against 30 for a table of AMQP headers.
"""

from __future__ import annotations

import msgspec

JOURNAL = "jl.journal"
ANSWER_KEPT = 262_144  # bytes of a receiver's answer that the journal keeps: a bill of 400 lines and more
EXPIRES = "jingluo.expires"  # a header: Unix ms after which a destination is not sent it any more
DELIVERED = (
    "jingluo.delivered"  # of a refused reply: the destination said yes, and its answer could not be mapped
)
ENGINES = (
    "jl.engines"  # nothing is ever in it; every engine that runs consumes from it, and so they are counted
)


class BlobRef(msgspec.Struct, frozen=True, array_like=True):
    """What travels in a large body's place: the name of its file, its size in bytes, SM3 over its chunks' tags."""

    name: str
    size: int
    digest: bytes


class Envelope(msgspec.Struct, frozen=True, tag="m", array_like=True):
    """A message with all that intake decided about it: the journal's row, and a destination's work."""

    id: str
    channel: str
    received_ms: int
    source: str
    format: str
    charset: str
    kind: str  # ADT^A01, Bundle, ...
    body: bytes
    headers: dict[str, str]
    index: dict[str, str]  # the channel's searchable values: patient, name, visit ...
    destinations: tuple[str, ...]  # where it goes
    filtered: tuple[str, ...] = ()  # where it does not, by `when`
    state: str = "accepted"  # accepted | filtered | refused
    code: str = ""  # why it was refused
    reason: str = ""
    parent: str = ""
    attempt: int = 1  # of the one destination in whose queue this copy waits
    first_ms: int = 0  # when that destination was first tried, Unix ms
    reply_to: str = ""  # the mailbox of the process whose sender waits for a destination's answer
    blob: BlobRef | None = None  # a large body; then `body` is empty
    again: bool = False  # another channel may have handed it over before
    item: int = 0  # it is one item of its parent, the so-manieth: it is handed on as it is


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One try of one delivery. `outcome`: sent | retry | dead. Durations in milliseconds."""

    id: str
    channel: str
    destination: str
    attempt: int
    at_ms: int
    took_ms: int
    outcome: str
    code: str = ""
    reason: str = ""
    answer: bytes = b""
    index: dict[str, str] = {}  # what the message is found by besides, of the answer


class Attempts(msgspec.Struct, frozen=True, tag="a", array_like=True):
    """Several tries in one publish to the journal: a destination's work is acknowledged only after it."""

    attempts: tuple[Attempt, ...]


class Fence(msgspec.Struct, frozen=True, tag="f", array_like=True):
    """In a destination's queue: what came before it belongs to an older era of its order (orders.py)."""

    era: int


_encoder = msgspec.msgpack.Encoder()

encode = _encoder.encode
decode = msgspec.msgpack.Decoder(Envelope | Attempts).decode  # of the journal's queue
decode_work = msgspec.msgpack.Decoder(Envelope | Fence).decode  # of a destination's
copy = msgspec.structs.replace  # frozen values travel: a change is a copy


def queues_of(channel: str, destination: str, lanes: int) -> tuple[str, ...]:
    """A destination's queues: `jl.his-adt.lis`, or one a lane, `jl.his-adt.lis.0of8` and so on.

    Another number of lanes has other queues, so that what was put into the old ones is told from what is new.
    """
    base = f"jl.{channel}.{destination}"
    return tuple(f"{base}.{lane}of{lanes}" for lane in range(lanes)) or (base,)


def way_of(queue: str) -> tuple[str, str]:
    """The channel and the destination of a queue: neither name has a dot in it."""
    _, channel, destination, *_ = queue.split(".")
    return channel, destination
