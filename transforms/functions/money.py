"""Money. Yuan and fen, exactly; what is rounded says so."""

from __future__ import annotations

from decimal import Decimal

from config.registry import function
from transforms.functions.numbers import EXACT, integer, read_number, rounded
from transforms.pipes import Unusable

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_UNITS = ((10**8, "亿"), (10**4, "万"), (1000, "仟"), (100, "佰"), (10, "拾"))
_MOST = 10**16  # yuan


@function
def fen(value: str) -> int:
    """Yuan as a whole number of fen. Refuses a fraction of a fen.

    >>> fen("12.5")
    1250
    """
    made = EXACT.multiply(read_number(value), Decimal(100))
    if made != made.to_integral_value():
        raise Unusable("an amount with a fraction of a fen")
    return int(made)


@function
def yuan(value: str) -> str:
    """Fen as yuan with two places.

    >>> yuan("1250")
    '12.50'
    """
    return f"{Decimal(integer(value)).scaleb(-2, EXACT):.2f}"


@function
def yuan_round(value: str) -> str:
    """Yuan with two places, rounded half up to the fen.

    >>> yuan_round("12.345"), yuan_round("12"), yuan_round("-0.005")
    ('12.35', '12.00', '-0.01')
    """
    made = rounded(read_number(value), 2)
    return f"{made if made else abs(made):.2f}"


@function
def yuan_words(value: str) -> str:
    """Yuan in capital characters, as a receipt has them (人民币大写), by the rules of the People's Bank for
    filling in bills. Refuses a fraction of a fen.

    >>> yuan_words("1409.50"), yuan_words("6007.14"), yuan_words("16409.02")
    ('人民币壹仟肆佰零玖元伍角', '人民币陆仟零柒元壹角肆分', '人民币壹万陆仟肆佰零玖元零贰分')
    >>> yuan_words("100"), yuan_words("0"), yuan_words("-0.50")
    ('人民币壹佰元整', '人民币零元整', '人民币负伍角')
    """
    total = fen(value)
    whole, rest = divmod(abs(total), 100)
    if whole >= _MOST:
        raise Unusable("more money than can be put in words")
    sign = "负" if total < 0 else ""
    head = f"{_words(whole)}元" if whole else ""
    jiao, last = divmod(rest, 10)
    if not rest:
        return f"人民币{sign}{head or '零元'}整"
    tail = f"{_DIGITS[jiao]}角" if jiao else "零" if whole and last else ""
    return f"人民币{sign}{head}{tail}{_DIGITS[last] + '分' if last else ''}"


def _words(number: int) -> str:
    """A whole number above 0. Zeros between digits are read as one 零."""
    for unit, name in _UNITS:
        if number >= unit:
            head, rest = divmod(number, unit)
            tail = ("零" if rest < unit // 10 else "") + _words(rest) if rest else ""
            return f"{_words(head)}{name}{tail}"
    return _DIGITS[number]
