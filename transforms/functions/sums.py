"""Sums over lists. What is not a number refuses the message, and never counts as 0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from config.registry import function
from transforms.functions.numbers import EXACT, read_number, rounded


@function
def sum_(values: list[Any]) -> Decimal | int:
    """Their sum, with as many places as the most precise of them: `$.items[].fee | sum`.

    >>> sum_(["12.50", "0.5", 3]), sum_([1, 2])
    (Decimal('16.00'), 3)
    """
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, read_number(value))
    return _plain(total)


@function
def average(values: list[Any], *, places: int = 2) -> Decimal | None:
    """Their mean, rounded half up to `places`.

    >>> average(["120", "124", "125"], places=1)
    Decimal('123.0')
    """
    if not values:
        return None
    return rounded(EXACT.divide(Decimal(sum_(values)), Decimal(len(values))), places)


@function
def smallest(values: list[Any]) -> Decimal | int | None:
    """The smallest number.

    >>> smallest(["10", "9.5"])
    Decimal('9.5')
    """
    return _plain(min(map(read_number, values))) if values else None


@function
def largest(values: list[Any]) -> Decimal | int | None:
    """The largest number.

    >>> largest(["10", "9.5"])
    10
    """
    return _plain(max(map(read_number, values))) if values else None


def _plain(made: Decimal) -> Decimal | int:
    """A number that was written without a point is an integer."""
    exponent = made.as_tuple().exponent
    return int(made) if isinstance(exponent, int) and exponent >= 0 else made
