"""UnionPay's day runs from 23:00 to 23:00 of China's time: in it a purchase can be voided or reversed. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from endpoints.payment.times import at, ms_of

TXN_TIME = "%Y%m%d%H%M%S"


def day(ms: int) -> date:
    """
    >>> from endpoints.payment.times import ms_of
    >>> str(day(ms_of("20260105225959", TXN_TIME))), str(day(ms_of("20260105230000", TXN_TIME)))
    ('2026-01-05', '2026-01-06')
    """
    return (at(ms) + timedelta(hours=1)).date()


def txn_time(ms: int) -> str:
    """`txnTime` of an order or refund: of the time on its record, so that it is known before anything leaves."""
    return f"{at(ms):{TXN_TIME}}"


def traced(trace_time: str, txn: str) -> int:
    """Unix milliseconds of a `traceTime` (MMDDhhmmss), which has no year; 0 where it is none.

    >>> traced("0101000001", "20251231235959") - traced("1231235959", "20251231235959")
    2000
    """
    years = txn[:4], str(int(txn[:4] or 0) + 1)
    year = years[0] if trace_time[:4] >= txn[4:8] else years[1]
    return ms_of(year + trace_time, TXN_TIME) if len(trace_time) == 10 else 0
