"""How the commands of settlements write amounts and times."""

from __future__ import annotations

from datetime import datetime


def yuan_of(fen: int) -> str:
    """Fen as yuan.

    >>> yuan_of(-1610)
    '-16.10'
    """
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"


def time_of(at_ms: int) -> str:
    """Unix milliseconds in this machine's zone."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%m-%d %H:%M:%S")
