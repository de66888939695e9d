"""An aggregator's answers and notices in our words, and our amounts in its unit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from config.errors import BadMessage
from endpoints.payment.aggregated.profile import Profile, Said
from endpoints.payment.numbers import yuan_of
from endpoints.payment.orders import Evidence, RefundEvidence
from endpoints.payment.times import ms_of
from schemas.json import Json

_JSON = Json()


class Heard(Struct, frozen=True):
    """An answer whose signature holds; `said` is unknown where there is none."""

    said: Said
    code: str = ""
    text: str = ""
    fields: Mapping[str, Any] = {}

    def get(self, name: str) -> str:
        value = self.fields.get(name)
        return "" if value is None else str(value)


def amount_of(fen: int, profile: Profile) -> int | str:
    """As the aggregator wants it: whole fen, or yuan as text."""
    return fen if profile.unit == "fen" else yuan_of(fen)


def fen_of(said: Any, profile: Profile) -> int:
    """-1 where it is no amount.

    A unit mistaken for the other is a factor of 100: a fen amount with a fraction is none.
    """
    try:
        fen = Decimal(str(said)) * (1 if profile.unit == "fen" else 100)
    except ArithmeticError:
        return -1
    return int(fen) if fen.is_finite() and fen == fen.to_integral_value() and 0 <= fen < 10**13 else -1


def heard_of(tree: Mapping[str, Any], profile: Profile) -> Heard:
    """Of what is signed."""
    at = profile.answer
    code = str(tree.get(at.code, ""))
    inner: Any = tree.get(at.inside) if at.inside else tree
    if isinstance(inner, str):
        try:
            inner = _JSON.decode(inner.encode()) if inner else {}
        except BadMessage:
            inner = {}
    inner = inner if isinstance(inner, Mapping) else {}
    fields = {ours: inner[theirs] for ours, theirs in at.fields.items() if inner.get(theirs) is not None}
    return Heard(profile.said(code), code, str(tree.get(at.text) or "")[:200] if at.text else "", fields)


def order_of(heard: Heard, number: str, profile: Profile) -> Evidence:
    """UNKNOWN where it speaks of another order, or of an amount that is none."""
    if heard.get("number") != number:
        return Evidence("UNKNOWN", code=heard.code, text="an answer about another order 应答订单号不符")
    state = profile.state(heard.get("state"))
    fen = fen_of(heard.fields.get("amount", 0), profile)
    if fen < 0 or (state == "PAID" and not fen):
        return Evidence("UNKNOWN", code=heard.code, text="an amount that is none 应答金额无效")
    facts = {name: heard.get(name) for name in ("code_url", "trade_no") if heard.get(name)}
    paid = state in ("PAID", "PART_REFUNDED", "REFUNDED")
    at_ms = ms_of(heard.get("paid_at"), profile.time) if paid else 0
    return Evidence(state, fen if paid else 0, at_ms, heard.get("channel_no"), facts, heard.code, heard.text)


def refund_of(heard: Heard, number: str, fen: int, profile: Profile) -> RefundEvidence:
    if heard.get("refund") != number:
        return RefundEvidence(
            "UNKNOWN", code=heard.code, text="an answer about another refund 应答退款单号不符"
        )
    state = profile.refund_state(heard.get("refund_state"))
    said = fen_of(heard.fields.get("refund_amount", amount_of(fen, profile)), profile)
    if said != fen:
        return RefundEvidence("UNKNOWN", code=heard.code, text="another amount 应答退款金额不符")
    return RefundEvidence(state, fen, 0, heard.get("refund_no"), heard.code, heard.text)
