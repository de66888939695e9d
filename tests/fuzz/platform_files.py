"""The insurance platform's files: a zip with a table of text, the text alone; and a hospital's own list."""

from __future__ import annotations

from contextlib import suppress

from config.errors import BadMessage
from endpoints.insurance.lines import rows, written
from endpoints.insurance.mapping_list import read_items
from endpoints.insurance.zipped import Limits, text_of, zipped
from schemas.nhsa.statement import FORMS
from schemas.nhsa.statement_files import results
from schemas.nhsa.statement_his import his_rows

_LIMITS = Limits(packed=1_000_000, unpacked=2_000_000, line=100_000)

TEXT = b"".join(written([["XTEST1", "阿司匹林", None, "1", "R1"], ["XTEST2", "", "\\N", "0", "R2"]]))
ZIPS = (zipped("1301.txt", [TEXT]), TEXT, TEXT.decode().encode("gb18030"), b"\xef\xbb\xbf" + TEXT)
ZIP_WORDS = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"\t",
    b"\n",
    b"null",
    b"\xff\xff\xff\xff",
)
LISTS = (
    '定点医药机构目录编号,定点医药机构目录名称,med_list_codg\r\nD1,"项,目",X1\r\n'.encode(),
    b"fixmedins_hilist_id\tfixmedins_hilist_name\tmed_list_codg\nD1\ta\tnull\n",
    b'[{"fixmedins_hilist_id":"D1","fixmedins_hilist_name":"a","med_list_codg":null}]',
)
LIST_WORDS = (b'"', b",", b"\t", b";", b"\r", b"\n", b"\0", b"{", b"[", b"fixmedins_hilist_id")


RESULTS = (
    "P1\tM1\tS1\tH1\t3\t0\t数据不一致\t86.50\t50.40\t20.00\n".encode(),
    b"P1\tM1\tS1\tnull\t1\t1\tnull\n",
)
SETTLEMENTS = (
    "结算ID,医疗费总额,基金支付总额,个人账户支出,退费标志,结算时间\nS1,86.50,50.40,20,0,2026/01/15\n".encode(),
    b'{"rows":[{"setl_id":"S1","medfee_sumamt":-86.5,"fund_pay_sumamt":"50.40","acct_pay":0}]}',
)
AMOUNTS = (b"86.50", b"-0.00", b"1e3", b"1e999999999", b"NaN", b"0.005", b"99999999999999.99")


def statement(data: bytes) -> None:
    """Whole rows with whole amounts, in every province's form."""
    for form in FORMS.values():
        with suppress(BadMessage):
            assert all(row.amounts is None or row.amounts.medfee_fen >= 0 for row in results(data, form))


def settlements(data: bytes) -> None:
    assert all(row.setl_id for row in his_rows(data))


def table(data: bytes) -> None:
    """Every row has as many values as agreed, and no row comes before another."""
    last = 0
    with text_of(data, _LIMITS) as text:
        for row in rows(text, 5, faulty=lambda fault: None, limits=_LIMITS):
            assert len(row.values) >= 5
            assert row.number > last
            last = row.number


def items(data: bytes) -> None:
    found = read_items(data)
    assert len({one.id for one in found}) == len(found)
