"""What is declared on RabbitMQ: quorum queues, one topic exchange, and a queue for each step of delay.

A delay step is a fanout exchange with one queue whose messages expire into the main exchange. No routing key
is set for that, so each keeps its own and its CC list: all destinations share the steps, and their number is
fixed. A queue's messages all wait equally long, so none is held up by one with a longer delay before it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from router.brokers.base import QueueSpec

# Each release of a lane's consumer counts as a delivery on a quorum queue, so RabbitMQ itself must not give
# up; 4.x would after 20.
DELIVERY_LIMIT = 1_000_000_000

_SECONDS = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
    256,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    14_400,
    28_800,
    57_600,
    86_400,
)
DELAYS_MS = (100, 250, 500, *(s * 1000 for s in _SECONDS))


# What comes back from a delay queue must find room beyond what is let in from outside: where a queue refuses it,
# RabbitMQ tries again only three minutes later, and all that share the delay queue wait with it.
_MORE, _MORE_BYTES = 10_000, 1_000_000

STREAM_SEGMENT_BYTES = 1_000_000  # a stream forgets whole segments


def queue_arguments(spec: QueueSpec) -> dict[str, Any]:
    if spec.stream:
        return {
            "x-queue-type": "stream",
            "x-max-length-bytes": spec.max_bytes,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        }
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-max-length": spec.max_length + max(spec.max_length // 2, _MORE),
        "x-max-length-bytes": spec.max_bytes + max(spec.max_bytes // 2, _MORE_BYTES),
        "x-overflow": "reject-publish",
    }
    if spec.single:
        arguments["x-single-active-consumer"] = True
    return arguments


def delay_step_ms(delay_s: float) -> int:
    """The smallest step that is not shorter. ValueError beyond a day.

    >>> delay_step_ms(0.25), delay_step_ms(3)
    (250, 4000)
    """
    at = bisect_left(DELAYS_MS, delay_s * 1000)
    if at == len(DELAYS_MS):
        raise ValueError(f"a delay of {delay_s} s is longer than a day")
    return DELAYS_MS[at]


def delay_name(prefix: str, step_ms: int) -> str:
    return f"{prefix}.delay.{step_ms}"


def delay_arguments(prefix: str, step_ms: int) -> dict[str, Any]:
    # Dead-lettering is at most once by default: a full or moving target would lose the message.
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": step_ms,
        "x-dead-letter-exchange": prefix,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }
