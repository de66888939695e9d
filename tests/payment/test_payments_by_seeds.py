"""Payers who do what they like over networks that lose what they like, by seeds: no money is lost, none is doubled."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

from aggregated_parts import Counter
from mixed_parts import Clinic, asked
from test_terminals import Hall

from config.errors import Unreachable
from deploy.sandbox.aggregator import No
from endpoints.payment.orders import RECEIVED

SEEDS = 100


class Asker:
    """As a settlement asks: what did not leave is asked again, what is unknown is asked about."""

    def __init__(self, party: Any) -> None:
        self._party = party

    async def asks(
        self, operation: str, direction: str = "do", about: str = "", **said: Any
    ) -> dict[str, Any]:
        try:
            told: dict[str, Any] = await self._party(operation, direction, about, **said)
        except Unreachable:
            return {"outcome": "AWAY"}
        return told

    async def until(self, tries: int, operation: str, probe: str, undo: bool, **said: Any) -> dict[str, Any]:
        direction, about = ("undo", "undo") if undo else ("do", "do")
        now, told = operation, {"outcome": ""}
        for _ in range(tries):
            told = await self.asks(
                now, direction if now == operation else "probe", about if now == probe else "", **said
            )
            if told["outcome"] in ("OK", "REJECTED"):
                return told
            now = operation if told["outcome"] in ("AWAY", "ABSENT") or now == probe else probe
        return told


def acts(chance: Random, length: int = 400) -> list[str]:
    """For a while the network loses; in the end it does not."""
    return [chance.choice(["", "", "", "lost", "away"]) for _ in range(chance.randrange(25))] + [""] * length


async def test_a_mixed_order_is_both_halves_or_no_cash_whatever_is_lost() -> None:
    seen = set()
    for seed in range(SEEDS):
        chance, clinic = Random(seed), Clinic()
        clinic.books.authorise("AUTH1")
        clinic.wire.acts = acts(chance)
        asker = Asker(clinic.ask)
        made = await asker.until(60, "create", "created", False, **asked())
        halves = {"cash": chance.random() < 0.7, "insurance": chance.random() < 0.7}
        number, when = clinic.order.number, chance.choice(["now", "late", "never"])
        if made["outcome"] == "OK" and when == "now":
            clinic.books.pays(number, **halves)
        told = made
        for _ in range(8):
            if told["outcome"] == "REJECTED" or told.get("half") is not None:
                break
            told = await asker.asks("paid", "probe", "do")
        settled = told["outcome"] == "OK" and told.get("half") == ""
        if not settled:
            if when == "late" and made["outcome"] == "OK":
                clinic.books.password(number)
                await asker.asks("reverse", "undo", **asked())
                clinic.books.pays(number, **halves)
            ended = await asker.until(80, "reverse", "created", True, **asked())
            assert ended["outcome"] == "OK", (seed, ended)
        kept = sum(fen for state, fen in clinic.cash.orders.values() if state in ("SUCCESS", "REFUND"))
        kept -= sum(clinic.cash.back.values())
        assert kept == (42000 if settled else 0), seed
        if settled:
            assert clinic.centre.settled == {"ORD1"}, seed
        assert len(clinic.books.orders) <= 1 >= len(clinic.cash.back), seed
        seen.add((settled, when, made["outcome"]))
    assert len(seen) >= 4


async def test_an_aggregators_order_is_paid_once_or_leaves_nothing_whatever_is_lost() -> None:
    seen = set()
    for seed in range(SEEDS):
        chance, counter = Random(seed), Counter()
        counter.acts = list(acts(chance))

        async def ask(
            operation: str, direction: str, about: str, counter: Counter = counter, **said: Any
        ) -> Any:
            return await counter.asks(operation, direction=direction, **said)

        asker = Asker(ask)
        made = await asker.until(60, "create", "created", False, amount="36.50", method="ecny")
        (order,) = counter.payments.orders.values()
        when = chance.choice(["now", "late", "never"])
        if when == "now":
            counter.aggregator.pays(order.number)
        told: Mapping[str, Any] = made
        for _ in range(8):
            told = await asker.asks("paid", "probe")
            if told["outcome"] in ("OK", "REJECTED"):
                break
        settled = told["outcome"] == "OK"
        if not settled or chance.random() < 0.3:  # the HIS refused
            settled = False
            if when == "late":
                await asker.asks("close", "undo")
                try:
                    counter.aggregator.pays(order.number)
                except No:  # it was closed in time
                    when = "never"
            ended = await asker.until(80, "refund_or_close", "refunded", True)
            assert ended["outcome"] == "OK", (seed, ended)
        assert counter.aggregator.balance() == (3650 if settled else 0), seed
        seen.add((settled, when))
    assert len(seen) >= 4


async def test_what_terminals_took_is_what_the_orders_say_whatever_crashed() -> None:
    states = set()
    for seed in range(SEEDS):
        chance, hall = Random(seed), Hall()
        hall.one.pos.forgets = chance.random() < 0.3
        heard = hall.one._report

        async def report(event: dict[str, Any], heard: Any = heard, chance: Random = chance) -> Any:
            """Some come twice."""
            for _ in range(chance.choice([1, 1, 2])):
                told = await heard(event)
            return told

        hall.one._report = report
        for number in range(chance.randrange(1, 7)):
            hall.later(minutes=chance.randrange(1, 30))
            amount = f"{chance.randrange(1, 5000) / 100:.2f}"
            made = await hall.ask("create", f"S{number}/card", terminal="T1", amount=amount, method="card")
            if made["outcome"] == "REJECTED":
                hall.later(seconds=30)
                await hall.one.start()
                made = await hall.ask(
                    "create", f"S{number}/card", terminal="T1", amount=amount, method="card"
                )
            assert made["outcome"] == "OK", (seed, made)
            hall.later(seconds=20)
            what = chance.choice(
                ["charged", "declined", "crash", "crash before", "cancelled", "after the end"]
            )
            hall.one.pos.declines = what == "declined"
            if what in ("cancelled", "after the end"):
                await hall.one.cancel(made["order"])
            if what in ("charged", "declined", "crash", "after the end"):
                await hall.one.charge(made["order"], amount, crashes=what in ("crash", "after the end"))
            if what == "after the end":
                await hall.one.start()
            if chance.random() < 0.2:
                await hall.ask("refund_or_close", f"S{number}/card", "undo")
            if chance.random() < 0.5:
                await hall.one.tasks()
        hall.later(minutes=1)
        await hall.one.start()
        await hall.one.tasks()
        held = Decimal(0)
        for order in hall.payments.orders.values():
            states.add(order.state)
            assert order.state in ("FAILED", "CLOSED", *RECEIVED), (seed, order)
            held += Decimal(order.paid_fen) / 100
        back = sum(one.fen for one in hall.payments.given_back.values() if one.state == "SUCCESS")
        assert held - Decimal(back) / 100 == hall.one.pos.balance(), seed
    assert {"PAID", "FAILED", "REFUNDED"} <= states
