"""Bytes. For what is measured in bytes of a charset: fixed width, columns of a database, old interfaces."""

from __future__ import annotations

import codecs
from typing import Literal

from config.registry import function
from transforms.pipes import Unusable

Charset = Literal["GB18030", "GBK", "UTF-8"]
_MAX_WIDTH = 10_000


@function
def cut_bytes(value: str, *, length: int, charset: Charset = "GB18030") -> str:
    """The first `length` bytes, without half a character at the end.

    >>> cut_bytes("血常规CBC", length=5), cut_bytes("血常规CBC", length=5, charset="UTF-8")
    ('血常', '血')
    """
    begin = _encode(value, charset)[: max(length, 0)]
    return codecs.getincrementaldecoder(charset)().decode(begin)


@function
def pad_bytes(
    value: str,
    *,
    width: int,
    with_: str = " ",
    side: Literal["left", "right"] = "right",
    charset: Charset = "GB18030",
) -> str:
    """Filled up to `width` bytes; what is longer stays as it is.

    >>> pad_bytes("张三", width=8), pad_bytes("张三", width=8, with_="0", side="left")
    ('张三    ', '0000张三')
    """
    fill = with_[:1] if with_[:1].isascii() and with_ else " "
    filling = fill * (min(width, _MAX_WIDTH) - len(_encode(value, charset)))
    return filling + value if side == "left" else value + filling


@function
def length_bytes(value: str, *, charset: Charset = "GB18030") -> int:
    """How many bytes.

    >>> length_bytes("张三"), length_bytes("张三", charset="UTF-8")
    (4, 6)
    """
    return len(_encode(value, charset))


def _encode(value: str, charset: str) -> bytes:
    try:
        return value.encode(charset)
    except UnicodeEncodeError:
        raise Unusable(f"a character that {charset} does not have") from None
