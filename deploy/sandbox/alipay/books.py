"""What the simulated Alipay knows: trades, codes, refunds. Amounts are fen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Repaid:
    fen: int
    at: datetime


@dataclass(slots=True)
class Trade:
    """`state` '' is a code that nobody scanned: Alipay says of it that there is no such trade."""

    out_trade_no: str
    trade_no: str
    fen: int
    subject: str
    seller: str
    notify_url: str
    made: datetime
    ends: datetime
    qr_code: str = ""
    state: str = ""
    paid: datetime | None = None
    refunds: dict[str, Repaid] = field(default_factory=dict)  # by out_request_no

    @property
    def back(self) -> int:
        return sum(one.fen for one in self.refunds.values())


@dataclass(slots=True)
class Books:
    trades: dict[str, Trade] = field(default_factory=dict)  # by out_trade_no
    bills: dict[str, tuple[datetime, str]] = field(default_factory=dict)  # token to until when, and the day
    serial: int = 0

    def next(self) -> int:
        self.serial += 1
        return self.serial

    @property
    def received(self) -> int:
        """Fen that stand at the merchant's."""
        return sum(one.fen - one.back for one in self.trades.values() if one.paid is not None)

    def expire(self, now: datetime) -> None:
        for one in self.trades.values():
            if one.state in ("", "WAIT_BUYER_PAY") and now >= one.ends:
                one.state = "TRADE_CLOSED"
