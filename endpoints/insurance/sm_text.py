"""The text that the SM2/SM4 envelope signs, and the JSON that it encrypts.

Names in the order of their code points at every level, without what is empty; objects and lists as compact JSON,
Chinese as it is. Languages write the same number differently (36.50, 36.5, 3650E-2): ours leave in the one way that
all read alike, without an exponent and without zeros at the end; those of an answer are taken as they stand there.

Source: 移动支付中心 and 电子处方中心 as three public code bases sign for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from json import JSONDecodeError, JSONDecoder
from typing import Any

from msgspec import Raw
from msgspec.json import Encoder

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
        made = {}
        for name, inner in value.items():
            kept = inner if type(inner) is str else without_empty(inner)
            if not _empty(kept):
                made[name] = kept
        return made
    if isinstance(value, list | tuple):
        return [inner for inner in map(without_empty, value) if not _empty(inner)]
    return value


def json_text(value: Any, *, ordered: bool = False, escaped: bool = False) -> str:
    """Compact JSON; `ordered` sorts names at every level, `escaped` writes what is not ASCII as \\uXXXX.

    Raises ValueError where it holds what JSON has no word for, or nests too deep.
    """
    made = (_ORDERED if ordered else _AS_IT_IS).encode(_written(value, 0)).decode()
    return _NOT_ASCII.sub(_escape, made) if escaped and not made.isascii() else made


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
    return value is None or value == "" or (isinstance(value, dict | list) and not value)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return json_text(value, ordered=True)


def _written(value: Any, depth: int) -> Any:
    """The same, with numbers as they are to stand there."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is dict:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        depth += 1
        return {
            name: inner if type(inner) is str else _written(inner, depth) for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        return [_written(inner, depth + 1) for inner in value]
    if isinstance(value, Digits | int):
        return Raw(str(value).encode())
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Decimal | float):
        return Raw(_digits(value if isinstance(value, Decimal) else Decimal(repr(value))).encode())
    raise ValueError(f"a {kind.__name__} is no JSON value")


def _digits(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > 100:
        raise ValueError("a number that cannot be written without an exponent")
    plain = f"{number:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _escape(found: re.Match[str]) -> str:
    code = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))


_AS_IT_IS, _ORDERED = Encoder(), Encoder(order="sorted")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_DECODER = JSONDecoder(parse_float=Digits, parse_int=Digits, parse_constant=_refuse)
