"""The trade bill of a day (交易账单, ALL): 27 columns in yuan, a back-quote before each value, and a line of sums."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from deploy.sandbox.wechat.books import Books, Bought, Repaid

COLUMNS = (
    *(
        "交易时间",
        "公众账号ID",
        "商户号",
        "特约商户号",
        "设备号",
        "微信订单号",
        "商户订单号",
        "用户标识",
        "交易类型",
    ),
    *(
        "交易状态",
        "付款银行",
        "货币种类",
        "应结订单金额",
        "代金券金额",
        "微信退款单号",
        "商户退款单号",
        "退款金额",
    ),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额"),
    *("申请退款金额", "费率备注"),
)
_SUMS = (
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
)
_RATE = 6  # of a thousand: the fee 手续费
_REFUND_STATES = {"SUCCESS": "SUCCESS", "PROCESSING": "PROCESSING", "ABNORMAL": "CHANGE", "CLOSED": "FAIL"}


def bill(books: Books, day: str, merchant: str, app: str) -> bytes | None:
    """None where nothing was paid or given back on that day."""
    rows: list[dict[str, str]] = []
    for one in books.orders.values():
        if one.paid is not None and f"{one.paid:%Y-%m-%d}" == day:
            rows.append(_row(one, one.paid, merchant, app))
        rows += [
            _row(one, back.at, merchant, app, back)
            for back in one.refunds.values()
            if f"{back.at:%Y-%m-%d}" == day  # the day on which it was accepted
        ]
    if not rows:
        return None
    lines = [",".join(COLUMNS), *(_line([row[name] for name in COLUMNS]) for row in rows)]
    lines += [",".join(_SUMS), _line(_sums(rows))]
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


def _row(one: Bought, at: datetime, merchant: str, app: str, back: Repaid | None = None) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "0.00") | {
        "交易时间": f"{at:%Y-%m-%d %H:%M:%S}",
        "公众账号ID": app,
        "商户号": merchant,
        "特约商户号": "0",
        "设备号": "",
        "微信订单号": one.transaction_id,
        "商户订单号": one.number,
        "用户标识": one.openid,
        "交易类型": one.kind,
        "交易状态": "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "微信退款单号": "0",
        "商户退款单号": "0",
        "退款类型": "",
        "退款状态": "",
        "商品名称": one.description,
        "商户数据包": one.attach,
        "费率": "0.60%",
        "费率备注": "",
    }
    if back is None:
        return row | {
            "应结订单金额": _yuan(one.fen),
            "订单金额": _yuan(one.fen),
            "手续费": f"{Decimal(one.fen * _RATE) / 100_000:.5f}",
        }
    return row | {
        "交易状态": "REVOKED" if one.state == "REVOKED" else "REFUND",
        "微信退款单号": back.refund_id,
        "商户退款单号": back.number,
        "退款金额": _yuan(back.fen),
        "申请退款金额": _yuan(back.fen),
        "退款类型": "ORIGINAL",
        "退款状态": _REFUND_STATES[back.state],
        "手续费": f"{Decimal(-back.fen * _RATE) / 100_000:.5f}",
    }


def _sums(rows: list[dict[str, str]]) -> list[str]:
    def total(column: str) -> str:
        return str(sum((Decimal(row[column]) for row in rows), Decimal(0)))

    columns = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    return [str(len(rows)), *map(total, columns)]


def _line(values: list[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def _yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"
