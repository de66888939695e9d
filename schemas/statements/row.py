"""A line of any book, in the one form that reconciliation compares. Money is integer fen, times Unix milliseconds."""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from msgspec import Struct

from config.errors import BadMessage

CHINA = timezone(timedelta(hours=8))
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_MOST_FEN = 10**13  # of one amount

Kind = Literal["PAY", "REFUND"]
# DONE the money moved. PENDING it is under way, or nobody can say. FAILED it did not move, and will not.
# ABNORMAL a refund that the payer's account did not take: it is owed still.
State = Literal["DONE", "PENDING", "FAILED", "ABNORMAL"]


class Row(Struct, frozen=True):
    """One payment or one refund. Amounts are above 0 for both kinds; `fee_fen` is below 0 where it is given back."""

    system: str  # of systems.yaml
    kind: Kind
    number: str  # ours: out_trade_no, out_refund_no; setl_id in insurance books
    fen: int  # what the order or the refund was of
    at_ms: int
    state: State = "DONE"
    channel_no: str = ""  # the other party's number
    received_fen: int = 0  # what moved without coupons of the channel's
    fee_fen: int = 0
    merchant: str = ""
    order: str = ""  # of a refund: our number of the order
    order_no: str = ""  # of a refund: the other party's number of the order
    bill: str = ""  # what it is paid for: a settlement, a bill of the HIS
    method: str = ""
    terminal: str = ""
    cashier: str = ""
    shift: str = ""
    department: str = ""
    business: str = ""  # registration, outpatient, deposit, discharge ...
    approver: str = ""
    fund_fen: int = 0  # 医保 fund
    account_fen: int = 0  # 医保 personal account
    facts: dict[str, int] = {}  # what else is compared: deposit, ledger, invoice, counted; fen

    @property
    def signed_fen(self) -> int:
        return self.fen if self.kind == "PAY" else -self.fen


class Wanted(Struct, frozen=True):
    """What a statement must be of. Without `merchants`, of any; without `sha1`, its bytes are not proved."""

    system: str
    day: str  # yyyy-MM-dd
    merchants: tuple[str, ...] = ()
    sha1: str = ""
    cut_h: int = 0  # the party's day ends so many hours before midnight: UnionPay's at 23:00 is 1


def day_of(at_ms: int, cut_h: int = 0) -> str:
    """China's day of a time; with `cut_h` 1 the day ends at 23:00.

    >>> day_of(1_767_625_199_000), day_of(1_767_625_199_000, 1)
    ('2026-01-05', '2026-01-06')
    """
    return _day((at_ms + (8 + cut_h) * 3_600_000) // DAY_MS)


@functools.lru_cache(4096)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def fen_of(text: str, at: str) -> int:
    """Yuan as a statement writes them, with whole fen. Raises BadMessage (JL-Q008).

    >>> fen_of("36.50", ""), fen_of("-7", "")
    (3650, -700)
    """
    if (
        len(text) < 14
        and text[-3:-2] == "."
        and (digits := text[:-3] + text[-2:]).isascii()
        and digits.isdigit()
    ):
        return int(digits)
    return whole_fen(amount(text, at), at)


def begin_ms(day: str, cut_h: int = 0) -> int:
    """When a day begins. Raises ValueError where it is none."""
    at = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=CHINA)
    return int(at.timestamp()) * 1000 - cut_h * 3_600_000


def shifted(day: str, days: int) -> str:
    """
    >>> shifted("2026-01-01", -1)
    '2025-12-31'
    """
    return day_of(begin_ms(day) + days * DAY_MS)


@functools.lru_cache(64)
def _midnight(day: str) -> int:
    return begin_ms(day)


def time_ms(text: str, at: str, form: str = "%Y-%m-%d %H:%M:%S") -> int:
    """China's time as a statement writes it. Raises BadMessage (JL-Q008)."""
    try:
        if form == "%Y-%m-%d %H:%M:%S" and len(text) == 19 and text[10] == " ":
            hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:])
            if text[13] == text[16] == ":" and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60:
                return _midnight(text[:10]) + ((hour * 60 + minute) * 60 + second) * 1000
        found = datetime.fromisoformat(text) if form == "%Y-%m-%d %H:%M:%S" else datetime.strptime(text, form)
        return int((found if found.tzinfo else found.replace(tzinfo=CHINA)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadMessage("JL-Q008", f"no time: {text[:30]!r} 时间无效", at) from None


def amount(text: str, at: str) -> Decimal:
    """Yuan as a statement writes them. Raises BadMessage (JL-Q008)."""
    try:
        found = Decimal(text.replace(",", "") or "0")
        if found.is_finite() and abs(found) * 100 < _MOST_FEN:
            return found
    except ArithmeticError:
        pass
    raise BadMessage("JL-Q008", f"no amount: {text[:30]!r} 金额无效", at)


def whole_fen(yuan: Decimal, at: str) -> int:
    """Raises BadMessage (JL-Q008) where there are parts of a fen."""
    fen = yuan * 100
    if fen != fen.to_integral_value():
        raise BadMessage("JL-Q008", f"parts of a fen: {yuan} 金额不足一分", at)
    return int(fen)


def rounded_fen(yuan: Decimal) -> int:
    """Of fees, which channels give with five decimals."""
    return int((yuan * 100).to_integral_value(ROUND_HALF_UP))
