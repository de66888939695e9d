"""WeChat's trade bill: read by its columns' names, and refused where it is not what it should be."""

from __future__ import annotations

import gzip
import hashlib

import pytest
from recon_parts import DAY, MERCHANT, back, pay, wechat_bill

from config.errors import BadMessage
from schemas.statements.row import Wanted, begin_ms
from schemas.statements.wechat import wechat

ROWS = [pay("JL1", 3650), pay("JL2", 700), back("RJL1", "JL1", 1000, state="PENDING")]
WANTED = Wanted("wechat", DAY, (MERCHANT,))


def _code(body: bytes, wanted: Wanted = WANTED) -> str:
    with pytest.raises(BadMessage) as told:
        wechat(body, wanted)
    return told.value.code


def test_a_bill_becomes_rows_in_fen_with_our_numbers_and_theirs() -> None:
    first, _, refund = wechat(wechat_bill(ROWS), WANTED)
    assert (first.kind, first.number, first.channel_no, first.fen, first.fee_fen) == (
        "PAY",
        "JL1",
        "42JL1",
        3650,
        22,
    )
    assert (refund.kind, refund.number, refund.order, refund.fen, refund.state) == (
        "REFUND",
        "RJL1",
        "JL1",
        1000,
        "PENDING",
    )
    assert first.at_ms == ROWS[0].at_ms
    assert refund.fee_fen == -22


def test_a_bill_comes_packed_by_gzip_too() -> None:
    assert len(wechat(gzip.compress(wechat_bill(ROWS)), WANTED)) == 3


def test_an_older_bill_of_24_columns_is_read_by_the_names_of_its_columns() -> None:
    lines = [
        "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
        "总金额,代金券或立减优惠金额,微信退款单号,商户退款单号,退款金额,代金券或立减优惠退款金额,退款类型,退款状态,"
        "商品名称,商户数据包,手续费,费率",
        f"`{DAY} 16:33:45,`wx1,`{MERCHANT},`0,`1000,`1001,`JL1,`o1,`MICROPAY,`SUCCESS,`OTHERS,`CNY,`36.50,`0.00,`0,`0,"
        "`0.00,`0.00,`,`,`x,`,`0.21900,`0.60%",
        f"`{DAY} 16:46:14,`wx1,`{MERCHANT},`0,`1000,`1001,`JL1,`o1,`MICROPAY,`REFUND,`OTHERS,`CNY,`36.50,`0.00,`2001,"
        "`RJL1,`10.00,`0.00,`ORIGINAL,`SUCCESS,`x,`,`-0.06000,`0.60%",
        "总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额",
        "`2,`36.50,`10.00,`0.00,`0.15900",
    ]
    paid, refund = wechat("\r\n".join(lines).encode(), WANTED)
    assert (paid.fen, refund.fen, paid.terminal, paid.fee_fen) == (3650, 1000, "1000", 22)


def test_F69_a_bill_that_is_cut_anywhere_is_refused() -> None:
    body = wechat_bill(ROWS)
    for end in range(0, len(body) - 30, 7):
        assert _code(body[:end]) in ("JL-Q001", "JL-Q003", "JL-Q004")
    assert _code(gzip.compress(body)[:-9]) == "JL-Q003"


def test_F69_a_bill_whose_hash_count_total_day_or_merchant_does_not_fit_is_refused() -> None:
    body = wechat_bill(ROWS)
    right = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    assert wechat(body, Wanted("wechat", DAY, (MERCHANT,), right))
    assert _code(body + b" ", Wanted("wechat", DAY, (MERCHANT,), right)) == "JL-Q002"
    assert _code(body.replace(b"`3,`43.50", b"`2,`43.50")) == "JL-Q003"
    assert _code(body.replace(b"`3,`43.50", b"`3,`43.51")) == "JL-Q004"
    assert _code(body, Wanted("wechat", "2026-01-06", (MERCHANT,))) == "JL-Q005"
    assert _code(body, Wanted("wechat", DAY, ("1900000002",))) == "JL-Q006"
    assert _code(body.replace(b"`36.50", b"`36.5x", 1)) in ("JL-Q004", "JL-Q008")


def test_a_day_with_no_trade_is_a_bill_of_no_rows() -> None:
    assert wechat(wechat_bill([]), WANTED) == []


def test_a_payment_of_the_last_second_is_of_its_day() -> None:
    last = pay("JL9", at_ms=begin_ms("2026-01-06") - 1000)
    assert wechat(wechat_bill([last]), WANTED)[0].at_ms == last.at_ms
