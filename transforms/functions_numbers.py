"""The pipe functions for numbers, truth and money. Nothing becomes a float."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from config.registry import function
from transforms.pipes import Unusable


def _decimal(value: str) -> Decimal:
    try:
        made = Decimal(value.strip())
    except InvalidOperation:
        raise Unusable("not a number") from None
    if not made.is_finite() or abs(made.adjusted()) > 60:
        raise Unusable("not a number that can be written")
    return made


@function
def number(value: str) -> Decimal | int:
    """A number as it is written: an integer, or a decimal with its zeros. Refuses anything else.

    >>> number("7"), number("7.50")
    (7, Decimal('7.50'))
    """
    made = _decimal(value)
    return int(made) if made == made.to_integral_value() and "." not in value else made


@function
def integer(value: str) -> int:
    """A whole number; refuses `7.5`.

    >>> integer("007")
    7
    """
    made = _decimal(value)
    if made != made.to_integral_value():
        raise Unusable("not a whole number")
    return int(made)


@function
def decimal(value: str, *, places: int = -1) -> Decimal:
    """A decimal number, rounded half up to `places`.

    >>> decimal("3.145", places=2)
    Decimal('3.15')
    """
    made = _decimal(value)
    if places < 0:
        return made
    return made.quantize(Decimal(1).scaleb(-min(places, 20)), ROUND_HALF_UP)


@function
def boolean(value: str) -> bool | None:
    """Y, yes, true, 1, 是 are true; N, no, false, 0, 否 are false; nothing of anything else.

    >>> boolean("Y"), boolean("0"), boolean("?")
    (True, False, None)
    """
    return _TRUTH.get(value.strip().lower())


_TRUTH = {"y": True, "yes": True, "true": True, "t": True, "1": True, "是": True}
_TRUTH |= {"n": False, "no": False, "false": False, "f": False, "0": False, "否": False}


@function
def fen(value: str) -> int:
    """Yuan as a whole number of fen. Refuses a fraction of a fen.

    >>> fen("12.5")
    1250
    """
    made = _decimal(value) * 100
    if made != made.to_integral_value():
        raise Unusable("an amount with a fraction of a fen")
    return int(made)


@function
def yuan(value: str) -> str:
    """Fen as yuan with two places.

    >>> yuan("1250")
    '12.50'
    """
    return f"{Decimal(integer(value)).scaleb(-2):.2f}"
