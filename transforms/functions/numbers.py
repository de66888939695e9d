"""Numbers and truth. Nothing becomes a float."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, InvalidOperation
from typing import Any, Literal

from config.registry import function
from transforms.pipes import MAX_DIGITS, BadPipe, Unusable, prepares, text_of

EXACT = Context(prec=250)  # two numbers of the longest that are taken multiply without loss
_MAX_PLACES = 20


_PLAIN = re.compile(r"[+-]?[0-9]{1,15}(?:[.][0-9]{1,15})?", re.ASCII)  # needs no second look


def read_number(value: Any) -> Decimal:
    """Raises Unusable where it is no number, or one of more digits than anybody can mean."""
    if value.__class__ is str and _PLAIN.fullmatch(value):
        return Decimal(value)
    try:
        made = Decimal(text_of(value).strip())
    except InvalidOperation:
        raise Unusable("not a number") from None
    if not made.is_finite() or abs(made.adjusted()) > MAX_DIGITS or len(made.as_tuple().digits) > MAX_DIGITS:
        raise Unusable("not a number that can be written")
    return made


def rounded(made: Decimal, places: int, how: str = ROUND_HALF_UP) -> Decimal:
    places = max(min(places, _MAX_PLACES), 0)
    return made.quantize(Decimal(1).scaleb(-places), how, EXACT)


def written(made: Decimal) -> Decimal | int:
    """A whole number without a point."""
    return int(made) if made == made.to_integral_value() else made


@function
def number(value: str) -> Decimal | int:
    """A number as it is written: an integer, or a decimal with its zeros. Refuses anything else.

    >>> number("7"), number("7.50")
    (7, Decimal('7.50'))
    """
    if _PLAIN.fullmatch(value):
        return Decimal(value) if "." in value else int(value)
    made = read_number(value)
    return int(made) if made == made.to_integral_value() and "." not in value else made


@function
def integer(value: str) -> int:
    """A whole number; refuses `7.5`.

    >>> integer("007")
    7
    """
    made = read_number(value)
    if made != made.to_integral_value():
        raise Unusable("not a whole number")
    return int(made)


@function
def decimal(value: str, *, places: int = -1) -> Decimal:
    """A decimal number, rounded half up to `places`.

    >>> decimal("3.145", places=2)
    Decimal('3.15')
    """
    made = read_number(value)
    if places < 0:
        return made
    return rounded(made, places)


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
def round_(
    value: str, *, places: int = 0, how: Literal["half_up", "half_even", "up", "down"] = "half_up"
) -> Decimal | int:
    """Rounded to `places`. `half_even` is the bankers' way, `up` goes away from zero, `down` cuts off.

    >>> round_("2.5"), round_("2.675", places=2), round_("2.5", how="half_even"), round_("-2.1", how="up")
    (3, Decimal('2.68'), 2, -3)
    """
    made = rounded(read_number(value), places, _WAYS[how])
    return made if places > 0 else int(made)


_WAYS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "up": ROUND_UP, "down": ROUND_DOWN}


@function
def absolute(value: str) -> Decimal | int:
    """Without its sign.

    >>> absolute("-12.50")
    Decimal('12.50')
    """
    made = number(value)
    return -made if made < 0 else made


@function
def add(value: str, *, number: Decimal) -> Decimal | int:
    """Plus a number, which may be negative.

    >>> add("7", number=Decimal("1")), add("1.50", number=Decimal("-0.25"))
    (8, Decimal('1.25'))
    """
    return written(EXACT.add(read_number(value), number))


@function
def multiply(value: str, *, by: Decimal) -> Decimal | int:
    """Times a number, exactly.

    >>> multiply("0.125", by=Decimal("100"))
    Decimal('12.500')
    """
    return written(EXACT.multiply(read_number(value), by))


@function
def divide(value: str, *, by: Decimal, places: int = 6) -> Decimal | int:
    """Divided by a number, rounded half up to `places`.

    >>> divide("10", by=Decimal("4")), divide("1", by=Decimal("3"), places=2)
    (Decimal('2.5'), Decimal('0.33'))
    """
    made = rounded(EXACT.divide(read_number(value), by), places)
    return written(made) if made == made.to_integral_value() else made.normalize(EXACT)


@prepares(divide)
def _divide(*, by: Decimal, places: int = 6) -> Callable[[str], Decimal | int]:
    if not by:
        raise BadPipe("JL-C103", "by of divide cannot be 0")
    return functools.partial(divide, by=by, places=places)
