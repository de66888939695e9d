"""What settlements hear of any payment channel, and what notices and the sweep do, on a channel that is scripted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from config.errors import Refused, Unreachable
from endpoints.payment.numbers import number_of
from endpoints.payment.orders import Evidence, RefundEvidence
from endpoints.payment.party import PaymentParty, Rules
from tests.payment.memory_payments import MemoryPayments
from tests.payment.scripted_channel import ScriptedChannel

NOW = 1_790_000_000_000
NUMBER = number_of("wechat", "S1/pay")
PAID = Evidence("PAID", 3650, NOW + 5000, "42001")


class Settlements:
    """Remembers what it was told."""

    def __init__(self, state: str = "WAITING") -> None:
        self.state = state
        self.notices: list[tuple[str, str, str, Any]] = []
        self.begun: dict[str, Mapping[str, Any]] = {}
        self.suspense: dict[str, tuple[int, str]] = {}

    async def begin(
        self, name: str, request: Mapping[str, Any], caller: str, within_s: float
    ) -> dict[str, Any]:
        self.begun[f"{name} {request['number']}"] = request
        return {"state": "RUNNING"}

    async def show(self, number: str, within_s: float) -> dict[str, Any]:
        if not self.state:
            raise Refused("JL-T012", "no such settlement")
        return {"state": self.state}

    async def cancel(self, number: str, who: str) -> dict[str, Any]:
        raise AssertionError

    async def notice(
        self, number: str, step: str, outcome: str, reply: Any, about: str = "do"
    ) -> dict[str, Any]:
        if not self.state:
            raise Refused("JL-T012", "no such settlement")
        if step.endswith(".notice"):
            raise Refused("JL-T016", "no such step")
        late = self.state in ("COMPENSATED", "REJECTED")
        if not late:
            self.notices.append((number, step, outcome, reply))
        return {"number": number, "state": self.state, "late": late}

    async def found(self, system: str, order: str, fen: int, cls: str, text: str, account: str = "") -> None:
        self.suspense[order] = (fen, cls)

    async def cleared(self, system: str, order: str, fen: int, settlement: str, by: str) -> None:
        assert self.suspense.pop(order)[0] == fen


class Desk:
    def __init__(self, state: str = "WAITING", **says: Any) -> None:
        self.channel = ScriptedChannel(**says)
        self.payments = MemoryPayments()
        self.settle = Settlements(state)
        self.now_ms = NOW
        rules = Rules(returns="payment-return")
        self.party = PaymentParty(
            "wechat", self.channel, self.payments, lambda: self.now_ms, settle=self.settle, rules=rules
        )

    async def ask(self, operation: str, key: str = "S1/pay", about: str = "", **asked: Any) -> dict[str, Any]:
        headers = {"key": key, "settlement": key.partition("/")[0], "direction": asked.pop("direction", "do")}
        receipt = await self.party.ask(operation, asked, headers | ({"about": about} if about else {}))
        told: dict[str, Any] = json.loads(receipt.answer or b"{}")
        assert receipt.code == told["outcome"]
        return told

    async def notice(self, kind: str = "paid", **more: Any) -> dict[str, Any]:
        said = {"id": "EV1", "kind": kind, "order": NUMBER, "amount": "36.50", "currency": "CNY"}
        receipt = await self.party.ask("noticed", said | {"channel_no": "42001"} | more, {})
        told: dict[str, Any] = json.loads(receipt.answer or b"{}")
        return told


async def refused(asked: Any) -> str:
    with pytest.raises(Refused) as said:
        await asked
    return said.value.code


async def test_an_order_is_created_asked_about_and_paid() -> None:
    desk = Desk(query=[Evidence("PREPAID"), PAID])
    made = await desk.ask("create", amount="36.50")
    assert (made["outcome"], made["state"], made["order"]) == ("OK", "PREPAID", NUMBER)
    assert made["code_url"] == "weixin://wxpay/1"
    assert (await desk.ask("paid", "S1/paid", order=NUMBER))["outcome"] == "PROCESSING"
    paid = await desk.ask("paid", "S1/paid", order=NUMBER)
    assert (paid["outcome"], paid["paid"], paid["channel_no"]) == ("OK", "36.50", "42001")
    await desk.ask("paid", "S1/paid", order=NUMBER)
    assert desk.channel.asked == ["create", "query", "query"]


async def test_f16_a_create_whose_answer_was_lost_is_asked_for_again_under_the_same_number() -> None:
    desk = Desk(create=[Evidence("UNKNOWN"), Evidence("PREPAID", facts={"code_url": "weixin://2"})])
    assert (await desk.ask("create", amount="36.50"))["outcome"] == "UNKNOWN"
    again = await desk.ask("created", about="do")
    assert (again["outcome"], again["order"], again["code_url"]) == ("OK", NUMBER, "weixin://2")
    assert len(desk.payments.orders) == 1


async def test_f17_an_order_that_nobody_pays_is_closed() -> None:
    desk = Desk()
    await desk.ask("create", amount="36.50")
    assert (await desk.ask("close", direction="undo"))["outcome"] == "OK"
    assert (await desk.ask("close", direction="undo"))["state"] == "CLOSED"
    assert desk.channel.asked == ["create", "close"]


async def test_f18_what_is_paid_when_it_is_to_be_closed_is_paid() -> None:
    desk = Desk(close=[PAID])
    await desk.ask("create", amount="36.50")
    told = await desk.ask("close", direction="reverse")
    assert (told["outcome"], told["state"], told["paid"]) == ("REJECTED", "PAID", "36.50")


async def test_what_was_paid_when_it_is_to_be_undone_goes_back() -> None:
    desk = Desk(close=[PAID])
    await desk.ask("create", amount="36.50")
    told = await desk.ask("refund_or_close", direction="undo")
    assert (told["outcome"], told["amount"], told["state"]) == ("OK", "36.50", "SUCCESS")
    assert (await desk.ask("refund_or_close", direction="undo"))["outcome"] == "OK"
    assert desk.channel.asked == ["create", "close", "refund 3650"]


async def test_f19_money_for_what_was_closed_goes_back_by_a_pipeline_once() -> None:
    desk = Desk("COMPENSATED")
    await desk.ask("create", amount="36.50")
    await desk.ask("close", direction="undo")
    for _ in range(3):
        assert (await desk.notice())["state"] == "PAID_AFTER_CLOSE"
    assert list(desk.settle.begun) == [f"payment-return RT{NUMBER}"]
    assert desk.settle.begun[f"payment-return RT{NUMBER}"]["amount"] == "36.50"
    assert desk.settle.notices == []
    assert desk.settle.suspense == {NUMBER: (3650, "after-end")}
    await desk.ask("refund", f"RT{NUMBER}/refund", order=NUMBER, amount="36.50")
    assert desk.settle.suspense == {}
    assert (await desk.notice())["state"] == "REFUNDED"


async def test_money_for_a_settlement_that_ended_before_the_order_goes_back_too() -> None:
    desk = Desk("COMPENSATED")
    await desk.ask("create", amount="36.50")
    assert (await desk.notice())["state"] == "PAID"
    assert list(desk.settle.begun) == [f"payment-return RT{NUMBER}"]


async def test_f20_a_notice_that_comes_15_times_says_one_thing() -> None:
    desk = Desk()
    await desk.ask("create", amount="36.50")
    for _ in range(15):
        assert await desk.notice() == {"outcome": "OK", "order": NUMBER, "state": "PAID"}
    assert {(number, step, outcome) for number, step, outcome, _ in desk.settle.notices} == {
        ("S1", "paid", "OK")
    }
    assert len({json.dumps(tree) for *_, tree in desk.settle.notices}) == 1


async def test_f21_a_notice_of_a_refund_before_that_of_the_payment_ends_in_the_same() -> None:
    desk = Desk(query=[PAID])
    desk.channel.says["refund 3650"] = [RefundEvidence("PROCESSING")]
    await desk.ask("create", amount="36.50")
    back = await desk.ask("refund", "S2/refund", order=NUMBER, amount="36.50")
    assert back["outcome"] == "PROCESSING"
    assert (await desk.notice("refunded", refund=back["refund"]))["state"] == "SUCCESS"
    assert (await desk.notice())["state"] == "REFUNDED"
    order = desk.payments.orders[NUMBER]
    assert (order.state, order.paid_fen, order.channel_no) == ("REFUNDED", 3650, "42001")
    assert [(n, step, outcome) for n, step, outcome, _ in desk.settle.notices] == [("S2", "refund", "OK")]


async def test_f23_another_amount_than_was_asked_for_is_told_as_a_doubt() -> None:
    desk = Desk()
    await desk.ask("create", amount="36.50")
    await desk.notice(amount="36.49")
    (told,) = desk.settle.notices
    assert told[2] == "OK"
    assert told[3]["paid"] == "36.49"
    assert "36.49" in told[3]["doubt"]


async def test_f23_another_merchant_or_currency_moves_nothing() -> None:
    desk = Desk()
    await desk.ask("create", amount="36.50")
    for other in ({"merchant": "1900000009"}, {"app": "wx9"}, {"currency": "USD"}):
        assert await refused(desk.notice(**other)) == "JL-P031"
    assert desk.payments.orders[NUMBER].state == "PREPAID"


async def test_f24_a_notice_of_an_unknown_order_is_for_a_person() -> None:
    desk = Desk()
    assert (await desk.notice(order="JLUNKNOWN"))["state"] == "UNKNOWN"
    assert desk.settle.suspense == {"JLUNKNOWN": (3650, "unknown-order")}
    assert await refused(desk.notice("closed", order="JLUNKNOWN")) == "JL-P030"
    desk.party.settle = None
    assert await refused(desk.notice(order="JLUNKNOWN")) == "JL-P030"
    await desk.ask("create", amount="36.50")
    assert await refused(desk.notice("refunded", refund="R9")) == "JL-P032"
    assert await refused(desk.notice("moved")) == "JL-P033"


async def test_f25_a_notice_that_never_comes_is_not_missed() -> None:
    desk = Desk(query=[PAID])
    await desk.ask("create", amount="36.50")
    assert (await desk.ask("sweep"))["orders"] == 0  # it is too young
    desk.now_ms += 61_000
    assert await desk.ask("sweep") == {"outcome": "OK", "orders": 1, "refunds": 0, "ended": 1, "failed": 0}
    assert [(step, outcome) for _, step, outcome, _ in desk.settle.notices] == [("paid", "OK")]
    assert (await desk.ask("sweep"))["orders"] == 0


async def test_an_order_that_is_unpaid_for_hours_is_closed_by_the_sweep() -> None:
    desk = Desk()
    await desk.ask("create", amount="36.50")
    desk.now_ms += 3600_000
    assert (await desk.ask("sweep"))["ended"] == 0
    desk.now_ms += 3 * 3600_000
    ended = 0
    for _ in range(200):  # what is old is not asked about each time
        ended += (await desk.ask("sweep"))["ended"]
        desk.now_ms += 60_000
    assert ended == 1
    assert len(desk.channel.asked) < 30
    assert desk.payments.orders[NUMBER].state == "CLOSED"


async def test_the_sweep_goes_on_after_an_order_that_cannot_be_asked_about() -> None:
    desk = Desk(query=[Unreachable("JL-E220", "no connection"), PAID])
    await desk.ask("create", amount="36.50")
    await desk.ask("create", "S2/pay", amount="36.50")
    desk.now_ms += 61_000
    told = await desk.ask("sweep")
    assert (told["ended"], told["failed"]) == (1, 1)


async def test_a_payment_by_code_is_sent_once_and_then_asked_about() -> None:
    desk = Desk(pay=[Evidence("PAYING")], query=[Evidence("PAYING"), PAID])
    assert await refused(desk.ask("pay", amount="36.50")) == "JL-P010"
    desk = Desk(pay=[Evidence("PAYING")], query=[Evidence("PAYING"), PAID])
    assert (await desk.ask("pay", amount="36.50", auth_code="13"))["outcome"] == "PROCESSING"
    assert (await desk.ask("pay", amount="36.50", auth_code="13"))["outcome"] == "PROCESSING"
    assert (await desk.ask("query", about="do"))["outcome"] == "OK"
    assert desk.channel.asked == ["pay", "query", "query"]


async def test_f46_a_refund_whose_answer_was_lost_is_asked_about_under_its_number() -> None:
    desk = Desk(pay=[PAID], query_refund=[RefundEvidence("ABSENT"), RefundEvidence("SUCCESS", 3650)])
    desk.channel.says["refund 3650"] = [RefundEvidence("UNKNOWN")]
    await desk.ask("pay", amount="36.50", auth_code="13")
    assert (await desk.ask("refund", direction="undo"))["outcome"] == "UNKNOWN"
    assert await desk.ask("refunded", about="undo") == {"outcome": "ABSENT", "final": False}
    assert (await desk.ask("refunded", about="undo"))["outcome"] == "OK"
    assert len(desk.payments.given_back) == 1


async def test_a_no_to_a_refund_that_was_sent_before_says_nothing_of_the_first_try() -> None:
    desk = Desk(pay=[PAID], query_refund=[RefundEvidence("ABSENT"), RefundEvidence("SUCCESS", 650)])
    desk.channel.says["refund 650"] = [RefundEvidence("UNKNOWN"), RefundEvidence("FAILED", code="NO")]
    await desk.ask("pay", amount="36.50", auth_code="13")
    for outcome in ("UNKNOWN", "UNKNOWN", "OK"):
        back = await desk.ask("refund", "S2/refund", order=NUMBER, amount="6.50")
        assert back["outcome"] == outcome
    desk.channel.says["refund 3000"] = [RefundEvidence("FAILED", code="NO")]
    assert (await desk.ask("refund", "S3/refund", order=NUMBER, amount="30.00"))["outcome"] == "REJECTED"


async def test_an_undo_whose_refund_was_refused_is_done_once_all_went_back_otherwise() -> None:
    desk = Desk(pay=[PAID])
    desk.channel.says["refund 3650"] = [RefundEvidence("FAILED"), RefundEvidence("SUCCESS", 3650)]
    await desk.ask("pay", amount="36.50", auth_code="13")
    assert (await desk.ask("refund", direction="undo", order=NUMBER))["outcome"] == "REJECTED"
    assert (await desk.ask("refund", "S2/refund", order=NUMBER, amount="36.50"))["outcome"] == "OK"
    assert (await desk.ask("refund", direction="undo", order=NUMBER))["outcome"] == "OK"
    assert [one for one in desk.channel.asked if one.startswith("refund")] == ["refund 3650", "refund 3650"]


async def test_f47_a_refund_that_no_card_takes_stays_owed() -> None:
    desk = Desk(pay=[PAID])
    desk.channel.says["refund 3650"] = [RefundEvidence("ABNORMAL")]
    await desk.ask("pay", amount="36.50", auth_code="13")
    back = await desk.ask("refund", "S2/refund", order=NUMBER, amount="36.50")
    assert (back["outcome"], back["state"]) == ("UNKNOWN", "ABNORMAL")
    assert await refused(desk.ask("refund", "S3/refund", order=NUMBER, amount="0.01")) == "JL-P003"
    assert await refused(desk.ask("refund_otherwise", refund=back["refund"])) == "JL-P011"


async def test_an_undo_gives_back_what_is_left_and_nothing_twice() -> None:
    desk = Desk(pay=[PAID])
    await desk.ask("pay", amount="36.50", auth_code="13")
    await desk.ask("refund", "S2/refund", order=NUMBER, amount="6.50")
    assert (await desk.ask("refund", direction="undo"))["amount"] == "30.00"
    assert (await desk.ask("refund", "S9/pay", direction="undo", order=NUMBER))["state"] == "REFUNDED"
    assert [one for one in desk.channel.asked if one.startswith("refund")] == ["refund 650", "refund 3000"]


async def test_nothing_leaves_while_the_database_is_away() -> None:
    desk = Desk()
    desk.payments.away = True
    for operation in ("create", "pay", "refund"):
        with pytest.raises(Unreachable, match="JL-P020"):
            await desk.ask(operation, amount="36.50", auth_code="13")
    assert desk.channel.asked == []


async def test_what_is_asked_wrongly_is_refused() -> None:
    desk = Desk()
    assert await refused(desk.ask("pau", amount="1.00")) == "JL-P006"
    assert await refused(desk.ask("create", "", amount="1.00")) == "JL-P007"
    assert await refused(desk.ask("create", "S1/pay\0", amount="1.00")) == "JL-P007"
    assert await refused(desk.ask("create", amount="1.005")) == "JL-P005"
    assert await refused(desk.ask("create", amount="1e999999")) == "JL-P005"
