"""What the simulated WeChat Pay knows: orders, refunds, bills that were asked for. Amounts are fen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Repaid:
    number: str  # out_refund_no
    refund_id: str
    fen: int
    at: datetime
    state: str  # SUCCESS, PROCESSING, ABNORMAL, CLOSED
    notify_url: str
    done: datetime | None = None


@dataclass(slots=True)
class Bought:
    """`kind` is trade_type. Nobody knows its transaction_id before it is paid."""

    number: str
    fen: int
    kind: str
    description: str
    attach: str
    notify_url: str
    made: datetime
    ends: datetime | None
    state: str = "NOTPAY"
    transaction_id: str = ""
    openid: str = ""
    paid: datetime | None = None
    locked: bool = False  # the payer has given the password
    refunds: dict[str, Repaid] = field(default_factory=dict)

    @property
    def back(self) -> int:
        """Fen that went back, or are on their way."""
        return sum(one.fen for one in self.refunds.values() if one.state != "CLOSED")

    @property
    def shown(self) -> str:
        """trade_state: REFUND once there is one, whatever its amount."""
        return "REFUND" if self.state == "SUCCESS" and self.refunds else self.state


@dataclass(slots=True)
class Books:
    """`lies` are what queries say of an order in place of its state; '' that there is none."""

    orders: dict[str, Bought] = field(default_factory=dict)  # by out_trade_no
    bills: dict[str, str] = field(default_factory=dict)  # token to the day
    lies: dict[str, str] = field(default_factory=dict)
    serial: int = 0

    def next(self) -> int:
        self.serial += 1
        return self.serial

    @property
    def received(self) -> int:
        """Fen that stand at the merchant's."""
        kept = (one for one in self.orders.values() if one.paid is not None)
        return sum(one.fen - sum(r.fen for r in one.refunds.values() if r.state == "SUCCESS") for one in kept)

    def refund(self, number: str) -> tuple[Bought, Repaid] | None:
        return next(
            ((one, one.refunds[number]) for one in self.orders.values() if number in one.refunds), None
        )

    def pay(self, number: str, at: datetime, openid: str = "oPayer") -> bool:
        """The payer's telephone: whether it was taken."""
        one = self.orders[number]
        if one.state not in ("NOTPAY", "USERPAYING") or (one.ends is not None and at >= one.ends):
            return False
        one.state, one.paid, one.openid = "SUCCESS", at, openid
        one.transaction_id = f"42000{at:%Y%m%d}{self.next():012d}"
        return True

    def prepaid(self, number: str) -> tuple[str, int] | None:
        one = self.orders.get(number)
        return (f"wx{number}", one.fen) if one is not None and one.state == "NOTPAY" else None

    def state(self, number: str) -> str:
        return self.orders[number].shown

    def lock(self, number: str) -> None:
        self.orders[number].locked = True
