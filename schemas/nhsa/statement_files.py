"""The two text files of 3202 (对明细账): what the institution lists, and what the centre says of each row.

UTF-8, no header, a tab between columns, `null` for what is empty; columns by position. A file with more columns than a
province's form names is read all the same: later versions append.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from config.errors import BadMessage
from schemas import charsets
from schemas.nhsa.statement import Amounts, Form, Row, fen, yuan

MAX_BYTES = 100_000_000
MAX_ROWS = 1_000_000
_NULL = "null"


@dataclass(frozen=True, slots=True)
class Result:
    """What the centre says of one settlement. `rslt` is 0 to 3, or the province's own word where nobody knows it."""

    line: int
    setl_id: str
    mdtrt_id: str
    psn_no: str
    msgid: str
    rslt: str
    cancel: bool
    memo: str
    amounts: Amounts | None  # the centre's; None where it does not say all three


def detail_file(rows: Iterable[Row], form: Form) -> bytes:
    """The 3202 file in the province's columns. Raises BadMessage (JL-N201): a value that would break the columns."""
    lines = []
    for number, row in enumerate(rows, 1):
        cells = _cells(row, form)
        for name, value in cells.items():
            if any(mark in value for mark in "\t\r\n"):
                raise BadMessage("JL-N201", "a tab or a line end within a value", f"row {number}, {name}")
        lines.append("\t".join(cells.get(name) or _NULL for name in form.upload) + "\n")
    return "".join(lines).encode(charsets.codec(form.charset) or "utf-8")


def _cells(row: Row, form: Form) -> dict[str, str]:
    sign = -1 if row.cancel and form.minus else 1
    cash = row.amounts.cash_fen
    return {
        "setl_id": row.setl_id,
        "mdtrt_id": row.mdtrt_id,
        "psn_no": row.psn_no,
        "medfee_sumamt": str(yuan(sign * row.amounts.medfee_fen)),
        "fund_pay_sumamt": str(yuan(sign * row.amounts.fund_fen)),
        "acct_pay": str(yuan(sign * row.amounts.account_fen)),
        "cash_payamt": "" if cash is None else str(yuan(sign * cash)),
        "refd_setl_flag": "1" if row.cancel else "0",
        "msgid": row.msgid,
        "insutype": row.insutype,
        "clr_type": row.clr_type,
    }


def results(body: bytes, form: Form) -> list[Result]:
    """Every row of `result.txt`. Raises BadMessage: JL-N202 not such a file, with the line; JL-N200 an amount.

    Amounts that only some of the three are there of are none: nothing can be compared with them.
    """
    text = text_of(body)
    found: list[Result] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if len(found) >= MAX_ROWS:
            raise BadMessage("JL-N202", f"more than {MAX_ROWS} rows")
        found.append(_result(line.split("\t"), number, form))
    return found


def _result(cells: list[str], line: int, form: Form) -> Result:
    needed = max(form.result.index(name) for name in ("setl_id", "stmt_rslt")) + 1
    if len(cells) < needed:
        raise BadMessage(
            "JL-N202", f"a row with {len(cells)} columns; at least {needed} are needed", f"line {line}"
        )
    at = {name: index for index, name in enumerate(form.result) if name}
    cancel = _cell(cells, at.get("refd_setl_flag")) == "1"
    moved = form.memo_moves and not cancel
    start = at.get("memo", len(form.result))

    def cell(name: str) -> str:
        index = at.get(name)
        return _cell(cells, index + 1 if moved and index is not None and index >= start else index)

    said = cell("stmt_rslt")
    names = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay")
    try:
        sums = [fen(cell(name), name) for name in names] if all(cell(name) for name in names) else None
    except BadMessage as error:
        raise BadMessage(error.code, error.text, f"line {line}, {error.path}") from None
    return Result(
        line=line,
        setl_id=cell("setl_id"),
        mdtrt_id=cell("mdtrt_id"),
        psn_no=cell("psn_no"),
        msgid=cell("msgid"),
        rslt=form.results.get(said, said),
        cancel=cancel,
        memo=cell("memo"),
        amounts=Amounts(*(abs(amount) for amount in sums)) if sums else None,
    )


def _cell(cells: list[str], index: int | None) -> str:
    if index is None or index >= len(cells):
        return ""
    value = cells[index].strip()
    return "" if value.lower() == _NULL else value


def text_of(body: bytes) -> str:
    """UTF-8 with or without its mark, else GB18030, which some front-ends write."""
    if len(body) > MAX_BYTES:
        raise BadMessage("JL-N202", f"larger than {MAX_BYTES} bytes")
    for charset in ("utf-8-sig", "gb18030"):
        try:
            return body.decode(charset)
        except UnicodeDecodeError:
            continue
    raise BadMessage("JL-N202", "no text in UTF-8 or GB18030")
