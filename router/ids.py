"""Message ids: UUID version 7 (RFC 9562, 5.7) as 32 hex digits.

The first 12 digits are the Unix time in milliseconds: ids sort by time, and a span of time is a span of ids.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import date
from functools import lru_cache
from threading import Lock

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_SET_RIGHT_MS = 3_600_000
_RANDOM_BITS = 74
_NUMBER_BITS = 24  # of an id that follows from another: which of many it is
_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_LOW = (1 << 62) - 1

_lock = Lock()
_ms = 0
_random = 0


def new_id(now_ms: int) -> str:
    """A new id for the time `now_ms` (Unix, milliseconds), larger than every id this process made before.

    In one millisecond, or while the clock is behind, the random part counts on (RFC 9562, 6.2, method 2). Not where the
    clock has gone back by more than an hour: it was wrong before, and ids would stay in a day that is not now.
    """
    global _ms, _random
    with _lock:
        if now_ms > _ms or now_ms < _ms - _SET_RIGHT_MS:
            # The top bit stays free: a millisecond has room for 2 ** 73 ids before it would overflow.
            _ms, _random = now_ms, secrets.randbits(_RANDOM_BITS - 1)
        else:
            _random += 1
        ms, random = _ms, _random
    return id_of(ms, random)


def id_of(ms: int, random: int) -> str:
    """The id of a time (Unix, milliseconds) and 74 bits."""
    return f"{ms << 80 | _VERSION | random >> 62 << 64 | _VARIANT | random & _LOW:032x}"


def child_id(parent: str, way: str, number: int = 0) -> str:
    """The id of a message that is made from another, always the same: who makes it twice makes the same message.

    It has its parent's time, so both lie in one day. Those of one parent and `way` sort by their `number`.
    """
    digest = hashlib.blake2b(f"{parent} {way}".encode(), digest_size=8).digest()
    bits = int.from_bytes(digest) >> 64 - _RANDOM_BITS + _NUMBER_BITS
    return id_of(time_ms(parent), bits << _NUMBER_BITS | number)


def fixed_id(at_ms: int, what: bytes) -> str:
    """The id of what was first taken at a time, always the same: who takes it twice makes the same message."""
    digest = hashlib.blake2b(what, digest_size=10).digest()
    return id_of(at_ms, int.from_bytes(digest) >> 80 - _RANDOM_BITS)


def first_id(at_ms: int) -> str:
    """The lowest id of a millisecond: ids made at or after `at_ms` are not below it."""
    return f"{max(at_ms, 0):012x}".ljust(32, "0")


def time_ms(message_id: str) -> int:
    """The Unix time in milliseconds that an id was made at."""
    return int(message_id[:12], 16)


def day_of(message_id: str) -> str:
    """The day (UTC) that an id was made on. Raises ValueError where it is no id, or of no year that there is.

    >>> day_of("019f5c3a0c00" + "0" * 20)
    '20260713'
    """
    return day_at(time_ms(message_id))


def day_at(at_ms: int) -> str:
    """Raises ValueError beyond the year 9999."""
    return _day(at_ms // DAY_MS)


def day_start_ms(day: str) -> int:
    """The first millisecond of a day."""
    return (date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal() - _EPOCH) * DAY_MS


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    return f"{date.fromordinal(_EPOCH + number):%Y%m%d}"
