"""What an answer of the mobile centres means, by transaction: OK, REJECTED, PROCESSING, UNKNOWN. Pure.

Nothing that is not signed counts as done, and nothing counts as done whose state the answer does not say. Source: the
fields that two public code bases read, and the groups of ordStas by which one of them decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from endpoints.insurance.mobile.options import MobileOptions, OrderStates
from endpoints.insurance.records import Outcome
from endpoints.insurance.sm_envelope import Opened

_UNSIGNED = "the answer is not signed 应答未签名"
_NO_STATE = "the answer says no state that is known 应答未给出可识别的状态"
_REFUND: Mapping[str, Outcome] = {"SUCC": "OK", "FAIL": "REJECTED", "EXP": "UNKNOWN"}


class Verdict(NamedTuple):
    outcome: Outcome
    code: str = ""  # the centre's own; '' where it said none
    text: str = ""


def verdict(name: str, opened: Opened, options: MobileOptions) -> Verdict:
    """Of the answer to a transaction."""
    code, said = opened.head.get("code", ""), opened.head.get("message", "")
    if _failed(opened.head):
        if code in options.unknown_codes:
            return Verdict("UNKNOWN", code, said)
        if not opened.signed and options.unsigned == "unknown":
            return Verdict("UNKNOWN", code, said or _UNSIGNED)
        return Verdict("REJECTED", code, said)
    if not opened.signed:
        return Verdict("UNKNOWN", code, _UNSIGNED)
    rule = _RULES.get(name)
    outcome: Outcome = rule(_object(opened.data), options.order_states) if rule else "OK"
    return Verdict(outcome, code, said or (_NO_STATE if outcome == "UNKNOWN" and rule else ""))


def probed(name: str, data: Any, states: OrderStates) -> Outcome:
    """What became of a call of this name, by what MP-6301 answered of its order, or D005 of its prescription."""
    group = order_group(_object(data), states)
    return _PROBED.get((name, group), "UNKNOWN")


def order_group(data: Mapping[str, Any], states: OrderStates) -> str:
    """open, paid, cancelled or failed; '' where the answer names no state that is known."""
    state = str(data.get("ordStas", ""))
    groups = (("open", states.open), ("paid", states.paid), ("cancelled", states.cancelled))
    return next((group for group, those in (*groups, ("failed", states.failed)) if state in those), "")


def _failed(head: Mapping[str, str]) -> bool:
    """`code` 0 is success; where there is none, `success` says it, and silence is none."""
    if code := head.get("code", ""):
        return code != "0" or head.get("success") == "false"
    return head.get("success") != "true"


def _paid(data: Mapping[str, Any], states: OrderStates) -> Outcome:
    paid: Mapping[str, Outcome] = {
        "open": "PROCESSING", "paid": "OK", "cancelled": "REJECTED", "failed": "REJECTED"
    }  # fmt: skip
    return paid.get(order_group(data, states), "UNKNOWN")


def _refunded(data: Mapping[str, Any], states: OrderStates) -> Outcome:
    return _REFUND.get(str(data.get("refStatus", "")), "UNKNOWN")


def _has(field: str) -> Callable[[Mapping[str, Any], OrderStates], Outcome]:
    """Without this value nobody could go on with what was made, or undo it."""

    def rule(data: Mapping[str, Any], states: OrderStates) -> Outcome:
        return "OK" if data.get(field) else "UNKNOWN"

    return rule


def _object(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}


_RULES: Mapping[str, Callable[[Mapping[str, Any], OrderStates], Outcome]] = {
    "MP-6201": _has("payOrdId"),
    "MP-6202": _paid,
    "MP-6203": _refunded,
    "D001": _has("rxTraceCode"),
    "D003": _has("hiRxno"),
}
# What the state of an order says of a call. A refund or a cancel that does not show may still be on its way.
_PROBED: Mapping[tuple[str, str], Outcome] = {
    ("MP-6201", "open"): "OK",
    ("MP-6201", "paid"): "OK",
    ("MP-6202", "open"): "PROCESSING",
    ("MP-6202", "paid"): "OK",
    ("MP-6202", "cancelled"): "REJECTED",
    ("MP-6202", "failed"): "REJECTED",
    ("MP-6203", "cancelled"): "OK",
    ("MP-6401", "cancelled"): "OK",
}
