"""Orders and refunds that have no end are asked about, by a timer: a notice that never comes loses nothing (F25, F28).

channel: sweep-of-wechat
from: {timer: {cron: "* * * * *"}}
format: json
to: {wechat: {send: wechat.sweep}}
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from config.errors import JingluoError
from endpoints.payment.noticed import follow, follow_refund
from endpoints.payment.orders import OVER, RECEIVED, Order, Refund
from endpoints.payment.told import told
from schemas.message import Receipt

if TYPE_CHECKING:
    from endpoints.payment.party import PaymentParty

log = structlog.get_logger()
One = TypeVar("One", Order, Refund)
_MOST = 1000
_HOUR_MS = 3_600_000


async def sweep(party: PaymentParty) -> Receipt:
    """Answers how many were asked about, how many of them have an end now, and how many could not be asked about."""
    rules = party.rules
    before_ms = party.now_ms() - round(rules.sweep_after_s * 1000)
    orders = _turn(await party.payments.open(party.system, before_ms, _MOST), party)
    refunds = _turn(await party.payments.open_refunds(party.system, before_ms, _MOST), party)
    ended = failed = 0
    every: list[Order | Refund] = [*orders, *refunds]
    for one in every:
        try:
            done = await (_order(party, one) if isinstance(one, Order) else _refund(party, one))
        except JingluoError as error:
            failed += 1
            log.warning("payment.sweep", system=party.system, number=one.number, code=error.code)
        else:
            ended += done
    return told("OK", orders=len(orders), refunds=len(refunds), ended=ended, failed=failed)


def _turn(found: Sequence[One], party: PaymentParty) -> list[One]:
    """Whose turn it is: what is older than an hour every tenth time, than a day every hundredth, so that what stays
    open for days (a refund to a card) keeps none that is new from being asked about. Chance by number and time."""
    now_ms, turn = party.now_ms(), []
    for one in found:
        age_ms = now_ms - one.at_ms
        every = 1 if age_ms < _HOUR_MS else (10 if age_ms < 24 * _HOUR_MS else 100)
        if zlib.crc32(f"{one.number} {now_ms // 1000}".encode()) % every == 0:
            turn.append(one)
    return turn[-party.rules.sweep_at_once :]  # the newest


async def _order(party: PaymentParty, order: Order) -> bool:
    """Whether it has an end now. One that is unpaid for too long is closed."""
    order = await party.payments.seen(order, await party.channel.query(order))
    old = order.at_ms < party.now_ms() - round(party.rules.open_for_s * 1000)
    if old and order.state not in OVER and order.state not in RECEIVED:
        close = party.channel.reverse if order.method == "code" else party.channel.close
        order = await party.payments.seen(order, await close(order))
    await follow(party, order)
    return order.state in OVER or order.state in RECEIVED


async def _refund(party: PaymentParty, refund: Refund) -> bool:
    """Whether it has an end now."""
    order = await party.payments.order(party.system, refund.order)
    assert order is not None, "a refund is of an order"
    seen = await party.channel.query_refund(order, refund)
    if seen.state == "ABSENT":
        return False  # whoever wants it asks for it again, under the same key
    refund = await party.payments.refund_seen(refund, seen)
    await follow_refund(party, refund)
    return refund.state not in ("CREATED", "UNKNOWN", "PROCESSING")
