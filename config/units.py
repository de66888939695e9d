"""Durations and sizes as people write them: `30s`, `5m`, `24h`, `30d`; `64KB`, `100MB`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def seconds(value: Any) -> float:
    """`30s` to 30.0. A bare number is refused: nobody knows its unit.

    >>> seconds("5m"), seconds("250ms")
    (300.0, 0.25)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write a number and a unit: 500ms, 30s, 5m, 24h, 30d")
    return float(match[1]) * _SECONDS[match[2]]


def size(value: Any) -> int:
    """`100MB` to 100000000.

    >>> size("64KB"), size("1KiB")
    (64000, 1024)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]i?B|B)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size; write a number and a unit: 64KB, 100MB, 2GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def as_seconds(value: float) -> str:
    """Seconds as people write them, in the largest unit that needs no fraction.

    >>> as_seconds(600.0), as_seconds(0.25), as_seconds(90)
    ('10m', '250ms', '90s')
    """
    thousandths = round(value * 1000)
    for unit in ("d", "h", "m", "s", "ms"):
        whole, rest = divmod(thousandths, round(_SECONDS[unit] * 1000))
        if not rest and whole:
            break
    return f"{whole}{unit}" if thousandths else "0s"


def as_size(value: int) -> str:
    """Bytes as people write them.

    >>> as_size(100_000_000), as_size(64_000), as_size(1500), as_size(0)
    ('100MB', '64KB', '1500B', '0B')
    """
    units = ("GB", "MB", "KB", "B")
    unit = next((unit for unit in units if value % _BYTES[unit] == 0 and value >= _BYTES[unit]), "B")
    return f"{value // _BYTES[unit]}{unit}"


# In a model: `timeout: Seconds = 30.0`. Defaults are plain numbers of seconds, YAML must carry a unit.
Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}),
]
Size = Annotated[
    int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?([KMG]i?B|B)$"})
]
