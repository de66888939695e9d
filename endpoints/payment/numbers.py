"""The numbers that orders and refunds go by at a channel, and what stands in messages about them. Pure."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from config.errors import Refused

_MOST = 10_000_000_00  # fen of one order
_LONG = 28  # characters: WeChat and Alipay allow 32 and more, UnionPay 40, and only letters and digits


def number_of(system: str, key: str) -> str:
    """Letters and digits, the same for the same key: what is asked again under it is the same order.

    >>> number_of("wechat", "S20260105001/pay") == number_of("wechat", "S20260105001/pay")
    True
    """
    return "JL" + hashlib.sha256(f"{system}\0{key}".encode()).hexdigest()[: _LONG - 2].upper()


def fen_of(amount: Any) -> int:
    """Yuan to fen. Raises Refused (JL-P005) where it is no amount above 0 of whole fen.

    >>> fen_of("36.50"), fen_of(7)
    (3650, 700)
    """
    try:
        fen = Decimal(str(amount)) * 100
        if fen == fen.to_integral_value() and 0 < fen <= _MOST:
            return int(fen)
    except ArithmeticError:  # no number, or one that is too large to be multiplied
        pass
    raise Refused("JL-P005", f"no amount of money in yuan: {str(amount)[:20]!r} 金额无效")


def yuan_of(fen: int) -> str:
    """
    >>> yuan_of(3650), yuan_of(-5)
    ('36.50', '-0.05')
    """
    return f"{Decimal(fen) / 100:.2f}"
