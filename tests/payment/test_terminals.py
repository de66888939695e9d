"""Terminals with a POS and a cash box: what they took is counted once, whatever crashed in between."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from memory_payments import MemoryPayments

from config.errors import Refused
from deploy.sandbox.terminal import CHINA, Terminal
from endpoints.payment.orders import Order
from endpoints.payment.terminal.channel import TerminalChannel
from endpoints.payment.terminal.party import TerminalParty
from endpoints.payment.terminal.reports import transaction_of
from schemas.json import Json

NOON = datetime(2026, 1, 5, 12, tzinfo=CHINA)


class Hall:
    """Two terminals of one hospital, and the engine's party. `at` is everybody's clock."""

    def __init__(self) -> None:
        self.at = NOON
        self.payments = MemoryPayments()
        self.party = TerminalParty(
            "counter", TerminalChannel(), self.payments, lambda: int(self.at.timestamp() * 1000)
        )
        self.one, self.two = (Terminal(name, self.report, NOON) for name in ("T1", "T2"))

    def later(self, **by: float) -> None:
        self.at = self.one.at = self.two.at = self.at + timedelta(**by)

    async def report(self, event: dict[str, Any]) -> Mapping[str, Any]:
        return await self._ask("report", event, {})

    async def ask(
        self, operation: str, key: str = "S1/card", direction: str = "do", **asked: Any
    ) -> dict[str, Any]:
        return await self._ask(operation, asked, {"key": key, "settlement": "S1", "direction": direction})

    async def _ask(self, operation: str, asked: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        tree = Json().decode((await self.party.ask(operation, asked, headers)).answer)
        assert isinstance(tree, dict)
        return tree

    async def order(self, key: str = "S1/card", **more: Any) -> str:
        asked = {"terminal": "T1", "amount": "36.50", "method": "card", **more}
        made = await self.ask("create", key, **asked)
        assert made["outcome"] == "OK", made
        return str(made["order"])

    def of(self, number: str) -> Order:
        return self.payments.orders[number]


@pytest.fixture
def hall() -> Hall:
    return Hall()


async def test_a_charge_that_the_terminal_reports_pays_its_order(hall: Hall) -> None:
    number = await hall.order()
    assert (await hall.ask("paid"))["outcome"] == "PROCESSING"
    await hall.one.charge(number, "36.50")
    paid = await hall.ask("paid")
    assert (paid["outcome"], paid["paid"], paid["trace_no"]) == ("OK", "36.50", "000001")
    assert paid["channel_no"] == hall.one.pos.journal[0].reference


async def test_a_declined_card_ends_its_order_without_money(hall: Hall) -> None:
    number = await hall.order()
    hall.one.pos.declines = 1
    await hall.one.charge(number, "36.50")
    assert (await hall.ask("paid"))["outcome"] == "REJECTED"
    assert (await hall.ask("refund_or_close", direction="undo"))["outcome"] == "OK"


@pytest.mark.parametrize("forgets", [False, True])
async def test_f36_a_charge_before_a_crash_is_found_by_the_last_transaction(
    hall: Hall, forgets: bool
) -> None:
    number = await hall.order()
    hall.one.pos.forgets = forgets
    hall.later(seconds=20)
    await hall.one.charge(number, "36.50", crashes=True)
    refused = await hall.ask("create", "S2/card", terminal="T1", amount="5", method="card")
    assert (refused["outcome"], refused["code"]) == ("REJECTED", "JL-P321")
    hall.later(minutes=3)
    for _ in range(2):  # the report comes again
        assert (await hall.one.start())["order"] == number
    assert (await hall.ask("paid"))["outcome"] == "OK"
    assert [one.state for one in hall.payments.orders.values()] == ["PAID"]
    await hall.order("S2/card")


async def test_f36_a_crash_before_the_charge_ends_the_order(hall: Hall) -> None:
    first = await hall.order()
    await hall.one.charge(first, "36.50")
    number = await hall.order("S2/card")
    hall.later(minutes=1)
    await hall.one.start()  # its last transaction is the first one's
    assert (hall.of(first).state, hall.of(number).state) == ("PAID", "FAILED")
    assert hall.one.pos.balance() == Decimal("36.50")


async def test_f36_a_charge_of_no_order_is_voided_at_the_same_terminal_on_the_same_day(hall: Hall) -> None:
    hall.one.pos.forgets = True
    await hall.one.charge("", "88.00", crashes=True)
    found = await hall.one.start()
    assert [one["code"] for one in found["findings"]] == ["JL-P328"]
    assert [(one["way"], one["amount"]) for one in found["do"]] == [("void", "88.00")]
    assert await hall.one.tasks() == []
    assert hall.one.pos.balance() == 0
    assert [one.state for one in hall.payments.orders.values()] == ["REFUNDED"]
    await hall.one.start()
    assert len(hall.payments.given_back) == 1


async def test_a_charge_after_its_orders_end_goes_back_at_the_terminal(hall: Hall) -> None:
    number = await hall.order()
    await hall.one.cancel(number)
    await hall.one.charge(number, "36.50", crashes=True)
    assert [one["way"] for one in (await hall.one.start())["do"]] == ["void"]
    assert hall.of(number).state == "PAID_AFTER_CLOSE"
    assert await hall.one.tasks() == []
    assert (hall.of(number).state, hall.one.pos.balance()) == ("REFUNDED", 0)


async def test_where_people_decide_a_charge_after_its_orders_end_is_refused_aloud(hall: Hall) -> None:
    number = await hall.order()
    await hall.one.cancel(number)
    await hall.one.charge(number, "36.50", crashes=True)
    hall.party.voids = False
    with pytest.raises(Refused) as error:
        await hall.one.start()
    assert error.value.code == "JL-P034"
    assert hall.of(number).state == "PAID_AFTER_CLOSE"


async def test_an_order_that_a_terminal_has_is_not_closed_behind_its_back(hall: Hall) -> None:
    number = await hall.order()
    closed = await hall.ask("refund_or_close", direction="undo")
    assert (closed["outcome"], closed["code"]) == ("UNKNOWN", "JL-P321")
    await hall.one.cancel(number)
    assert (await hall.ask("refund_or_close", direction="undo"))["outcome"] == "OK"


@pytest.mark.parametrize(
    ("hours", "amount", "way"),
    [(0.1, "", "void"), (10.99, "", "void"), (11, "", "refund"), (0.1, "6.50", "refund")],
)
async def test_f35_a_whole_charge_of_the_same_pos_day_is_voided_else_refunded(
    hall: Hall, hours: float, amount: str, way: str
) -> None:
    number = await hall.order()
    await hall.one.charge(number, "36.50")
    hall.later(hours=hours)  # from noon: the POS's day ends at 23:00
    back = await hall.ask("refund", "S1/back", order=number, **({"amount": amount} if amount else {}))
    assert back["outcome"] == "PROCESSING"
    (task,) = (await hall.report({"event": "tasks", "terminal": "T1"}))["do"]
    assert task["way"] == way
    assert (await hall.report({"event": "tasks", "terminal": "T2"}))["do"] == []
    assert await hall.one.tasks() == []
    assert (await hall.ask("refunded", "S1/back"))["outcome"] == "OK"
    assert hall.one.pos.balance() == Decimal("36.50") - Decimal(amount or "36.50")


async def test_a_void_that_the_bank_refuses_becomes_a_refund(hall: Hall) -> None:
    number = await hall.order()
    await hall.one.charge(number, "36.50")
    await hall.ask("refund", "S1/back", order=number)
    await hall.report({"event": "voided", "terminal": "T1", "refund": "R" + number, "response": "25"} | {
        "refund": next(iter(hall.payments.given_back))
    })  # fmt: skip
    (task,) = (await hall.report({"event": "tasks", "terminal": "T1"}))["do"]
    assert task["way"] == "refund"


async def test_f37_a_note_whose_event_comes_twice_is_counted_once(hall: Hall) -> None:
    number = await hall.order("S1/cash", method="cash", amount="150")
    said = await hall.one.insert("100", number, times=3)
    assert (said["taken"], said["state"]) == ("100.00", "PAYING")
    said = await hall.one.insert("50", number, times=2)
    assert (said["taken"], said["state"], said["findings"]) == ("150.00", "PAID", [])
    assert (await hall.ask("paid", "S1/cash"))["paid"] == "150.00"
    closed = await hall.one.close_box()
    assert (closed["ledger"], closed["agrees"]) == ("150.00", True)


async def test_f37_a_gap_in_a_boxs_sequence_is_a_finding_until_it_is_filled(hall: Hall) -> None:
    await hall.one.insert("100", times=0)
    said = await hall.one.insert("20")
    assert {one["code"] for one in said["findings"]} == {"JL-P323", "JL-P328"}
    closed = await hall.one.close_box()
    assert (closed["missing"], closed["difference"], closed["agrees"]) == ([1], "100.00", False)


async def test_the_same_sequence_with_another_amount_is_refused(hall: Hall) -> None:
    await hall.one.insert("100")
    hall.one.notes.clear()
    with pytest.raises(Refused) as error:
        await hall.one.insert("20")
    assert error.value.code == "JL-P001"


async def test_a_patient_who_goes_away_with_less_in_the_box_has_paid_less_and_gets_it_over_the_counter(
    hall: Hall,
) -> None:
    number = await hall.order("S1/cash", method="cash", amount="150")
    await hall.one.insert("100", number)
    await hall.one.cancel(number)
    paid = await hall.ask("paid", "S1/cash")
    assert "doubt" in paid
    assert (await hall.ask("refund_or_close", "S1/cash", "undo"))["outcome"] == "PROCESSING"
    (task,) = (await hall.report({"event": "tasks", "terminal": "T1"}))["do"]
    assert (task["way"], task["amount"]) == ("payout", "100.00")
    out = {"event": "paid_out", "terminal": "T1", "refund": task["refund"], "amount": "100", "by": "P1"}
    with pytest.raises(Refused, match="two people"):
        await hall.report({**out, "second": "P1"})
    await hall.report({**out, "second": "P2"})
    assert hall.of(number).state == "REFUNDED"


async def test_a_box_is_counted_by_two_people_against_the_device_and_the_rows(hall: Hall) -> None:
    for amount in ("100", "50", "20"):
        await hall.one.insert(amount)
    with pytest.raises(Refused, match="two people"):
        await hall.one.close_box(by="P1", second="P1")
    short = await hall.one.close_box(counted="150")
    assert (short["agrees"], short["difference"]) == (False, "-20.00")
    assert [one["code"] for one in short["findings"]] == ["JL-P326"]
    with pytest.raises(Refused) as error:  # a count is not changed afterwards
        await hall.one.close_box(counted="170")
    assert error.value.code == "JL-P001"
    late = await hall.one.insert("10")
    assert "JL-P324" in {one["code"] for one in late["findings"]}


async def test_a_terminal_is_spoken_for_by_its_own_caller_only(hall: Hall) -> None:
    hall.party.owners = {"T1": "kiosk-1"}
    event = {"event": "tasks", "terminal": "T1"}
    for headers in ({}, {"caller.name": "kiosk-2"}):
        with pytest.raises(Refused) as error:
            await hall.party.ask("report", event, headers)
        assert error.value.code == "JL-P322"
    assert (await hall.party.ask("report", event, {"caller.name": "kiosk-1"})).code == "OK"


async def test_a_terminal_says_nothing_of_anothers_order(hall: Hall) -> None:
    number = await hall.order()
    with pytest.raises(Refused) as error:
        await hall.two.cancel(number)
    assert error.value.code == "JL-P322"
    assert hall.of(number).state == "PREPAID"


async def test_f36_nothing_is_voided_while_a_charge_may_not_be_reported_yet(hall: Hall) -> None:
    """The void would be the POS's last transaction, and the charge before it would never be found."""
    first = await hall.order()
    await hall.one.charge(first, "36.50")
    await hall.ask("refund", "S1/back", order=first)
    second = await hall.order("S2/card")
    await hall.one.charge(second, "36.50", crashes=True)
    assert await hall.one.tasks() == []
    assert hall.one.pos.balance() == Decimal("73.00")
    hall.later(minutes=1)
    assert (await hall.one.start())["order"] == second
    assert await hall.one.tasks() == []
    assert hall.one.pos.balance() == Decimal("36.50")


async def test_one_reference_number_pays_one_order(hall: Hall) -> None:
    first = await hall.order()
    said = {"event": "charged", "terminal": "T1", "response": "00", "amount": "36.50", "reference": "2026"}
    await hall.report({**said, "order": first, "at": NOON.isoformat()})
    second = await hall.order("S2/card")
    with pytest.raises(Refused) as error:
        await hall.report({**said, "order": second, "at": NOON.isoformat()})
    assert error.value.code == "JL-P327"


@pytest.mark.parametrize(
    "wrong",
    [{"card": "6228480000000000000"}, {"amount": "1.234"}, {"at": "2026-01-05T12:00:00"}, {"reference": ""}],
)
def test_a_report_that_cannot_be_so_is_refused(wrong: dict[str, str]) -> None:
    said = {"response": "00", "amount": "1", "at": NOON.isoformat(), "reference": "2026", "card": "**0000"}
    assert transaction_of("T1", said).done
    with pytest.raises(Refused):
        transaction_of("T1", said | wrong)


async def test_a_terminal_says_nothing_of_anothers_refund(hall: Hall) -> None:
    card, cash = await hall.order(), await hall.order("S1/cash", method="cash", amount="100")
    await hall.one.charge(card, "36.50")
    await hall.one.insert("100", cash)
    for key, order in (("S1/a", card), ("S1/b", cash)):
        await hall.ask("refund", key, order=order)
    tasks = {
        task["order"]: task["refund"]
        for task in (await hall.report({"event": "tasks", "terminal": "T1"}))["do"]
    }
    pos = {"response": "00", "amount": "36.50", "at": hall.at.isoformat(), "reference": "R1"}
    out = {"amount": "100", "by": "P1", "second": "P2"}
    for event in (
        {"event": "refunded", "refund": tasks[card], **pos},
        {"event": "paid_out", "refund": tasks[cash], **out},
    ):
        with pytest.raises(Refused) as error:
            await hall.report({"terminal": "T2", **event})
        assert error.value.code == "JL-P322"
    assert {one.state for one in hall.payments.given_back.values()} == {"PROCESSING"}


async def test_a_note_pays_one_cash_order_of_its_own_terminal(hall: Hall) -> None:
    first = await hall.order("S1/cash", method="cash", amount="100")
    second = await hall.order("S2/cash", method="cash", amount="100")
    card = await hall.order("S3/card", amount="100")
    await hall.one.insert("100", first)
    note = {
        "event": "note",
        "terminal": "T1",
        "box": hall.one.box,
        "amount": "100",
        "at": hall.at.isoformat(),
    }
    with pytest.raises(Refused) as error:  # the same note, told of another order
        await hall.report({**note, "sequence": 1, "order": second})
    assert error.value.code == "JL-P001"
    for wrong in ({"sequence": 2, "order": card}, {"terminal": "T2", "sequence": 1, "order": second}):
        said = await hall.report({**note, **wrong})
        assert "JL-P328" in {one["code"] for one in said["findings"]}
    assert [hall.of(one).state for one in (first, second, card)] == ["PAID", "PREPAID", "PREPAID"]


async def test_a_note_that_is_told_after_its_orders_end_is_money_though_it_is_less(hall: Hall) -> None:
    number = await hall.order("S1/cash", method="cash", amount="150")
    await hall.one.cancel(number)
    assert hall.of(number).state == "FAILED"
    with pytest.raises(Refused) as error:  # this site has no pipeline that returns it: a person looks
        await hall.one.insert("100", number)
    assert error.value.code == "JL-P034"
    assert (hall.of(number).state, hall.of(number).paid_fen) == ("PAID_AFTER_CLOSE", 10000)


async def test_a_charge_of_no_order_is_its_own_though_the_pos_counts_anew(hall: Hall) -> None:
    sale = {"kind": "sale", "response": "00", "amount": "88", "trace": "000001", "batch": "000001"}
    for reference in ("R1", "R2"):
        last = {**sale, "at": hall.at.isoformat(), "reference": reference}
        await hall.report({"event": "started", "terminal": "T1", "at": hall.at.isoformat(), "last": last})
    assert [one.paid_fen for one in hall.payments.orders.values()] == [8800, 8800]
