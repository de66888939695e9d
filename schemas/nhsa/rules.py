"""What a field's value may be, as one small function each: no words where it is right, which is nearly always.

Numbers come as JSON numbers or as text ("86.50"): the projects that talk to centres do both. A text may be a whole
number, because a HIS keeps its codes so; it leaves as text. A float is refused: it has lost the cents already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from schemas.nhsa.model import Field
from schemas.validation.base import CODE, SIZE, TYPE, listed

Problem = tuple[str, str]  # what is wrong, and its code
Rule = Callable[[Any], Problem | None]

MAX_DIGITS = 40  # of a number whose length no source says
MAX_NUMBER = 80  # characters of one that is text
EXACT = 15  # digits that a JSON number keeps everywhere: a longer one is an identifier, and those are texts
_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_NO_NUMBER = ("is no number 应为数值", TYPE)
_FLOAT = ("is a binary float, which has no cents: JSON is read with Decimal", TYPE)
_NO_TEXT = ("is no text 应为字符", TYPE)
_NO_ID = (f"has more than {EXACT} digits and must be text 应为字符", TYPE)
_NO_DATE = ("is no date yyyy-MM-dd 日期格式", TYPE)
_NO_TIME = ("is no time yyyy-MM-dd HH:mm:ss 日期时间格式", TYPE)
_NO_BYTES = ("is no array of byte values 应为字节数组", TYPE)
_NO_FLAG = ("is neither true nor false 应为布尔值", TYPE)
_NO_NODE = ("is neither object nor list 应为节点", TYPE)


def rule_of(field: Field, codes: Sequence[str] = ()) -> Rule:
    """`codes` are those that it must be one of; none where its list is a province's own."""
    if codes and field.type in ("text", "") and not field.guessed:
        return _coded(codes)
    if field.guessed or not field.type:
        return _anything
    if field.type == "number":
        return _number(field.length, field.decimals)
    if field.type == "text":
        return _text(field.length)
    if field.type == "date":
        return _date_or_time if takes_time(field) else _date
    return {"datetime": _time, "flag": _flag, "bytes": _bytes, "node": _node}[field.type]


def takes_time(field: Field) -> bool:
    """Printed as a date, with the format of a time."""
    return "HH:mm:ss" in field.note


def _anything(value: Any) -> Problem | None:
    return None


def _text(length: int) -> Rule:
    too_long = (f"has more than {length} characters 超长", SIZE)

    def text(value: Any) -> Problem | None:
        if type(value) is not str:
            if type(value) is not int:
                return _NO_TEXT
            if not -(10**EXACT) < value < 10**EXACT:
                return _NO_ID
            value = str(value)
        return too_long if length and len(value) > length else None

    return text


def _coded(codes: Sequence[str]) -> Rule:
    known: Container[str] = frozenset(codes)
    unknown = (f"must be one of {listed(codes)} 代码不在字典中", CODE)

    def coded(value: Any) -> Problem | None:
        if type(value) is str:
            return None if value in known else unknown
        return (None if str(value) in known else unknown) if type(value) is int else _NO_TEXT

    return coded


def _number(length: int, decimals: int) -> Rule:
    whole = (length or MAX_DIGITS) - decimals
    limit = 10**whole
    too_large = (f"has more than {whole} digits before the point 整数位超长", SIZE)
    too_fine = (f"has more than {decimals} decimals 小数位超长", SIZE)
    finest = -decimals if length else -MAX_DIGITS

    def number(value: Any) -> Problem | None:
        kind = type(value)
        if kind is int:
            return None if -limit < value < limit else too_large
        if kind is str:
            if len(value) > MAX_NUMBER or not _NUMBER.fullmatch(value):
                return _NO_NUMBER
            value = Decimal(value)
        elif kind is not Decimal:
            return _FLOAT if kind is float else _NO_NUMBER
        exponent = value.as_tuple().exponent
        if type(exponent) is not int:  # NaN, Infinity
            return _NO_NUMBER
        if not -limit < value < limit:
            return too_large
        return too_fine if exponent < finest and _cut(value, finest) else None

    return number


def _cut(value: Decimal, finest: int) -> bool:
    """Whether something stands behind the finest place: 1.500 has two decimals, and 1.505 three."""
    _, digits, exponent = value.as_tuple()
    behind = finest - int(exponent)
    return any(digits[-behind:] if behind < len(digits) else digits)


def _date(value: Any) -> Problem | None:
    if type(value) is not str or len(value) != 10 or not value[4] == value[7] == "-":
        return _NO_DATE
    try:
        date.fromisoformat(value)
    except ValueError:
        return _NO_DATE
    return None


def _time(value: Any) -> Problem | None:
    if type(value) is not str or len(value) != 19 or value[10] != " " or not value[13] == value[16] == ":":
        return _NO_TIME
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return _NO_TIME
    return None


def _date_or_time(value: Any) -> Problem | None:
    return None if _date(value) is None else _time(value)


def _flag(value: Any) -> Problem | None:
    return None if type(value) is bool or value in ("true", "false", "0", "1", 0, 1) else _NO_FLAG


def _bytes(value: Any) -> Problem | None:
    """Java has signed bytes, others have not; our own side may leave them as they are."""
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        return _NO_BYTES
    return _NO_BYTES if value and (min(value) < -128 or max(value) > 255) else None


def _node(value: Any) -> Problem | None:
    return None if isinstance(value, dict | list) else _NO_NODE
