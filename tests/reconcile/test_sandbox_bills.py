"""The bills of the simulated channels are of the forms that reconciliation reads."""

from __future__ import annotations

from datetime import datetime

from recon_parts import DAY

from deploy.sandbox.wechat.bill import bill
from deploy.sandbox.wechat.books import Books, Bought, Repaid
from schemas.statements.forms import read_statement
from schemas.statements.row import CHINA, Wanted


def test_wechats_simulated_bill_is_read_with_its_refunds() -> None:
    at = datetime(2026, 1, 5, 12, 0, 9, tzinfo=CHINA)
    order = Bought("JL1", 3650, "NATIVE", "挂号费, 门诊", "", "", at, None, "SUCCESS", "4200001", paid=at)
    for number, fen, state in (
        ("RJL1", 1000, "SUCCESS"),
        ("RJL2", 500, "PROCESSING"),
        ("RJL3", 7, "ABNORMAL"),
    ):
        order.refunds[number] = Repaid(number, f"50{number}", fen, at, state, "")
    body = bill(Books(orders={"JL1": order}), DAY, "1900000001", "wx0000000000000000")
    assert body is not None
    rows = read_statement("wechat", body, Wanted("wechat", DAY, ("1900000001",)))
    assert [(row.kind, row.number, row.fen, row.state) for row in rows] == [
        ("PAY", "JL1", 3650, "DONE"),
        ("REFUND", "RJL1", 1000, "DONE"),
        ("REFUND", "RJL2", 500, "PENDING"),
        ("REFUND", "RJL3", 7, "ABNORMAL"),
    ]
