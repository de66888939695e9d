"""UnionPay's merchant detail (银联全渠道 ZM 文件): GBK, fixed widths with a space between, in a ZIP with others.

Widths and places as the public SDKs have them (全渠道平台接入接口规范 第3部分 文件接口, 6.1). Amounts are fen. The day
runs from 23:00 to 23:00. A file has no last line: its name says merchant and day, and a line must be whole. That D
before a fee means taken from the merchant, and C given back, is our reading: look at a first real file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from config.errors import BadMessage
from schemas.statements.checks import MOST_ROWS, members, of_day_and_merchant, proved
from schemas.statements.row import CHINA, Kind, Row, Wanted, begin_ms, shifted

CUT_H = 1
WIDTHS = (
    *(3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1),
    *(15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1),
)  # then what is kept for later
# Places, from 0.
_TRACE, _TIME, _FEN, _QUERY, _ORDER, _FEE, _TYPE, _ORIGINAL, _MERCHANT = 3, 4, 6, 9, 11, 15, 19, 26, 27
_NAME = re.compile(r"INN(\d{2})(\d{2})(\d{2})\d{2}ZM_(\w+)$")
# txnType: 01 消费, 31 消费撤销, 04 退货, 99 冲正.
_KINDS: Mapping[str, Kind] = {"01": "PAY", "31": "REFUND", "04": "REFUND", "99": "REFUND"}


def unionpay(body: bytes, wanted: Wanted) -> list[Row]:
    """Raises BadMessage (JL-Q001, JL-Q003, JL-Q005 to JL-Q008). A ZIP, or the ZM file itself."""
    packed = proved(body, wanted)
    if packed[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return _rows(packed, wanted, "")
    found = [(name, content) for name, content in members(packed) if _NAME.search(name)]
    if not found:
        raise BadMessage("JL-Q001", "no ZM_ file in it 缺少商户明细文件")
    rows: list[Row] = []
    for name, content in found:
        named = _NAME.search(name)
        assert named is not None, "it was found by that"
        day = f"20{named[1]}-{named[2]}-{named[3]}"
        if day != wanted.day:
            raise BadMessage("JL-Q005", f"a file of {day}, not of {wanted.day} 非当日对账单")
        if wanted.merchants and named[4] not in wanted.merchants:
            raise BadMessage("JL-Q006", f"of merchant {named[4][:40]!r} 商户号不符")
        rows += _rows(content, wanted, named[4])
    return rows


def _rows(content: bytes, wanted: Wanted, merchant: str) -> list[Row]:
    lines = [line for line in re.split(rb"[\r\n]+", content) if line.strip()]
    if len(lines) > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    # What ends within a line was cut there.
    if content and not content.endswith(b"\n"):
        raise BadMessage("JL-Q003", "it is cut: its last line does not end 文件不完整")
    rows = [_row(line, wanted, merchant, f"line {number}") for number, line in enumerate(lines, 1)]
    return of_day_and_merchant([row for row in rows if row is not None], wanted)


def _row(line: bytes, wanted: Wanted, merchant: str, at: str) -> Row | None:
    """None for kinds of trade that move no money of ours (a pre-authorisation)."""
    values, place = [], 0
    for width in WIDTHS:
        values.append(line[place : place + width].decode("gbk", "replace").strip())
        place += width + 1
    if len(line) < place - 1:
        raise BadMessage("JL-Q003", f"{len(line)} bytes, {place - 1} are needed 行不完整", at)
    kind = _KINDS.get(values[_TYPE])
    if kind is None:
        return None
    refund = kind == "REFUND"
    return Row(
        system=wanted.system,
        kind=kind,
        number=values[_ORDER],
        fen=_fen(values[_FEN], at),
        at_ms=_time(values[_TIME], wanted.day, at),
        channel_no=values[_QUERY],
        received_fen=_fen(values[_FEN], at),
        fee_fen=_signed(values[_FEE], at),
        merchant=values[_MERCHANT] or merchant,
        order_no=values[_ORIGINAL] if refund else "",
        method="unionpay",
        terminal=values[_TRACE],
    )


def _fen(text: str, at: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadMessage("JL-Q008", f"no amount: {text[:30]!r} 金额无效", at)
    return int(text)


def _signed(text: str, at: str) -> int:
    """A fee: D is taken from the merchant, C given back; a sign, or nothing."""
    mark, digits = (text[0], text[1:]) if text[:1] in "DC+-" and text else ("", text)
    return (-1 if mark in ("C", "-") else 1) * _fen(digits or "0", at)


def _time(text: str, day: str, at: str) -> int:
    """MMDDhhmmss has no year: it is of the day, which begins at 23:00 of the one before."""
    for near in (day, shifted(day, -1)):
        try:
            found = datetime.strptime(near[:4] + text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
        except ValueError:
            continue
        begin = datetime.fromtimestamp(begin_ms(day, CUT_H) / 1000, CHINA)
        if begin <= found < begin + timedelta(days=1) or near[:4] == shifted(day, -1)[:4]:
            return int(found.timestamp() * 1000)
    raise BadMessage("JL-Q008", f"no time: {text[:30]!r} 时间无效", at)
