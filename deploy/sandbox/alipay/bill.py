"""The bill of a day (交易账单): a ZIP with two CSVs in GBK, comment lines with `#`, values with tabs behind them."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime

from deploy.sandbox.alipay.books import Books, Trade
from deploy.sandbox.alipay.methods import yuan

COLUMNS = (
    *("支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间", "门店编号", "门店名称"),
    *("操作员", "终端号", "对方账户", "订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）"),
    *("支付宝优惠（元）", "商家优惠（元）", "券核销金额（元）", "券名称", "商家红包消费金额（元）"),
    *("卡消费金额（元）", "退款批次号/请求号", "服务费（元）", "分润（元）", "备注"),
)
_RATE = 6  # of a thousand: the fee 服务费


def bill(books: Books, day: str, account: str) -> bytes:
    lines = [line for trade in books.trades.values() for line in _lines(trade, day)]
    rows = [_row(*line) for line in lines]
    paid, back = ([fen for _, of, fen, _, _ in lines if of == kind] for kind in ("交易", "退款"))
    head = (
        "#支付宝业务明细查询",
        f"#账号：[{account}0156]",
        f"#起始日期：[{day} 00:00:00]   终止日期：[{day} 23:59:59]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        ",".join(COLUMNS),
    )
    tail = (
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(paid)}笔，商家实收共{yuan(sum(paid))}元，商家优惠共0.00元",
        f"#退款合计：{len(back)}笔，商家实收退款共{yuan(sum(back))}元，商家优惠退款共0.00元",
        f"#导出时间：[{day} 09:00:00]",
    )
    return _zipped(account, day, "\r\n".join((*head, *rows, *tail, "")), f"#汇总\r\n#笔数,{len(rows)}\r\n")


def _lines(trade: Trade, day: str) -> list[tuple[Trade, str, int, datetime, str]]:
    """Trade, kind, fen, when, and a refund's number."""
    lines = []
    if trade.paid is not None and f"{trade.paid:%Y-%m-%d}" == day:
        lines.append((trade, "交易", trade.fen, trade.paid, ""))
    for number, one in trade.refunds.items():
        if f"{one.at:%Y-%m-%d}" == day:
            lines.append((trade, "退款", -one.fen, one.at, number))
    return lines


def _row(trade: Trade, kind: str, fen: int, at: datetime, request: str) -> str:
    amount, none = yuan(fen), "0.00"
    values = (
        *(trade.trade_no, trade.out_trade_no, kind, trade.subject),
        *(f"{trade.made:%Y-%m-%d %H:%M:%S}", f"{at:%Y-%m-%d %H:%M:%S}", "", "", "", ""),
        *("*示例(exa***@example.com)", amount, amount, none, none, none, none, none, "", none, none),
        *(request, yuan(-fen * _RATE // 1000), none, ""),
    )
    return ",".join(f"{value}\t" for value in values)


def _zipped(account: str, day: str, detail: str, summary: str) -> bytes:
    out = io.BytesIO()
    name = f"{account}0156_{day.replace('-', '')}_业务明细"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.csv", detail.encode("gbk"))
        file.writestr(f"{name}(汇总).csv", summary.encode("gbk"))
    return out.getvalue()
