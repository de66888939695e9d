"""An e-invoice platform as a party: one bill of one key, whatever is lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from invoice_parts import BILL, Invoices

from config.errors import Refused
from endpoints.invoice import envelope
from endpoints.invoice.fields import bill_of


async def test_a_bill_is_issued_found_and_written_off() -> None:
    invoices = Invoices()
    issued = await invoices.ask("issue_outpatient")
    assert (issued["outcome"], issued["bill_no"], issued["bill_batch_code"]) == (
        "OK",
        "0000000001",
        "99060126",
    )
    (bill,) = invoices.platform.desk.bills
    assert (bill.fen, bill.bus_type, bill.place, bill.bus_no) == (3650, "02", "P01", issued["bus_no"])
    assert (await invoices.ask("find", {}, "probe", "do"))["bill_no"] == "0000000001"
    assert (await invoices.ask("find", {}, "probe", "undo"))["outcome"] == "ABSENT"
    red = await invoices.ask("write_off", {}, "undo")
    assert (red["outcome"], red["scarlet_no"]) == ("OK", "0000000002")
    assert (await invoices.ask("find", {}, "probe", "undo"))["outcome"] == "OK"
    assert (await invoices.ask("write_off", {}, "undo"))["again"] is True
    assert invoices.platform.desk.live() == []


@pytest.mark.parametrize("kind", ["cut", "garbage", "half", "error", "forged", "mute", "lie", "lose"])
async def test_f44_what_was_issued_and_not_answered_is_one_bill(kind: str) -> None:
    invoices = Invoices(dedupe=False)
    invoices.platform.behave("invoiceEBillOutpatient", kind, times=1)
    first = await invoices.ask("issue")
    assert first["outcome"] in ("OK", "UNKNOWN")
    told = await invoices.ask("issue")
    assert (told["outcome"], len(invoices.platform.desk.live())) == ("OK", 1)


async def test_f43_a_platform_that_is_down_is_not_sent_anything() -> None:
    invoices = Invoices()
    invoices.line.down = True
    assert (await invoices.ask("issue"))["outcome"] == "UNSENT"
    invoices.line.down = False
    assert (await invoices.ask("issue"))["outcome"] == "OK"


async def test_f45_a_write_off_that_is_refused_leaves_the_bill() -> None:
    invoices = Invoices()
    issued = await invoices.ask("issue")
    paper = {key: issued[key] for key in ("bill_batch_code", "bill_no")} | {"paper_no": "0000000009"}
    assert (await invoices.ask("paper_turn", paper))["outcome"] == "OK"
    named = {"invoice": {key: issued[key] for key in ("bill_batch_code", "bill_no")}}
    told = await invoices.ask("write_off", named, step="red")
    assert (told["outcome"], told["err_msg"]) == ("REJECTED", "已换开纸质票据，请先作废")
    assert (await invoices.ask("written_off", named, "probe", "do", "red"))["outcome"] == "ABSENT"
    assert (await invoices.ask("paper_void", {"paper_no": "0000000009"}))["outcome"] == "OK"
    assert (await invoices.ask("write_off", {"invoice": {"of": "S1/invoice"}}, step="red"))["outcome"] == "OK"
    assert (await invoices.ask("written_off", named, "probe", "do", "red"))["outcome"] == "OK"


async def test_a_deposit_receipt_is_written_off_by_its_own_method() -> None:
    invoices = Invoices()
    body = {"kind": "deposit", "amount": "500.00", "patient": {"name": "测试甲"}}
    issued = await invoices.ask("issue", body)
    assert (issued["outcome"], issued["voucher_no"]) == ("OK", "0000000001")
    assert (await invoices.ask("write_off", body, "undo"))["outcome"] == "OK"
    assert "writeOffPayMentVoucher" in invoices.platform.asked


async def test_a_day_is_counted_for_reconciliation() -> None:
    invoices = Invoices()
    for step in ("a", "b", "c"):
        await invoices.ask("issue", step=step)
    await invoices.ask("write_off", {}, "undo", step="b")
    day = {"day": "20260105"}
    assert (await invoices.ask("day_totals", day))["answer"] == {"allTotalNum": 3, "allTotalAmt": 109.5}
    assert (await invoices.ask("day_write_offs", day))["answer"]["allTotalNum"] == 1
    asked = {"from": "20260105", "to": "20260105", "type": "1", "page": 2, "size": 2}
    listed = (await invoices.ask("bills_of_day", asked))["answer"]
    assert (listed["total"], len(listed["billList"])) == (3, 1)


async def test_lines_that_do_not_make_the_total_are_refused_before_anything_is_sent() -> None:
    invoices = Invoices()
    bills: list[tuple[str, dict[str, Any]]] = [
        ("JL-I003", {**BILL, "totalAmt": "36.51"}),
        ("JL-I002", {**BILL, "totalAmt": "36.505"}),
        ("JL-I002", {"payer": "测试甲"}),
    ]
    for code, bill in bills:
        with pytest.raises(Refused, match=code):
            await invoices.ask("issue", {"bill": bill})
    assert invoices.platform.asked == []


async def test_facts_of_a_settlement_are_a_bill_without_a_map() -> None:
    invoices = Invoices()
    facts = {
        "total": "36.50",
        "patient": {"name": "测试甲"},
        "setl_id": "9",
        "refund": {"no": 1},
        "bills": [{}],
    }
    assert (await invoices.ask("issue", facts))["outcome"] == "OK"
    assert invoices.platform.desk.bills[0].payer == "测试甲"
    bill = bill_of({**facts, "fund": "20.4", "cash": "16.10"}, "outpatient", ())
    assert (str(bill["fundPay"]), str(bill["selfCashPay"]), bill["balancedNumber"]) == ("20.40", "16.10", "9")


async def test_a_business_number_that_was_used_is_the_bill_that_has_it() -> None:
    """Its query lagged: the platform's refusal is looked into."""
    invoices = Invoices()
    await invoices.ask("issue")
    invoices.platform.behave("getEBillByBusNo", "lag", times=1)
    told = await invoices.ask("issue")
    assert (told["outcome"], len(invoices.platform.desk.bills)) == ("OK", 1)


def test_an_answer_that_another_signed_is_none() -> None:
    inner = base64.b64encode(json.dumps({"result": "S0000", "message": "e30="}).encode()).decode()
    body = json.dumps(
        {"data": inner, "noise": "n", "sign": envelope.sign_of("A", inner, "n", "other")}
    ).encode()
    with pytest.raises(envelope.Garbled) as wrong:
        envelope.opened(body, "A", "k")
    assert wrong.value.code == "JL-I006"
    assert envelope.opened(body, "A", "other").message == {}
