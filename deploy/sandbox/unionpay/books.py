"""What the simulated UnionPay knows: trades by orderId and txnTime. Amounts are fen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta


def day(at: datetime) -> date:
    """UnionPay's day: from 23:00 to 23:00."""
    return (at + timedelta(hours=1)).date()


@dataclass(slots=True)
class Trade:
    """`end` is the respCode that a query tells: 00 done, 05 under way, '' a code that nobody has paid."""

    kind: str  # txnType: 01, 31, 04
    order_id: str
    txn_time: str
    fen: int
    query_id: str
    trace_no: str
    at: datetime
    back_url: str
    end: str = "00"
    reserved: str = ""  # reqReserved, which goes back as it came
    original: str = ""  # queryId of what is voided or refunded
    qr_code: str = ""
    ends: datetime | None = None
    back: int = 0  # what was voided or refunded of it
    reversed: bool = False


@dataclass(slots=True)
class Books:
    trades: dict[tuple[str, str], Trade] = field(default_factory=dict)  # by orderId and txnTime
    serial: int = 0

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def of_query_id(self, query_id: str) -> Trade | None:
        return next((one for one in self.trades.values() if one.query_id == query_id), None)

    @property
    def received(self) -> int:
        """Fen that stand at the merchant's."""
        paid = (one for one in self.trades.values() if one.kind == "01" and one.end == "00")
        return sum(one.fen - one.back for one in paid if not one.reversed)

    def of_kind(self, kind: str) -> list[Trade]:
        return [one for one in self.trades.values() if one.kind == kind]
