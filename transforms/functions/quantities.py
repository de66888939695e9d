"""Quantities. Results of a laboratory and their ranges as people write them: `<0.5 mmol/L`, `3.5～5.5`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from config.registry import function
from transforms.functions.numbers import EXACT, read_number, rounded
from transforms.pipes import BadPipe, prepares, remembering, text_of

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)"
_QUANTITY = re.compile(rf"\s*(<=|>=|[<>≤≥＜＞])?\s*({_NUMBER})\s*(\D.*)?", re.ASCII | re.DOTALL)
_RANGE = re.compile(
    rf"\s*(?:({_NUMBER})\s*(?:--?|[~～—－–至])\s*({_NUMBER})|(<=|>=|[<>≤≥＜＞])\s*({_NUMBER}))(?!\d)",
    re.ASCII,
)
_COMPARATORS = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">"}
_LONGEST = 200  # characters


def _quantity(value: str) -> re.Match[str] | None:
    return _QUANTITY.fullmatch(value) if len(value) <= _LONGEST else None


@function
def quantity_value(value: str) -> Decimal | int | None:
    """The number in a result, as it is written; nothing of a result in words.

    >>> quantity_value("<0.50 mmol/L"), quantity_value("≥100"), quantity_value("阴性")
    (Decimal('0.50'), 100, None)
    """
    found = _quantity(value)
    return _number(found[2]) if found else None


@function
def quantity_comparator(value: str) -> str | None:
    """How a result compares, as FHIR writes it: `<`, `<=`, `>`, `>=`; nothing of a plain number.

    >>> quantity_comparator("≤0.50 mmol/L"), quantity_comparator(">100"), quantity_comparator("100")
    ('<=', '>', None)
    """
    found = _quantity(value)
    return _COMPARATORS.get(found[1], found[1]) if found else None


@function
def quantity_unit(value: str) -> str | None:
    """The unit behind the number.

    >>> quantity_unit("5.6 mmol/L"), quantity_unit("37.2℃"), quantity_unit("5.6")
    ('mmol/L', '℃', None)
    """
    found = _quantity(value)
    return (found[3] or "").strip() or None if found else None


@function
def range_low(value: str) -> Decimal | int | None:
    """The lower end of a reference range; nothing where it has none, or is in words.

    >>> range_low("3.5-5.5"), range_low("≥60 mL/min"), range_low("<10"), range_low("阴性")
    (Decimal('3.5'), 60, None, None)
    """
    return _ends(value)[0]


@function
def range_high(value: str) -> Decimal | int | None:
    """The upper end of a reference range; nothing where it has none, or is in words.

    >>> range_high("3.5～5.5 mmol/L"), range_high("<10"), range_high("≥60"), range_high("阴性")
    (Decimal('5.5'), 10, None, None)
    """
    return _ends(value)[1]


@function
def range_flag(values: list[Any]) -> str | None:
    """`L`, `H` or `N` (HL7 table 0078) of a list of two, the result and its range:
    `let: {both: [$OBX-5, $OBX-7]}`, then `$both | range_flag`. Nothing where either is in words.

    >>> range_flag(["6.1", "3.5-5.5"]), range_flag(["5.5", "3.5-5.5"]), range_flag(["<0.1", "0.2-0.5"])
    ('H', 'N', 'L')
    """
    if len(values) != 2:
        return None
    found, (low, high) = _quantity(text_of(values[0])), _ends(text_of(values[1]))
    if found is None or (low is None and high is None):
        return None
    number, mark = _number(found[2]), _COMPARATORS.get(found[1], found[1]) or ""
    below = low is not None and (number < low or (number == low and mark == "<"))
    above = high is not None and (number > high or (number == high and mark == ">"))
    if mark[:1] in ("<", ">") and not (below and mark[0] == "<") and not (above and mark[0] == ">"):
        return None  # `<100` may be anything below
    return "L" if below else "H" if above else "N"


@remembering  # a laboratory has few ranges, and says them with every result
def _ends(value: str) -> tuple[Decimal | int | None, Decimal | int | None]:
    found = _RANGE.match(value) if len(value) <= _LONGEST else None
    if found is None:
        return None, None
    if found[3]:
        number = _number(found[4])
        return (number, None) if found[3] in (">", ">=", "≥", "＞") else (None, number)
    low, high = _number(found[1]), _number(found[2])
    return (low, high) if low <= high else (None, None)


def _number(text: str) -> Decimal | int:
    made = read_number(text)
    return made if "." in text else int(made)


# What one unit is of the first in its line; temperatures have an offset too.
_SCALES: tuple[dict[str, str], ...] = (
    {"kg": "1", "g": "0.001", "mg": "0.000001", "ug": "0.000000001", "斤": "0.5"},
    {"m": "1", "cm": "0.01", "mm": "0.001", "in": "0.0254"},
    {"L": "1", "dL": "0.1", "mL": "0.001", "uL": "0.000001"},
    {"d": "1440", "h": "60", "min": "1"},
    {"kPa": "1", "mmHg": "0.133322", "cmH2O": "0.0980665"},
    {"Cel": "1", "degF": ""},
)
Unit = Literal[
    "kg", "g", "mg", "ug", "斤", "m", "cm", "mm", "in", "L", "dL", "mL", "uL", "d", "h", "min",
    "kPa", "mmHg", "cmH2O", "Cel", "degF",
]  # fmt: skip


@function
def unit_convert(value: str, *, from_: Unit, to: Unit, places: int = 6) -> Decimal:
    """A number in another unit, rounded half up to `places`: mass, length, volume, time, pressure and
    temperature. Amounts of a substance (mmol/L to mg/dL) need its molar mass, and `multiply`.

    >>> unit_convert("72500", from_="g", to="kg"), unit_convert("98.6", from_="degF", to="Cel")
    (Decimal('72.5'), Decimal('37'))
    >>> unit_convert("120", from_="mmHg", to="kPa", places=1)
    Decimal('16.0')
    """
    return _unit_convert(from_=from_, to=to, places=places)(value)


@prepares(unit_convert)
def _unit_convert(*, from_: str, to: str, places: int = 6) -> Callable[[str], Decimal]:
    scale = next((scale for scale in _SCALES if from_ in scale and to in scale), None)
    if scale is None:
        raise BadPipe("JL-C103", f"{from_} cannot become {to}", "both must measure the same")

    def convert(value: str) -> Decimal:
        made = read_number(value)
        if from_ == to:
            pass
        elif from_ == "degF":
            made = EXACT.divide((made - 32) * 5, Decimal(9))
        elif to == "degF":
            made = EXACT.divide(made * 9, Decimal(5)) + 32
        else:
            made = EXACT.divide(EXACT.multiply(made, Decimal(scale[from_])), Decimal(scale[to]))
        made = rounded(made, places)
        return made if places < 6 else Decimal(f"{made.normalize(EXACT):f}")

    return convert
