"""`reverse`: undoes a call, by what its order shows now: fees go by MP-6401, what is paid by MP-6203.

The order is asked for first (MP-6301): its amounts are those of the refund, and what is cancelled is not undone twice.
The undoing call is one by the msgid of what it undoes, and its appRefdSn follows from that too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import Refused
from endpoints.insurance.mobile.asked import checked, named_of
from endpoints.insurance.mobile.options import named
from endpoints.insurance.mobile.probing import QUERY, Probe
from endpoints.insurance.mobile.rules import order_group
from endpoints.insurance.mobile.told import kept_data
from endpoints.insurance.records import Exchange, Outcome, Records, Taken
from endpoints.insurance.sm_envelope import CHINA_S
from schemas.json import Json
from schemas.message import Message, Receipt
from schemas.nhsa import catalogue

if TYPE_CHECKING:
    from endpoints.insurance.mobile.destination import NhsaMobile

_JSON = Json()
_PAID_FIRST = "the order is paid: undo the payment first 订单已支付，请先退费"
_NO_STATE = "what became of the order is not known 订单状态未知"
_BEING_UNDONE = "it is undone by another process at this moment: ask again 正在撤销"
_NO_WAY = "no transaction undoes it 无可撤销的交易"


class Undone(NamedTuple):
    """OK: it is not, or no longer, booked. REJECTED: the centre will not. UNKNOWN: ask again later."""

    outcome: Outcome
    text: str = ""
    by: str = ""  # the msgid of what undid it


class Reverse:
    def __init__(self, party: NhsaMobile, records: Records) -> None:
        self._party, self._records = party, records
        self._probe = Probe(party, records)

    async def answer(self, message: Message) -> Receipt:
        """`{"outcome", "msgid", "infno", "state", "text", "by"}`. Raises Refused (JL-N310, N311, N315), Unreachable."""
        said = named_of(message, "reverse")
        given = said.get("data")
        return await self.of(await self._probe.meant(said), given if isinstance(given, dict) else {})

    async def of(self, exchange: Exchange, given: Mapping[str, Any], refunds: bool = False) -> Receipt:
        """`refunds`: fees (MP-6201) that are paid meanwhile are refunded, and not refused."""
        made = await self._undone(exchange, given, refunds)
        if made.by and made.outcome == "OK":
            await self._records.undone(exchange.msgid, made.by)
        now = await self._records.find(exchange.msgid) or exchange
        tree = {
            "outcome": made.outcome,
            "msgid": exchange.msgid,
            "infno": exchange.infno,
            "state": now.state,
            "text": made.text,
            "by": made.by,
        }
        return Receipt(made.outcome, _JSON.encode(tree), "json")

    async def undoing_of(self, exchange: Exchange) -> Exchange | None:
        """The last call that was to undo it, and left."""
        left = [one for one in await self._undoings(exchange) if not one.never_left]
        return left[-1] if left else None

    async def _undoings(self, exchange: Exchange) -> Sequence[Exchange]:
        return await self._records.of_key(self._party.system, undo_key(exchange))

    async def _undone(self, exchange: Exchange, given: Mapping[str, Any], refunds: bool) -> Undone:
        transaction = catalogue.transaction(exchange.infno)
        if exchange.state in ("REVERSED", "REJECTED"):
            return Undone("OK", f"the records say {exchange.state} 记录已有结果", exchange.reversed_by)
        if not transaction.undoing.undo:
            return Undone("REJECTED", _NO_WAY)
        undoings = await self._undoings(exchange)
        known = frozenset(one.msgid for one in undoings)
        before = next((one for one in reversed(undoings) if not one.never_left), None)
        if before is not None and before.state != "REJECTED":
            receipt = await self._probe.of(before, given)
            outcome: Any = receipt.code if receipt.code in ("OK", "REJECTED") else "UNKNOWN"
            if outcome != "REJECTED":
                return Undone(outcome, "" if outcome == "OK" else _NO_STATE, before.msgid)
        if QUERY not in transaction.undoing.probes:
            told = {**(kept_data(exchange.request) or {}), **(kept_data(exchange.answer) or {})}
            numbers = {name: told[name] for name in ("hiRxno", "fixmedinsCode") if told.get(name)}
            return await self._sent(transaction.undoing.undo, exchange, {**numbers, **given}, known)
        return await self._by_order(exchange, given, known, refunds)

    async def _by_order(
        self, exchange: Exchange, given: Mapping[str, Any], known: frozenset[str], refunds: bool
    ) -> Undone:
        heard = await self._probe.order(exchange, given)
        shown = heard.data if isinstance(heard.data, dict) else {}
        group = order_group(shown, self._party.options.order_states) if heard.said.outcome == "OK" else ""
        if group == "cancelled":
            return Undone("OK", "the order is cancelled 订单已撤销")
        if group == "paid" and exchange.infno == "MP-6201":
            if not refunds:
                return Undone("REJECTED", _PAID_FIRST)
            given = {"refdType": "HI", **given}  # the cash goes back where it was taken
        if group == "paid":
            return await self._sent("MP-6203", exchange, self._refund(exchange, shown, given), known)
        if group:
            asked = dict(await self._probe.query(exchange, given))
            return await self._sent("MP-6401", exchange, asked, known)
        return Undone("UNKNOWN", heard.said.text or _NO_STATE)

    def _refund(
        self, exchange: Exchange, shown: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All of it, or with `refdType` the parts that it names (HI, CASH)."""
        kind = str(given.get("refdType") or "ALL")
        parts = {
            "psnAcctRefdAmt": shown.get("psnAcctPay") if kind != "CASH" else 0,
            "fundRefdAmt": shown.get("fundPay") if kind != "CASH" else 0,
            "cashRefdAmt": shown.get("ownPayAmt") if kind != "HI" else 0,
        }
        amounts = {name: Decimal(str(value or 0)) for name, value in parts.items()}
        asked = kept_data(exchange.request) or {}
        proofs = {name: asked[name] for name in ("payAuthNo", "ecToken") if asked.get(name)}
        made = {
            "payOrdId": shown.get("payOrdId") or asked.get("payOrdId"),
            "appRefdSn": f"R{exchange.msgid}",
            "appRefdTime": time.strftime("%Y%m%d%H%M%S", time.gmtime(self._party.ground.now() + CHINA_S)),
            "refdType": kind,
            "totlRefdAmt": sum(amounts.values(), Decimal(0)),
            **amounts,
            **proofs,
        }
        return made | {
            name: value for name, value in given.items() if name in (*made, "payAuthNo", "ecToken")
        }

    async def _sent(
        self, name: str, exchange: Exchange, data: dict[str, Any], known: frozenset[str]
    ) -> Undone:
        options = self._party.options
        asked = checked(named(name, options.centre), data, options, exchange.opter)
        try:
            made, heard = await self._party.call(asked, undo_key(exchange), known)
        except Taken:
            return Undone("UNKNOWN", _BEING_UNDONE)
        except Refused as error:
            return Undone("REJECTED", error.text)
        outcome: Outcome = heard.said.outcome if heard.said.outcome in ("OK", "REJECTED") else "UNKNOWN"
        return Undone(outcome, heard.said.text, made.msgid)


def undo_key(exchange: Exchange) -> str:
    return f"{exchange.msgid} undo"
