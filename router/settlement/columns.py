"""In which of an operator's columns a system stands: by its kind, else by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Column = Literal["insurance", "payment", "his", "other"]  # beside them stands the ledger

# What a kind or a name begins with.
_BEGINS: Mapping[str, Column] = {
    "nhsa": "insurance",
    "insurance": "insurance",
    "payment": "payment",
    "wechat": "payment",
    "alipay": "payment",
    "unionpay": "payment",
    "terminal": "payment",
    "aggregated": "payment",
    "mixed": "payment",
    "pos": "payment",
    "cash": "payment",
    "bank": "payment",
    "his": "his",
}


def column_of(system: str, kind: str = "") -> Column:
    """
    >>> column_of("centre", "nhsa"), column_of("payment"), column_of("einvoice")
    ('insurance', 'payment', 'other')
    """
    for name in (kind, system):
        found = next((column for start, column in _BEGINS.items() if name.startswith(start)), None)
        if found is not None:
            return found
    return "other"
