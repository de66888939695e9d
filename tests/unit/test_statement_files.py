"""The two files of 3202, in every variant that the sources show, and the HIS's own list."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_parts import row, rows

from config.errors import BadMessage
from schemas.nhsa.statement import FORMS, Amounts, Form, Row
from schemas.nhsa.statement_files import Result, detail_file, results
from schemas.nhsa.statement_his import completed, his_rows

BASELINE, FLAG_FIRST, FOSHAN, LATER = (FORMS[name] for name in ("baseline", "flag-first", "foshan", "later"))
SUMS = "86.50\t50.40\t20.00"


def test_the_file_has_the_columns_of_the_baseline() -> None:
    written = detail_file([row(1), row(2, cancel=True, psn_no="")], BASELINE)
    assert written == f"S1\tM1\tP1\t{SUMS}\t0\nS2\tM2\tnull\t{SUMS}\t1\n".encode()


def test_foshan_has_the_visit_first_and_later_versions_a_column_more() -> None:
    assert detail_file([row(1)], FOSHAN) == f"M1\tS1\tP1\t{SUMS}\t0\n".encode()
    assert detail_file([row(1)], LATER) == f"S1\tM1\tP1\t{SUMS}\t0\tnull\n".encode()


def test_a_province_may_want_cancels_with_a_minus() -> None:
    assert b"-86.50\t-50.40\t-20.00\t1" in detail_file([row(1, cancel=True)], Form(minus=True))


@pytest.mark.parametrize("mark", ["\t", "\n", "\r"])
def test_a_value_that_would_break_the_columns_is_refused(mark: str) -> None:
    with pytest.raises(BadMessage, match="JL-N201") as refused:
        detail_file([row(1), row(2, mdtrt_id=f"M{mark}2")], BASELINE)
    assert refused.value.path == "row 2, mdtrt_id"


EQUAL = Result(1, "S1", "M1", "P1", "H1", "0", False, "双方一致", Amounts(8650, 5040, 2000))


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (BASELINE, f"P1\tM1\tS1\tH1\t0\t0\t双方一致\t{SUMS}"),
        (FLAG_FIRST, f"P1\tM1\tS1\tH1\t0\t0\t双方一致\t{SUMS}"),
        (FOSHAN, f"P1\tM1\tS1\tH1\t0\t0\tnull\t双方一致\t{SUMS}"),
        (LATER, f"P1\tM1\tS1\tH1\t0\t0\t双方一致\t{SUMS}\tlater"),
        (BASELINE, f"P1\tM1\tS1\tH1\t0\t0\t双方一致\t{SUMS}\tappended\tas well"),
    ],
)
def test_each_variant_of_the_result_says_the_same(form: Form, line: str) -> None:
    assert results(f"{line}\r\n\n".encode(), form) == [EQUAL]
    assert results(b"\xef\xbb\xbf" + line.encode(), form) == [EQUAL]
    assert results(line.encode("gb18030"), form) == [EQUAL]


def test_the_flag_is_read_before_the_result_where_a_centre_writes_it_so() -> None:
    (made,) = results(f"P1\tM1\tS1\tH1\t1\t2\tmemo\t{SUMS}".encode(), FLAG_FIRST)
    assert (made.cancel, made.rslt) == (True, "2")
    (made,) = results(f"P1\tM1\tS1\tH1\t1\t2\tmemo\t{SUMS}".encode(), BASELINE)
    assert (made.cancel, made.rslt) == (False, "1")


def test_foshan_moves_the_memo_of_plain_rows_only() -> None:
    plain, cancelled = results(
        f"P\tM\tS\tH\t3\t0\tnull\tm\t{SUMS}\nP\tM\tS\tH\t3\t1\tm\t{SUMS}\n".encode(), FOSHAN
    )
    assert (
        (plain.memo, plain.amounts) == (cancelled.memo, cancelled.amounts) == ("m", Amounts(8650, 5040, 2000))
    )


def test_null_is_nothing_and_amounts_are_there_all_three_or_not_at_all() -> None:
    (made,) = results(b"P1\tM1\tS1\tnull\t1\tNULL\tnull\t86.50\tnull\t20.00", BASELINE)
    assert (made.msgid, made.memo, made.cancel, made.amounts) == ("", "", False, None)
    (short,) = results(b"P1\tM1\tS1\tH1\t2", BASELINE)
    assert (short.rslt, short.amounts) == ("2", None)


def test_words_of_six_digits_are_read_as_the_province_s_form_says() -> None:
    form = Form(results={"000000": "0", "000102": "1"})
    said = [
        made.rslt for made in results(b"P\tM\tS\tH\t000000\nP\tM\tS\tH\t000102\nP\tM\tS\tH\t000103\n", form)
    ]
    assert said == ["0", "1", "000103"]


def test_a_row_that_ends_before_its_result_is_refused_with_its_line() -> None:
    with pytest.raises(BadMessage, match="JL-N202") as refused:
        results(b"P1\tM1\tS1\tH1\t0\nP1\tM1\tS1\n", BASELINE)
    assert refused.value.path == "line 2"


def test_an_amount_that_is_none_is_refused_with_its_line_and_column() -> None:
    with pytest.raises(BadMessage, match="JL-N200") as refused:
        results(b"P1\tM1\tS1\tH1\t3\t0\tm\t86.50\t1.005\t0", BASELINE)
    assert refused.value.path == "line 1, fund_pay_sumamt"


@given(st.lists(rows, max_size=12), st.sampled_from(list(FORMS.values())))
def test_what_is_written_is_read_by_its_columns_without_losing_a_fen(day: list[Row], form: Form) -> None:
    lines = detail_file(day, form).decode().split("\n")
    assert lines.pop() == ""
    echo = Form(result=(*form.upload, "stmt_rslt"))
    if not day:
        assert results(b"", echo) == []
        return
    said = results("\n".join(f"{line}\t0" for line in lines).encode(), echo)
    assert [(r.setl_id, r.mdtrt_id, r.psn_no, r.cancel) for r in said] == [
        (r.setl_id, r.mdtrt_id, r.psn_no, r.cancel) for r in day
    ]
    assert all(
        r.amounts is not None and r.amounts.same(one.amounts) for r, one in zip(said, day, strict=True)
    )


@given(st.binary(max_size=200), st.sampled_from(list(FORMS.values())))
def test_any_bytes_are_rows_or_a_refusal(body: bytes, form: Form) -> None:
    with suppress(BadMessage):
        assert all(isinstance(made, Result) for made in results(body, form))


CSV = (
    "结算ID,险种,医疗费总额,基金支付总额,个人账户支出,现金支付金额,退费标志,结算时间\n"
    "S1,310,86.50,50.40,20,16.10,0,2026/01/15 10:30\n"
)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_his_s_table_is_read_by_chinese_names_in_either_charset(charset: str) -> None:
    (made,) = his_rows(CSV.encode(charset))
    assert (made.setl_id, made.insutype, made.day, made.cancel) == ("S1", "310", "2026-01-15", False)
    assert made.amounts == Amounts(8650, 5040, 2000, 1610)


def test_a_his_s_list_may_be_json_with_the_names_of_the_interface() -> None:
    listed = {
        "rows": [{"setl_id": "S2", "medfee_sumamt": -86.5, "fund_pay_sumamt": "-50.40", "acct_pay": -20}]
    }
    (made,) = his_rows(json.dumps(listed).encode())
    assert (made.setl_id, made.cancel, made.amounts) == ("S2", True, Amounts(8650, 5040, 2000, None))


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        (b"setl_id,medfee_sumamt\n,1\n", "JL-N203", "line 2"),
        (b"setl_id,medfee_sumamt,fund_pay_sumamt,acct_pay\nS1,1,x,0\n", "JL-N200", "line 2, fund_pay_sumamt"),
        (b"setl_id,medfee_sumamt\nS1,1\n", "JL-N200", "line 2, fund_pay_sumamt"),
        (b'[{"setl_id": 1, "medfee_sumamt": 0.001}]', "JL-N200", "$[0], medfee_sumamt"),
        (b'{"a": [], "b": []}', "JL-N203", ""),
        (b"[1]", "JL-N203", ""),
        (b"[", "JL-M020", "character 1"),
        (b'setl_id\n"S1', "JL-N203", "line 1"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_place(body: bytes, code: str, path: str) -> None:
    with pytest.raises(BadMessage) as refused:
        his_rows(body)
    assert (refused.value.code, refused.value.path) == (code, path)


def test_what_the_his_leaves_out_is_taken_from_our_own_record() -> None:
    bare = Row("S1", "", "", Amounts(8650, 5040, 2000))
    assert completed([bare], {"S1": row(1)}.get) == [row(1)]
    assert completed([bare], {}.get) == [bare]
