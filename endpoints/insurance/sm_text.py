"""The text that the SM2/SM4 envelope signs, and the JSON that it encrypts.

Names in the order of their code points at every level, without what is empty; objects and lists as compact JSON,
Chinese as it is. Languages write the same number differently (36.50, 36.5, 3650E-2): ours leave in the one way that
all read alike, without an exponent and without zeros at the end; those of an answer are taken as they stand there.

Source: 移动支付中心 and 电子处方中心 as three public code bases sign for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

MAX_DEPTH = 50
_UNSIGNED = frozenset(("signData", "encData", "extra"))


class Digits(str):
    """A number as it stood in JSON."""

    __slots__ = ()


def sign_text(body: Mapping[str, Any], secret: str) -> str:
    """`k1=v1&k2=v2&key=secret` of a body whose `data` is in plain form."""
    kept = {name: inner for name, inner in body.items() if name not in _UNSIGNED}
    pruned = without_empty(kept)
    said = [f"{name}={_value(pruned[name])}" for name in sorted(pruned)]
    return "&".join((*said, f"key={secret}"))


def without_empty(value: Any) -> Any:
    """The same without null, empty texts, empty objects and empty lists, at every level."""
    if isinstance(value, Mapping):
        pruned = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in pruned.items() if not _empty(inner)}
    if isinstance(value, list | tuple):
        return [inner for inner in map(without_empty, value) if not _empty(inner)]
    return value


def json_text(value: Any, *, ordered: bool = False, escaped: bool = False) -> str:
    """Compact JSON; `ordered` sorts names at every level, `escaped` writes what is not ASCII as \\uXXXX.

    Raises ValueError where it holds what JSON has no word for, or nests too deep.
    """
    parts: list[str] = []
    _write(value, parts, encode_basestring_ascii if escaped else encode_basestring, ordered, 0)
    return "".join(parts)


def read_json(text: str) -> Any:
    """JSON whose numbers are `Digits`. Raises ValueError."""
    try:
        return _DECODER.decode(text)
    except JSONDecodeError as error:
        raise ValueError(f"no JSON at character {error.pos}") from None
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def shortened(value: Any) -> Any:
    """What was read, with its numbers as a language writes them that reads them into a float or drops their zeros."""
    if isinstance(value, Digits):
        try:
            return Digits(_digits(Decimal(value)))
        except (ValueError, ArithmeticError):
            return value
    if isinstance(value, Mapping):
        return {name: shortened(inner) for name, inner in value.items()}
    return [shortened(inner) for inner in value] if isinstance(value, list) else value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | Mapping | list) and not value)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return json_text(value, ordered=True)


def _write(value: Any, parts: list[str], quoted: Any, ordered: bool, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        mark = "{"
        for name in sorted(value) if ordered else value:
            parts += (mark, quoted(name), ":")
            _write(value[name], parts, quoted, ordered, depth + 1)
            mark = ","
        parts.append("}" if mark == "," else "{}")
    elif isinstance(value, list | tuple):
        mark = "["
        for inner in value:
            parts.append(mark)
            _write(inner, parts, quoted, ordered, depth + 1)
            mark = ","
        parts.append("]" if mark == "," else "[]")
    else:
        parts.append(_scalar(value, quoted))


def _scalar(value: Any, quoted: Any) -> str:
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, str):
        return str(quoted(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal | float):
        return _digits(value if isinstance(value, Decimal) else Decimal(repr(value)))
    raise ValueError(f"a {type(value).__name__} is no JSON value")


def _digits(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > 100:
        raise ValueError("a number that cannot be written without an exponent")
    plain = f"{number:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


_DECODER = JSONDecoder(parse_float=Digits, parse_int=Digits, parse_constant=_refuse)
