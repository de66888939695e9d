"""Message ids: UUID version 7 (RFC 9562, 5.7) as 32 hex digits.

The first 12 digits are the Unix time in milliseconds: ids sort by time, and a span of time is a span of ids.
"""

from __future__ import annotations

import secrets
from threading import Lock

_RANDOM_BITS = 74
_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_LOW = (1 << 62) - 1

_lock = Lock()
_ms = 0
_random = 0


def new_id(now_ms: int) -> str:
    """A new id for the time `now_ms` (Unix, milliseconds), larger than every id this process made before.

    In one millisecond, or while the clock is behind, the random part counts on (RFC 9562, 6.2, method 2).
    """
    global _ms, _random
    with _lock:
        if now_ms > _ms:
            # The top bit stays free: a millisecond has room for 2 ** 73 ids before it would overflow.
            _ms, _random = now_ms, secrets.randbits(_RANDOM_BITS - 1)
        else:
            _random += 1
        ms, random = _ms, _random
    return f"{ms << 80 | _VERSION | random >> 62 << 64 | _VARIANT | random & _LOW:032x}"


def first_id(at_ms: int) -> str:
    """The lowest id of a millisecond: ids made at or after `at_ms` are not below it."""
    return f"{max(at_ms, 0):012x}".ljust(32, "0")


def time_ms(message_id: str) -> int:
    """The Unix time in milliseconds that an id was made at."""
    return int(message_id[:12], 16)
