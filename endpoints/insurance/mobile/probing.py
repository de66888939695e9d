"""`probe`: what became of a call whose answer was lost, by asking for its order (MP-6301).

A query changes nothing, so it may be asked as often as it takes. What it shows is kept in the row of the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.errors import Refused
from endpoints.insurance.mobile.asked import Asked, named_of
from endpoints.insurance.mobile.options import named
from endpoints.insurance.mobile.rules import Verdict, probed
from endpoints.insurance.mobile.told import again, kept_data, receipt
from endpoints.insurance.records import Exchange, Outcome, Records
from schemas.message import Message, Receipt
from schemas.nhsa import catalogue

if TYPE_CHECKING:
    from endpoints.insurance.mobile.destination import Heard, NhsaMobile

QUERY = "MP-6301"
_LOOKED_AT = 20  # exchanges of one order
_NEEDED = ("payOrdId", "orgCodg", "payToken", "idNo", "userName", "idType")
_REVOKED = "3"  # of the code list rx_stas_codg
_NOT_SHOWN = "the order does not show it, or not yet 订单尚未体现该操作"
_NO_QUERY = "no query of this centre shows what became of it 该中心无法查询其结果"


class Probe:
    def __init__(self, party: NhsaMobile, records: Records) -> None:
        self._party, self._records = party, records
        # Whatever a call's own answers may become, a probe's are answers.
        self._options = party.options.model_copy(update={"rejected": "answer", "unknown": "answer"})

    async def answer(self, message: Message) -> Receipt:
        """As `send` answers the call itself: its outcome, in place of the one that was not heard."""
        said = named_of(message, "probe")
        return await self.of(await self.meant(said), said.get("data"))

    async def of(self, exchange: Exchange, given: Any = None) -> Receipt:
        """`given` is what the query needs besides what is known of the order."""
        options = self._options
        transaction = catalogue.transaction(exchange.infno)
        if exchange.state in ("OK", "REJECTED", "REVERSED"):
            return again(transaction, exchange, options)
        if transaction.name == "D004":
            return await self._taken_back(exchange)
        if QUERY not in transaction.undoing.probes:
            unknown = Verdict("UNKNOWN", exchange.infcode, _NO_QUERY)
            return receipt(transaction, exchange.msgid, unknown, None, options)
        heard = await self.order(exchange, given)
        outcome: Outcome = "UNKNOWN"
        if heard.said.outcome == "OK":
            outcome = probed(exchange.infno, heard.data, options.order_states)
        text = heard.said.text or ("" if outcome != "UNKNOWN" else _NOT_SHOWN)
        verdict = Verdict(outcome, heard.said.code, text)
        if outcome != "UNKNOWN":
            exchange = await self._records.end(exchange, outcome, verdict.code, text, heard.plain, {})
        return receipt(transaction, exchange.msgid, verdict, heard.data, options)

    async def _taken_back(self, exchange: Exchange) -> Receipt:
        """D004, by what D005 shows of the prescription: rxStasCodg 3 is 已撤销."""
        options, sent = self._options, kept_data(exchange.request) or {}
        data = {name: sent.get(name, "") for name in ("hiRxno", "fixmedinsCode")}
        asked = Asked(named("D005", options.centre), data, exchange.opter)
        _, heard = await self._party.call(asked, f"{exchange.msgid} probe")
        shown = heard.data if isinstance(heard.data, dict) else {}
        gone = heard.said.outcome == "OK" and str(shown.get("rxStasCodg")) == _REVOKED
        said = Verdict(
            "OK" if gone else "UNKNOWN", heard.said.code, "" if gone else heard.said.text or _NOT_SHOWN
        )
        if gone:
            exchange = await self._records.end(exchange, "OK", said.code, "", heard.plain, {})
        return receipt(catalogue.transaction("D004"), exchange.msgid, said, None, options)

    async def order(self, exchange: Exchange, given: Any) -> Heard:
        """What the centre says of the order of a call. Raises Refused (JL-N315), Unreachable."""
        asked = Asked(
            named(QUERY, self._party.options.centre), await self.query(exchange, given), exchange.opter
        )
        _, heard = await self._party.call(asked, f"{exchange.msgid} probe")
        return heard

    async def meant(self, said: Mapping[str, Any]) -> Exchange:
        """By `msgid`, or by `key`. Raises Refused (JL-N315)."""
        if msgid := said.get("msgid"):
            found = await self._records.find(str(msgid))
            mine = [found] if found is not None and found.system == self._party.system else []
        else:
            made = await self._records.of_key(self._party.system, str(said["key"]))
            mine = [one for one in made if not one.never_left]  # those that left
        if not mine:
            raise Refused("JL-N315", "nothing was asked under this number 没有此请求", retry=False)
        return mine[-1]

    async def query(self, exchange: Exchange, given: Any) -> Mapping[str, Any]:
        """What MP-6301 asks for, from the probe, the call itself, and what else was said of its order."""
        known: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
        _add(known, exchange)
        if order := known.get("payOrdId"):
            links = {"payOrdId": str(order)}
            for other in await self._records.search(self._party.system, links=links, limit=_LOOKED_AT):
                if not all(known.get(name) for name in _NEEDED):
                    _add(known, await self._records.find(other.msgid))
        if self._party.options.org_code:
            known.setdefault("orgCodg", self._party.options.org_code)
        if missing := [name for name in _NEEDED if not known.get(name)]:
            text = f"the order is asked for with {', '.join(missing)} too: say them in `data` 查询缺少参数"
            raise Refused("JL-N315", text, retry=False)
        return {name: known[name] for name in _NEEDED}


def _add(known: dict[str, Any], exchange: Exchange | None) -> None:
    for body in (exchange.request, exchange.answer) if exchange is not None else ():
        data = kept_data(body)
        for name in _NEEDED if isinstance(data, dict) else ():
            if data.get(name):
                known.setdefault(name, data[name])
