"""Templates of a profile: a HIS' fields made of what is asked, and what is kept of its answers. Pure.

A text `$.total` is a path in the tree, `$key` a name; all other texts stand as they are. Behind a `|` stands how a
value is written or read: `yuan`, `fen`, `number`, or a form of time such as `%Y%m%d`. `{each: $.bills, make: {...}}`
makes one of each item; in it, `$.` is the item. What is missing is left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from config.errors import Refused
from schemas.base import BadPath, Path
from schemas.json import Json

_JSON = Json()
_TEXT = re.compile(r"\$([a-z_]+)?([.\[].*?)?(?:\|(.+))?", re.S)
_ATTRIBUTE = re.compile(r"(\.)@([^\W\d]\w*)")
_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%d")
MONEY = ("yuan", "fen", "number")


class Part(NamedTuple):
    """Of a text: a name or '', a path or '', how it is written or ''."""

    name: str
    path: str
    how: str


def part_of(text: Any) -> Part | None:
    """None for what stands as it is. Raises ValueError with what is wrong.

    >>> part_of("$.total|yuan"), part_of("$key"), part_of("02")
    (Part(name='', path='.total', how='yuan'), Part(name='key', path='', how=''), None)
    """
    return _part(text) if isinstance(text, str) and text.startswith("$") else None


@functools.lru_cache(4096)
def _part(text: str) -> Part:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: write `$.path`, `$name` or `$name.path`, and `|yuan` behind it")
    name, path, how = (one or "" for one in found.groups())
    if how and how not in MONEY and "%" not in how:
        raise ValueError(f"{text!r}: {how!r} is none of {', '.join(MONEY)}, and no form of time")
    try:
        _path(path)
    except BadPath as error:
        raise ValueError(str(error)) from None
    return Part(name, path, how)


def parts_of(template: Any) -> Iterator[Part]:
    """All that a template reads. Raises ValueError."""
    if isinstance(template, Mapping):
        for value in template.values():
            yield from parts_of(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from parts_of(value)
    elif (part := part_of(template)) is not None:
        yield part


def filled(template: Any, tree: Any, names: Mapping[str, Any]) -> Any:
    """What a HIS is sent. Raises Refused (JL-H002) where an amount or a time is none."""
    return _made(template, tree, names, _written)


def kept(template: Any, tree: Any, names: Mapping[str, Any]) -> Any:
    """What stays of an answer: amounts in yuan with two decimals, times as `2026-01-05 09:00:00`. Raises Refused."""
    return _made(template, tree, names, _read)


def _made(template: Any, tree: Any, names: Mapping[str, Any], value: Any) -> Any:
    if isinstance(template, Mapping):
        if set(template) == {"each", "make"}:
            items = listed(found_at(template["each"], tree, names))
            return [_made(template["make"], item, names, value) for item in items]
        made = {str(key): _made(one, tree, names, value) for key, one in template.items()}
        return {key: one for key, one in made.items() if one is not None}
    if isinstance(template, list | tuple):
        return [_made(one, tree, names, value) for one in template]
    part = part_of(template)
    if part is None:
        return template
    found = found_at(template, tree, names)
    if found is None or not part.how:
        return found
    return value(found, part.how)


def found_at(text: str, tree: Any, names: Mapping[str, Any]) -> Any:
    """None where nothing is there."""
    part = part_of(text)
    assert part is not None, "what is read begins with $"
    node = names.get(part.name) if part.name else tree
    return _path(part.path).one(node) if part.path else node


@functools.lru_cache(4096)
def _path(text: str) -> Path:
    """JMESPath, in which attributes of XML need no quotes: `.Bill.@No`. Raises BadPath."""
    return _JSON.path(_ATTRIBUTE.sub(r'\1"@\2"', text))


def listed(found: Any) -> list[Any]:
    """XML does not say whether one is a list of one."""
    if found is None or found == "":
        return []
    return found if isinstance(found, list) else [found]


def _written(value: Any, how: str) -> Any:
    if "%" in how:
        return _time(value).strftime(how.replace("%3f", _millis(value)))
    amount = amount_of(value)
    if how == "fen":
        return int(amount * 100)
    return amount if how == "number" else f"{amount:.2f}"


def _read(value: Any, how: str) -> Any:
    if "%" in how:
        try:
            return datetime.strptime(str(value), how).strftime(_FORMS[0])
        except ValueError:
            raise Refused("JL-H002", f"no time of the form {how}: {str(value)[:30]!r} 时间无效") from None
    amount = amount_of(value, of_fen=how == "fen")
    return f"{amount:.2f}"


def amount_of(value: Any, of_fen: bool = False) -> Decimal:
    """Yuan of whole fen. Raises Refused (JL-H002).

    >>> amount_of("36.5"), amount_of(3650, of_fen=True)
    (Decimal('36.50'), Decimal('36.50'))
    """
    try:
        amount = Decimal(str(value)) / (100 if of_fen else 1)
        if amount.is_finite() and amount * 100 == (amount * 100).to_integral_value():
            return amount.quantize(Decimal("0.01"))
    except (InvalidOperation, ArithmeticError):
        pass
    raise Refused("JL-H002", f"no amount of money: {str(value)[:20]!r} 金额无效")


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    text = str(value).partition(".")[0].strip()
    for form in _FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise Refused("JL-H002", f"no time: {text[:30]!r} 时间无效")


def _millis(value: Any) -> str:
    return f"{value.microsecond // 1000:03d}" if isinstance(value, datetime) else "000"
