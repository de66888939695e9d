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


# In a model: `timeout: Seconds = 30.0`. Defaults are plain numbers of seconds, YAML must carry a unit.
Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}),
]
Size = Annotated[
    int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?([KMG]i?B|B)$"})
]
