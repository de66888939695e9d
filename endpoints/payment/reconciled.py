"""The statement of a day, fetched of a channel and handed to the engine's reconciliation."""

from __future__ import annotations

from config.errors import Refused, Unreachable
from endpoints.payment.channel import PaymentChannel
from endpoints.stating import Statements
from schemas.json import Json
from schemas.message import Receipt

_JSON = Json()
_AGAIN_S = 900.0  # WeChat's is there from 10:00 on, and late at times


async def reconciled(
    channel: PaymentChannel,
    statements: Statements | None,
    system: str,
    form: str,
    merchants: tuple[str, ...],
    accounts: tuple[str, ...],
    returns: str,
    day: str,
) -> Receipt:
    """Raises Unreachable (JL-Q010) while it is not there yet, or was cut on its way: it is asked for again. Refused
    where it is whole and does not fit, or no form is known."""
    if statements is None:
        raise Unreachable("JL-Q022", "this process was given no database for reconciliation")
    if not form:
        raise Refused("JL-Q009", "say `statement`: the form of this channel's statements 未配置对账单格式")
    body = await channel.bill(day)
    if body is None:
        raise Unreachable("JL-Q010", f"no statement of {day} yet 对账单尚未生成", after_s=_AGAIN_S)
    try:
        told = await statements.receive(system, form, day, body, merchants, accounts, returns)
    except Refused as error:
        if error.code in ("JL-Q002", "JL-Q003", "JL-Q004"):  # the next try may bring all of it
            raise Unreachable(error.code, error.text, after_s=_AGAIN_S) from None
        raise
    return Receipt("OK", _JSON.encode({"outcome": "OK", **told}), "json")
