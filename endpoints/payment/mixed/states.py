"""What the three states of a mixed order say together. Pure.

mix_pay_status alone says nothing of which half has money: it is never read alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

# A half that the order does not have is NONE; a state that is not known, or not said, is ''.
Half = Literal["CREATED", "SUCCESS", "REFUND", "FAIL", "NONE", ""]
# OPEN nothing is decided. PAID both halves that there are. CASH, INSURANCE this half has the money, and the other one
# failed or went back. NOTHING no money, and there will be none. REFUNDED all went back. UNKNOWN nobody can say.
Together = Literal["OPEN", "PAID", "CASH", "INSURANCE", "NOTHING", "REFUNDED", "UNKNOWN"]

_MIX = ("CREATED", "SUCCESS", "REFUND", "FAIL", "USER_PAYING", "REVERSED")
_HALVES: tuple[Half, ...] = ("CREATED", "SUCCESS", "REFUND", "FAIL")


class States(Struct, frozen=True):
    mix: str
    cash: Half
    insurance: Half


def states_of(said: Mapping[str, Any]) -> States:
    """Of a query's answer or a notice."""
    mix = str(said.get("mix_pay_status") or "").removeprefix("MIX_PAY_")
    cash = _half(said.get("self_pay_status"), "SELF_PAY_", "NO_SELF_PAY")
    insurance = _half(said.get("med_ins_pay_status"), "MED_INS_PAY_", "NO_MED_INS_PAY")
    return States(mix if mix in _MIX else "", cash, insurance)


def together(states: States) -> Together:
    """
    >>> together(States("SUCCESS", "SUCCESS", "SUCCESS")), together(States("FAIL", "FAIL", "SUCCESS"))
    ('PAID', 'INSURANCE')
    """
    halves = [half for half in (states.cash, states.insurance) if half != "NONE"]
    if "" in halves or not halves or not states.mix:
        return "UNKNOWN"
    has = [
        name for name, half in (("CASH", states.cash), ("INSURANCE", states.insurance)) if half == "SUCCESS"
    ]
    if len(has) == len(halves):
        return "PAID" if states.mix == "SUCCESS" else "OPEN"  # both are there, the whole is about to say so
    if "CREATED" in halves:
        return _undecided(states, bool(has))
    if has:
        return "CASH" if has == ["CASH"] else "INSURANCE"
    if states.mix == "SUCCESS":
        return "UNKNOWN"  # it contradicts its halves
    return "REFUNDED" if "REFUND" in halves else "NOTHING"


def _undecided(states: States, has: bool) -> Together:
    """A half has not begun, or is under way."""
    if states.mix in ("FAIL", "REVERSED"):  # it will not begin any more: the other half is all that there is
        if not has:
            return "REFUNDED" if "REFUND" in (states.cash, states.insurance) else "NOTHING"
        return "CASH" if states.cash == "SUCCESS" else "INSURANCE"
    return "UNKNOWN" if states.mix in ("SUCCESS", "REFUND") else "OPEN"


def _half(said: Any, prefix: str, none: str) -> Half:
    text = str(said or "")
    if text == none:
        return "NONE"
    return next((half for half in _HALVES if text == prefix + half), "")
