"""Bills of Alipay, UnionPay, aggregators, terminals and the HIS: read, and refused where they do not fit."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Mapping

import pytest
from recon_parts import DAY, MERCHANT, back, pay, wechat_bill

from config.errors import BadMessage
from schemas.statements.forms import NAMES, read_statement
from schemas.statements.profile import AGGREGATED
from schemas.statements.row import Row, Wanted, begin_ms, day_of
from schemas.statements.unionpay import WIDTHS

ALIPAY_COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return made.getvalue()


def alipay_detail(end: str = "#---业务明细列表结束---", trades: str = "36.50", count: str = "1") -> bytes:
    lines = [
        "#支付宝业务明细查询",
        "#账号：[20881021200000000156]",
        f"#起始日期：[{DAY} 00:00:00]   终止日期：[2026年01月06日 00:00:00]",
        "#-----------------业务明细列表----------------",
        ALIPAY_COLUMNS,
        f"2026010522001\t,JL1\t,交易,挂号费,{DAY} 12:00:00,{DAY} 12:00:09, ,,C01,K7,x***,36.50,36.50,"
        "0.00,0.00,0.00,0.00,0.00,,0.00,0.00,\t,-0.22,0.00,\t",
        f"2026010522001\t,JL1\t,退款,挂号费,{DAY} 12:00:00,{DAY} 13:00:09, ,,C01,K7,x***,-10.00,-10.00,"
        "0.00,0.00,0.00,0.00,0.00,,0.00,0.00,RJL1\t,0.06,0.00,\t",
        end,
        f"#交易合计：{count}笔，商家实收共{trades}元，商家优惠共0.00元",
        "#退款合计：1笔，商家实收退款共-10.00元，商家优惠退款共0.00元",
        f"#导出时间：[{DAY} 06:27:10]",
    ]
    return "\r\n".join(lines).encode("gbk")


def alipay_zip(**spoiled: str) -> bytes:
    summary = "#支付宝业务汇总查询\r\n门店编号,门店名称,交易订单总笔数\r\n合计,,1\r\n".encode("gbk")
    return zipped({"a.csv": alipay_detail(**spoiled), "b(汇总).csv": summary})


def zm_line(number: str, fen: int, clock: str, txn_type: str = "01", fee: str = "D000000000022") -> bytes:
    values = {0: "S22", 3: "000123", 4: clock, 5: "621700****0000", 6: f"{fen:012}", 9: f"4920260105{number}"}
    values |= {11: number, 15: fee, 16: f"C{fen:012}", 19: txn_type, 27: "777290000000001"}
    return (
        " ".join(values.get(at, "").ljust(width) for at, width in enumerate(WIDTHS)).encode("gbk") + b" " * 20
    )


def zm_zip(lines: list[bytes], day: str = "260105", merchant: str = "777290000000001") -> bytes:
    content = b"".join(line + b"\r\n" for line in lines)
    return zipped({f"INN{day}88ZM_{merchant}": content, f"INN{day}88ZME_{merchant}": b""})


UNION = Wanted("unionpay", DAY, ("777290000000001",), cut_h=1)


def refusal(form: str, body: bytes, wanted: Wanted | None = None) -> str:
    with pytest.raises(BadMessage) as told:
        read_statement(form, body, wanted or Wanted(form, DAY))
    return told.value.code


def test_alipays_zip_of_gbk_files_becomes_rows() -> None:
    paid, refund = read_statement("alipay", alipay_zip(), Wanted("alipay", DAY, ("2088102120000000",)))
    assert (paid.number, paid.fen, paid.fee_fen, paid.channel_no) == ("JL1", 3650, 22, "2026010522001")
    assert (paid.terminal, paid.cashier) == ("K7", "C01")
    assert (refund.kind, refund.number, refund.order, refund.fen) == ("REFUND", "RJL1", "JL1", 1000)


def test_F69_alipays_bill_is_refused_without_its_end_with_another_count_sum_day_or_account() -> None:
    assert refusal("alipay", alipay_zip(end="")) == "JL-Q003"
    assert refusal("alipay", alipay_zip(count="2")) == "JL-Q003"
    assert refusal("alipay", alipay_zip(trades="36.51")) == "JL-Q004"
    assert refusal("alipay", alipay_zip(), Wanted("alipay", "2026-01-04")) == "JL-Q005"
    assert refusal("alipay", alipay_zip(), Wanted("alipay", DAY, ("2088",))) == "JL-Q006"
    assert refusal("alipay", alipay_zip()[:-40]) == "JL-Q001"
    assert refusal("alipay", zipped({"a.csv": alipay_detail(), "b.csv": alipay_detail()})) == "JL-Q001"


def test_unionpays_zm_file_is_of_fixed_widths_in_fen_and_its_day_ends_at_23() -> None:
    rows = read_statement(
        "unionpay",
        zm_zip(
            [zm_line("JL1", 3650, "0104230001"), zm_line("JL2", 700, "0105225959", "04", "C000000000004")]
        ),
        UNION,
    )
    assert [(row.kind, row.number, row.fen, row.fee_fen) for row in rows] == [
        ("PAY", "JL1", 3650, 22),
        ("REFUND", "JL2", 700, -4),
    ]
    assert {day_of(row.at_ms, 1) for row in rows} == {DAY}
    assert day_of(rows[0].at_ms) == "2026-01-04"


def test_unionpays_day_over_the_new_year_finds_its_year() -> None:
    body = zm_zip([zm_line("JL1", 1, "1231230500")], "260101")
    (row,) = read_statement("unionpay", body, Wanted("unionpay", "2026-01-01", cut_h=1))
    assert row.at_ms == begin_ms("2025-12-31") + (23 * 60 + 5) * 60_000


def test_F69_unionpays_file_of_another_day_merchant_or_cut_is_refused() -> None:
    lines = [zm_line("JL1", 3650, "0105120000")]
    assert refusal("unionpay", zm_zip(lines, "260106"), UNION) == "JL-Q005"
    assert refusal("unionpay", zm_zip([zm_line("JL1", 3650, "0105230001")]), UNION) == "JL-Q005"
    assert refusal("unionpay", zm_zip(lines, merchant="777290000000002"), UNION) == "JL-Q006"
    assert refusal("unionpay", lines[0][:300] + b"\r\n", UNION) == "JL-Q003"
    assert refusal("unionpay", lines[0], UNION) == "JL-Q003"
    assert refusal("unionpay", zipped({"readme": b""}), UNION) == "JL-Q001"


def aggregated(amount: str = "3650", total: str = "合计,2,2650") -> bytes:
    return (
        "商户号,商户订单号,平台订单号,原商户订单号,交易类型,交易状态,交易金额,手续费,交易时间,支付方式,终端号\n"
        f"M1,JL1,P1,,支付,SUCCESS,{amount},22,{DAY} 12:00:00,wechat,K1\n"
        f"M1,RJL1,P2,JL1,退款,PROCESSING,1000,-6,{DAY} 13:00:00,wechat,K1\n{total}\n"
    ).encode()


def test_an_aggregators_bill_is_in_fen_by_its_profile() -> None:
    paid, refund = read_statement("aggregated-whole", aggregated(), Wanted("jh", DAY, ("M1",)))
    assert (paid.fen, paid.fee_fen, refund.kind, refund.state) == (3650, 22, "REFUND", "PENDING")
    assert refusal("aggregated-whole", aggregated("36.50")) == "JL-Q008"
    assert refusal("aggregated-whole", aggregated("1e999999")) == "JL-Q008"
    assert refusal("aggregated-whole", aggregated(total="合计,3,2650")) == "JL-Q003"
    assert refusal("aggregated-whole", aggregated(total="合计,2,2651")) == "JL-Q004"
    assert refusal("aggregated-whole", aggregated(total="")) == "JL-Q003"


JOINT = (
    "商户订单号,平台订单号,渠道订单号,支付方式,金额(分),退款单号,时间\r\n"
    "JL1,P1,4200,200,3650,,20260105120000\r\nJL1,P1,4200,200,-1000,RJL1,20260105130000\r\n"
)


def test_an_aggregators_bill_without_a_last_line_must_at_least_end_a_line() -> None:
    paid, refund = read_statement("aggregated", JOINT.encode(), Wanted("joint", DAY))
    assert (paid.number, paid.channel_no, paid.fen) == ("JL1", "P1", 3650)
    assert (refund.kind, refund.number, refund.order, refund.fen) == ("REFUND", "RJL1", "JL1", 1000)
    assert refusal("aggregated", JOINT.encode()[:-6]) == "JL-Q003"


def test_the_hiss_charge_list_names_channel_settlement_department_and_cashier() -> None:
    body = (
        "HIS流水号,支付渠道,平台订单号,原平台订单号,结算号,类型,金额,收费时间,收费员,班次,窗口,科室,业务类型,审批人,统筹支付,个人账户\n"
        f"H1,wechat,JL1,,S1,收费,36.50,{DAY} 12:00:05,C01,早,W3,心内科,outpatient,,20.40,0\n合计,1,36.50\n"
    ).encode()
    (row,) = read_statement("his", body, Wanted("his", DAY))
    assert (row.system, row.bill, row.department, row.fund_fen) == ("wechat", "S1", "心内科", 2040)


def _read_or_refused(form: str, body: bytes) -> bool:
    try:
        rows = read_statement(form, body, Wanted("x", DAY, cut_h=int(form == "unionpay")))
    except BadMessage as error:
        return error.code.startswith("JL-Q0")
    return all(isinstance(row, Row) and row.fen >= 0 for row in rows)


@pytest.mark.parametrize("form", NAMES)
def test_whatever_bytes_come_a_statement_is_read_or_refused_with_its_code(form: str) -> None:
    whole = {
        "wechat": wechat_bill([pay("JL1"), back("RJL1", "JL1", 5)], MERCHANT),
        "alipay": alipay_zip(),
        "unionpay": zm_zip([zm_line("JL1", 3650, "0105120000")]),
        "aggregated": JOINT.encode(),
    }.get(form, aggregated())
    dice = random.Random(form)
    for _ in range(400):
        body = bytearray(whole[: dice.randrange(len(whole) + 1)] if dice.random() < 0.3 else whole)
        for _ in range(dice.randrange(6)):
            if body:
                body[dice.randrange(len(body))] = dice.randrange(256)
        assert _read_or_refused(form, bytes(body))


def test_a_form_that_nobody_knows_is_told() -> None:
    assert refusal("paper", b"") == "JL-Q009"
    assert AGGREGATED.unit == "fen"


def test_a_zip_whose_lzma_is_spoiled_is_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a.csv", alipay_detail())
    spoiled = bytearray(made.getvalue())
    spoiled[44:60] = b"\xff" * 16
    assert refusal("alipay", bytes(spoiled)) == "JL-Q001"
