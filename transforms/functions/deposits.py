"""Deposits of inpatients (预交金): what is used of them, and where the rest goes back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from config.registry import function
from transforms.functions.money import fen, yuan
from transforms.pipes import Unusable


@function
def offset(value: dict[str, Any]) -> dict[str, str]:
    """What is `due` against the `deposit`, in yuan: how much of it is `used`, and then either what is still to be paid
    (`topup`) or what is too much (`surplus`).

    >>> offset({"due": "300.00", "deposit": "500.00"})
    {'used': '300.00', 'topup': '0.00', 'surplus': '200.00'}
    >>> offset({"due": "300.00"})
    {'used': '0.00', 'topup': '300.00', 'surplus': '0.00'}
    """
    value = _object(value)
    due, deposit = _amount(value.get("due"), "due"), _amount(value.get("deposit", 0), "deposit")
    used = min(due, deposit)
    parts = {"used": used, "topup": due - used, "surplus": deposit - used}
    return {name: yuan(str(part)) for name, part in parts.items()}


@function
def newest_first(value: dict[str, Any]) -> list[dict[str, Any]]:
    """An `amount` parted over payments (`of`, each with `amount` and `paid_at`), the newest first: what of each goes
    back. Refuses more than they are.

    >>> newest_first({"amount": "1.50", "of": [{"amount": "3", "paid_at": "01"}, {"amount": "1", "paid_at": "02"}]})
    [{'amount': '1.00', 'paid_at': '02'}, {'amount': '0.50', 'paid_at': '01'}]
    """
    value = _object(value)
    left, of = _amount(value.get("amount"), "amount"), value.get("of")
    paid = [one for one in of if isinstance(one, dict)] if isinstance(of, list) else []
    parts = []
    for one in sorted(paid, key=lambda one: str(one.get("paid_at", "")), reverse=True):
        part = min(left, _amount(one.get("amount"), "amount"))
        left -= part
        if part:
            parts.append({**one, "amount": yuan(str(part))})
    if left:
        raise Unusable("more goes back than was paid")
    return parts


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable("not an object of amounts")
    return value


def _amount(said: Any, name: str) -> int:
    """Fen."""
    if said is None or isinstance(said, bool) or not isinstance(said, str | int | Decimal):
        raise Unusable(f"`{name}` is no amount")
    made = fen(str(said))
    if made < 0:
        raise Unusable(f"`{name}` is below zero")
    return made
