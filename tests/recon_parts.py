"""Rows, bills and books for tests of reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.statements.row import Row, begin_ms

DAY = "2026-01-05"
NOON = begin_ms(DAY) + 12 * 3_600_000
MERCHANT = "1900000001"
_COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"


def pay(number: str, fen: int = 3650, at_ms: int = NOON, **other: Any) -> Row:
    return Row(
        "wechat", "PAY", number, fen, at_ms, channel_no=other.pop("channel_no", f"42{number}"), **other
    )


def back(number: str, order: str, fen: int = 3650, at_ms: int = NOON, **other: Any) -> Row:
    channel_no = other.pop("channel_no", f"50{number}")
    return Row("wechat", "REFUND", number, fen, at_ms, channel_no=channel_no, order=order, **other)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"


def _clock(row: Row) -> str:
    from datetime import datetime

    from schemas.statements.row import CHINA

    return datetime.fromtimestamp(row.at_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def wechat_bill(rows: Sequence[Row], merchant: str = MERCHANT) -> bytes:
    """As WeChat makes one, of 27 columns."""
    lines = [_COLUMNS]
    for row in rows:
        refund = row.kind == "REFUND"
        states = {"DONE": "SUCCESS", "PENDING": "PROCESSING", "FAILED": "FAIL", "ABNORMAL": "CHANGE"}
        values = [_clock(row), "wx0000000000000000", merchant, "0", row.terminal]
        values += [row.order_no or f"42{row.order}" if refund else row.channel_no, row.order or row.number]
        values += ["openid", "NATIVE", "REFUND" if refund else "SUCCESS", "OTHERS", "CNY"]
        values += ["0.00" if refund else _yuan(row.fen), "0.00"]
        values += (
            [row.channel_no, row.number, _yuan(row.fen), "0.00", "ORIGINAL", states[row.state]]
            if refund
            else (["0", "0", "0.00", "0.00", "", ""])
        )
        values += ["挂号费, 门诊", "", "-0.22000" if refund else "0.22000", "0.60%"]
        values += ["0.00", _yuan(row.fen), ""] if refund else [_yuan(row.fen), "0.00", ""]
        lines.append(",".join(f"`{value}" for value in values))
    paid = sum(row.fen for row in rows if row.kind == "PAY")
    gone = sum(row.fen for row in rows if row.kind == "REFUND")
    fees = sum(22 if row.kind == "PAY" else -22 for row in rows)
    fee = f"{'-' if fees < 0 else ''}{_yuan(abs(fees))}000"
    total = [str(len(rows)), _yuan(paid), _yuan(gone), "0.00", fee, _yuan(paid), _yuan(gone)]
    lines += [_TOTALS, ",".join(f"`{value}" for value in total)]
    return ("﻿" + "\r\n".join(lines) + "\r\n").encode()
