"""The answer that a caller reads: one JSON object, whatever the centre said or did not say."""

from __future__ import annotations

from typing import Any

from config.errors import BadMessage, Refused
from endpoints.insurance.mobile.asked import output_of
from endpoints.insurance.mobile.options import MobileOptions
from endpoints.insurance.mobile.rules import Verdict
from endpoints.insurance.records import Exchange
from schemas.json import Json
from schemas.message import Receipt
from schemas.nhsa.check import checker
from schemas.nhsa.model import Transaction
from schemas.nhsa.money import problems

_JSON = Json()


def receipt(
    transaction: Transaction, msgid: str, said: Verdict, data: Any, options: MobileOptions
) -> Receipt:
    """Raises Refused (JL-N312 the centre said no, JL-N313 nobody knows) where options make that a dead letter."""
    output = output_of(transaction, data)
    warnings = []
    if said.outcome == "OK":
        of = options.of
        found = checker(transaction, of).response(output) + problems(transaction.name, None, output, of.money)
        warnings = [{"code": one.code, "text": one.text, "path": one.path} for one in found]
    answer = _JSON.encode(
        {
            "outcome": said.outcome,
            "infno": transaction.name,
            "msgid": msgid,
            "infcode": said.code,
            "inf_refmsgid": "",
            "err_msg": "" if said.outcome == "OK" else said.text,
            "warn_msg": "",
            "output": output,
            "warnings": warnings,
        }
    )
    if said.outcome == "REJECTED" and options.rejected == "dead":
        raise Refused("JL-N312", _words(transaction, said, "refused 拒绝"), retry=False, answer=answer)
    if said.outcome == "UNKNOWN" and options.unknown == "dead":
        text = _words(transaction, said, "nobody knows whether it was done 结果未知")
        raise Refused("JL-N313", text, retry=False, answer=answer)
    return Receipt(said.outcome, answer, "json")


def again(transaction: Transaction, exchange: Exchange, options: MobileOptions) -> Receipt:
    """What was answered before, or that nobody knows: nothing is sent a second time. Raises as `receipt`."""
    if exchange.state == "sent":
        text = "it was sent before, and its answer was not heard; ask by probe 已发送，未收到应答，请查询"
        return receipt(transaction, exchange.msgid, Verdict("UNKNOWN", "", text), None, options)
    said = Verdict(exchange.state, exchange.infcode, exchange.text)  # type: ignore[arg-type]  # but REVERSED
    if exchange.state == "REVERSED":  # whatever it was: nothing of it is booked any more
        text = f"it was reversed by {exchange.reversed_by} 已冲正或撤销"
        said = Verdict("REJECTED", exchange.infcode, text)
    return receipt(transaction, exchange.msgid, said, kept_data(exchange.answer), options)


def kept_data(body: bytes) -> Any:
    """The data of what was kept of an exchange; None where there is none."""
    try:
        return _JSON.decode(body).get("data") if body else None
    except BadMessage:
        return None


def _words(transaction: Transaction, said: Verdict, what: str) -> str:
    code = f" {said.code}" if said.code else ""
    return f"{transaction.name} {transaction.name_zh}: {what}{code}: {said.text}".rstrip(": ")
