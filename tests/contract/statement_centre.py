"""A party that keeps an account of settlements, for tests of the day's account that need no wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from insurance_centre import Centre

from endpoints.insurance.files import Answer
from endpoints.insurance.records import Ask, Outcome, Records
from endpoints.insurance.zipped import text_of, zipped
from schemas.nhsa.statement import FORMS, Form, Row, groups, yuan

SYSTEM = "H99999900001"
NOON = 1_768_449_600_000  # 2026-01-15 12:00 in China


class Accounting(Centre):
    """`book` is what it has of settlements, by setl_id. Knows 3201, 9101, 3202 and 9102."""

    def __init__(self, form: Form = FORMS["baseline"]) -> None:
        super().__init__()
        self.form = form
        self.book: dict[str, Row] = {}

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        if infno not in ("3201", "3202"):
            return await super().call(infno, input)
        self.asked.append((infno, input))
        wrong = self.fails(infno, len(self.asked))
        if isinstance(wrong, Exception):
            raise wrong
        if isinstance(wrong, Answer):
            return wrong
        return self._totals(input["data"]) if infno == "3201" else self._details(input["data"])

    def _mine(self, asked: Mapping[str, Any]) -> list[Row]:
        flag = asked.get(self.form.flag_name, "")
        return [
            row
            for row in self.book.values()
            if asked["stmt_begndate"] <= row.day <= asked["stmt_enddate"]
            and (row.setl_optins, row.clr_type) == (asked["setl_optins"], asked["clr_type"])
            and asked.get("insutype", row.insutype) == row.insutype
            and flag in ("", str(int(row.cancel)))
        ]

    def _totals(self, asked: Mapping[str, Any]) -> Answer:
        (mine,) = groups(self._mine(asked), self.form) or [None]
        sums = (mine.medfee_fen, mine.fund_fen, mine.account_fen, mine.count) if mine else (0, 0, 0, 0)
        said = (
            *(int(asked[name] * 100) for name in ("medfee_sumamt", "fund_pay_sumamt", "acct_pay")),
            asked["fixmedins_setl_cnt"],
        )
        rslt = "0" if sums == said else "1" if sums[3] > said[3] else "2" if sums[3] < said[3] else "3"
        info = {"setl_optins": asked["setl_optins"], "stmt_rslt": rslt, "stmt_rslt_dscr": f"对账结果 {rslt}"}
        return Answer("OK", {"stmtinfo": info})

    def _details(self, asked: Mapping[str, Any]) -> Answer:
        with text_of(self.files[asked["file_qury_no"]]) as text:
            listed = {
                cells[self.form.upload.index("setl_id")]: cells
                for cells in (line.split("\t") for line in text.read().decode().splitlines())
            }
        lines = [self._line(row, listed.pop(row.setl_id, None)) for row in self._mine(asked)]
        at = self.form.upload.index
        for cells in listed.values():
            psn, mdtrt, setl = (cells[at(name)] for name in ("psn_no", "mdtrt_id", "setl_id"))
            lines.append([psn, mdtrt, setl, "null", "2", cells[at("refd_setl_flag")], "中心无"])
        number = f"R{len(self.files)}"
        body = "".join("\t".join(line) + "\n" for line in lines)
        self.files[number] = zipped("result.txt", [body.encode()])
        return Answer(
            "OK", {"fileinfo": {"file_qury_no": number, "filename": "r.zip", "dld_endtime": self.until}}
        )

    def _line(self, row: Row, cells: list[str] | None) -> list[str]:
        sums = [row.amounts.medfee_fen, row.amounts.fund_fen, row.amounts.account_fen]
        names = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay")
        rslt = "1"
        if cells is not None:
            theirs = [cells[self.form.upload.index(name)] for name in names]
            rslt = "0" if [Decimal(one) * 100 for one in theirs] == sums else "3"
        flag = str(int(row.cancel))
        head = [row.psn_no, row.mdtrt_id, row.setl_id, row.msgid, rslt, flag, f"memo {rslt}"]
        return [*head, *(str(yuan(amount)) for amount in sums)]


async def settle(
    records: Records, row: Row, outcome: Outcome | None = "OK", *, at_ms: int = NOON, serial: int = 0
) -> Row:
    """An exchange as the gateway keeps it; the row with its msgid. `outcome` None: the process died meanwhile."""
    asked: dict[str, Any] = {"psn_no": row.psn_no, "mdtrt_id": row.mdtrt_id, "insutype": row.insutype}
    if row.cancel:
        asked = {"psn_no": row.psn_no, "mdtrt_id": row.mdtrt_id, "setl_id": row.cancels}

    def request(msgid: str) -> bytes:
        return json.dumps({"infno": row.infno, "msgid": msgid, "input": {"data": asked}}).encode()

    ask = Ask(SYSTEM, row.infno, f"message {row.setl_id}", at_ms)
    sent = await records.begin(ask, lambda n: f"{SYSTEM}20260115120000{n + serial:04}", request)
    row = replace(row, msgid=sent.msgid)
    said: dict[str, Any] = {
        "setl_id": row.setl_id,
        "mdtrt_id": row.mdtrt_id,
        "psn_no": row.psn_no,
        "setl_time": f"{row.day} 12:00:00",
        "medfee_sumamt": str(yuan(row.amounts.medfee_fen)),
        "fund_pay_sumamt": str(yuan(row.amounts.fund_fen)),
        "acct_pay": str(yuan(row.amounts.account_fen)),
        "psn_cash_pay": str(yuan(row.amounts.cash_fen or 0)),
        "medins_setl_id": sent.msgid,
    }
    if not row.cancel:
        said |= {"insutype": row.insutype, "clr_type": row.clr_type, "clr_optins": row.setl_optins}
    answer = json.dumps({"infcode": 0, "output": {"setlinfo": said}}).encode() if outcome == "OK" else b""
    if outcome is not None:
        await records.end(sent, outcome, "0", "", answer, {"setl_id": row.setl_id})
    return row
