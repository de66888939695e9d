"""What is done about a difference before a person looks: asked first, given back once, never more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from recon_memory import Remembered
from recon_parts import DAY, NOON, pay

from config.errors import Refused
from endpoints.payment.orders import Order
from router.reconcile.books import Books, Item
from router.reconcile.compare import compare
from router.reconcile.kept import Event
from router.reconcile.resolving import Resolver


class Told:
    """The events of items, and the means: what was asked of them."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.done: list[tuple[str, ...]] = []

    async def item(self, id: str) -> tuple[None, list[Event]]:
        return None, self.events.get(id, [])

    async def say(self, id: str, what: str, said: dict[str, Any], state: str = "") -> None:
        self.events.setdefault(id, []).append(Event(1, 0, what, said))

    async def query(self, system: str, operation: str, asked: Mapping[str, str], key: str) -> str | None:
        self.done.append((operation, key))
        return "OK"

    async def give_back(self, order: Order, returns: str) -> str | None:
        if not returns:
            return None
        self.done.append(("refund", order.number))
        return "RT WAITING"

    async def suspend(self, item: Item) -> str | None:
        self.done.append(("suspense", item.number))
        return "order:1"


def _resolver(told: Told, payments: Remembered) -> Resolver:
    return Resolver(told, payments, told)  # type: ignore[arg-type]


def _items(theirs: list[Any], ours: list[Any], today: str = "2026-01-09") -> list[Item]:
    return compare(Books("wechat", theirs, ours), DAY, DAY, today)


async def test_a_bill_paid_twice_has_the_later_order_given_back_once_where_a_pipeline_is_named() -> None:
    told, payments = Told(), Remembered()
    rows = [pay("A", bill="S1"), pay("B", bill="S1", at_ms=NOON + 1)]
    payments.paid("B", 3650, NOON + 1)
    items = _items(rows, rows)
    assert await _resolver(told, payments).try_all(items, "") == 0
    for _ in range(2):
        await _resolver(told, payments).try_all(items, "return-payment")
    assert told.done == [("refund", "B")]


async def test_what_a_notice_has_going_back_already_stops_no_rule() -> None:
    class Begun(Told):
        async def give_back(self, order: Order, returns: str) -> str | None:
            raise Refused("JL-T011", "the same number came with another request")

    told, payments = Begun(), Remembered()
    rows = [pay("A", bill="S1"), pay("B", bill="S1", at_ms=NOON + 1)]
    payments.paid("B", 3650, NOON + 1)
    assert await _resolver(told, payments).try_all(_items(rows, rows), "return-payment") == 1
    assert await _resolver(told, payments).try_all(_items(rows, rows), "return-payment") == 0


@pytest.mark.parametrize(("today", "done"), [("2026-01-06", []), ("2026-01-09", [("suspense", "X")])])
async def test_what_nobody_owns_goes_to_suspense_once_its_time_in_transit_is_over(
    today: str, done: list[tuple[str, str]]
) -> None:
    told = Told()
    items = _items([pay("X")], [], today)
    for _ in range(2):
        await _resolver(told, Remembered()).try_all(items, "")
    assert told.done == done


async def test_F71_what_the_statement_lacks_is_asked_of_the_channel_and_nothing_is_reversed() -> None:
    told, payments = Told(), Remembered()
    payments.paid("A", 3650, NOON)
    await _resolver(told, payments).try_all(_items([], [pay("A")]), "return-payment")
    assert told.done == [("paid", "A/pay")]
