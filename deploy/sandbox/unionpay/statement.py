"""The statement file of a 清算日期: a ZIP whose ZM_ member has the merchant's trades, in GBK with fixed widths."""

from __future__ import annotations

import io
import zipfile
from datetime import date

from deploy.sandbox.unionpay.books import Books, Trade, day

# 全渠道平台接入接口规范 第3部分 文件接口, 6.1; a space between.
_WIDTHS = (
    *(3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1),
    *(15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1),
)
_RATE = 6  # of a thousand: the fee


def statement(books: Books, merchant: str, of: date) -> bytes:
    done = [
        one for one in books.trades.values() if one.end == "00" and not one.reversed and day(one.at) == of
    ]
    lines = b"".join(_line(one, merchant) for one in done)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"INN{of:%y%m%d}88ZM_{merchant}", lines)
        file.writestr(f"INN{of:%y%m%d}88ZME_{merchant}", b"")
    return out.getvalue()


def _line(trade: Trade, merchant: str) -> bytes:
    fee = trade.fen * _RATE // 1000
    values = {
        0: "S22",
        1: "00010000",
        2: "00010000",
        3: trade.trace_no,
        4: f"{trade.at:%m%d%H%M%S}",
        5: "6222020000000000",
        6: f"{trade.fen:012d}",
        9: trade.query_id,
        11: trade.order_id,
        14: f"{trade.at:%m%d%H%M%S}",
        15: f"{'C' if trade.kind != '01' else 'D'}{fee:012d}",
        19: trade.kind,
        26: trade.original,
        27: merchant,
    }
    cells = (values.get(index, "").encode("gbk").ljust(width) for index, width in enumerate(_WIDTHS))
    return b" ".join(cells) + b"\r\n"
