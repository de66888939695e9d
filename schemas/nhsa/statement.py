"""A day's account with the insurance centre (对账): what 3201 sums up, group by group.

Pure: rows of settlements in, groups and differences out. Money is integer fen (分) throughout.
Files of 3202 are in `statement_files`, what a difference means in `statement_judge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from config.errors import BadMessage

# What settles, and what cancels it (医保 codes). A cancel is a settlement of its own, with its own setl_id.
CANCELS: Mapping[str, str] = {"2102": "2103", "2207": "2208", "2304": "2305"}
CANCELLED_BY = {cancel: settled for settled, cancel in CANCELS.items()}
CLR_TYPE_OF = {"2207": "11", "2304": "21", "2102": "41"}  # 清算类别, where an answer does not say it
MOST_YUAN = 10**14  # 16,2 digits: what the centre's fields hold
_FEN = Decimal("0.01")

_UPLOAD = ("setl_id", "mdtrt_id", "psn_no", "medfee_sumamt", "fund_pay_sumamt", "acct_pay", "refd_setl_flag")
_RESULT = (
    "psn_no",
    "mdtrt_id",
    "setl_id",
    "msgid",
    "stmt_rslt",
    "refd_setl_flag",
    "memo",
    "medfee_sumamt",
    "fund_pay_sumamt",
    "acct_pay",
)


@dataclass(frozen=True, slots=True)
class Form:
    """How a province wants its statements. The default is the baseline as two sources agree on it."""

    # `subtracted`: one group, cancels count against it. `apart`: refd_setl_flag 0 and 1 are groups of their own.
    cancels: Literal["subtracted", "apart"] = "subtracted"
    minus: bool = False  # amounts of a cancel in the 3202 file are negative
    upload: tuple[str, ...] = _UPLOAD  # the columns of the 3202 file; '' is a column of `null`
    result: tuple[str, ...] = _RESULT  # the columns of its result file; more of them are let through
    memo_moves: bool = (
        False  # in rows with refd_setl_flag 0 the memo, and all behind it, is one column further
    )
    charset: str = "utf-8"
    # What a province's words for stmt_rslt mean: 0 equal, 1 the centre has more, 2 the institution, 3 data differ.
    results: Mapping[str, str] = field(default_factory=lambda: {"000000": "0"})
    task: bool = False  # 3211 and 3212 in the place of 3202: the centre compares as a task of its own
    flag_name: str = "refd_setl_flag"  # Guangdong: REFD_SETL_FLAG


FORMS: Mapping[str, Form] = {
    "baseline": Form(),
    # openhis reads refd_setl_flag before stmt_rslt.
    "flag-first": Form(
        result=(*_RESULT[:4], "refd_setl_flag", "stmt_rslt", *_RESULT[6:]),
    ),
    "foshan": Form(
        cancels="apart",
        upload=("mdtrt_id", "setl_id", *_UPLOAD[2:]),
        memo_moves=True,
        flag_name="REFD_SETL_FLAG",
    ),
    # Later versions have an eighth and an eleventh column; nobody says what is in them.
    "later": Form(cancels="apart", upload=(*_UPLOAD, ""), result=(*_RESULT, "")),
}


@dataclass(frozen=True, slots=True)
class Amounts:
    """In fen. `cash_fen` is None where a book does not have it."""

    medfee_fen: int
    fund_fen: int
    account_fen: int
    cash_fen: int | None = None

    def same(self, other: Amounts) -> bool:
        """By what both have: the centre's files have no cash. The sign of a cancel is not stated anywhere."""
        mine = (abs(self.medfee_fen), abs(self.fund_fen), abs(self.account_fen))
        theirs = (abs(other.medfee_fen), abs(other.fund_fen), abs(other.account_fen))
        cash = self.cash_fen is None or other.cash_fen is None or abs(self.cash_fen) == abs(other.cash_fen)
        return mine == theirs and cash


@dataclass(frozen=True, slots=True)
class Row:
    """A settlement, or the cancel of one, as one book has it. Amounts of a cancel are positive too."""

    setl_id: str
    mdtrt_id: str
    psn_no: str
    amounts: Amounts
    cancel: bool = False
    setl_optins: str = ""  # 清算经办机构: clr_optins of the settlement
    insutype: str = ""  # 险种
    clr_type: str = ""  # 清算类别
    day: str = ""  # yyyy-MM-dd of setl_time
    msgid: str = ""
    infno: str = ""
    cancels: str = ""  # the setl_id that it cancels
    insuplc: str = ""  # 参保地医保区划, as the request said it
    clr_way: str = ""  # 清算方式, for the month's clearing
    recognised_fen: int | None = None  # 医保认可费用总额 med_sumfee, where the answer says it


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What one 3201 is asked for."""

    setl_optins: str
    insutype: str
    clr_type: str
    flag: str = ""  # refd_setl_flag: 0, 1, or '' where the province has none

    @property
    def complete(self) -> bool:
        return bool(self.setl_optins and self.insutype and self.clr_type)


@dataclass(frozen=True, slots=True)
class Group:
    """Settlements of one key, and their sums; of a group of both kinds, cancels are subtracted, also in number."""

    key: Key
    rows: tuple[Row, ...] = ()

    def _sum(self, name: str) -> int:
        mixed = self.key.flag == ""
        return sum(
            -(getattr(row.amounts, name) or 0) if mixed and row.cancel else (getattr(row.amounts, name) or 0)
            for row in self.rows
        )

    @property
    def medfee_fen(self) -> int:
        return self._sum("medfee_fen")

    @property
    def fund_fen(self) -> int:
        return self._sum("fund_fen")

    @property
    def account_fen(self) -> int:
        return self._sum("account_fen")

    @property
    def cash_fen(self) -> int:
        return self._sum("cash_fen")

    @property
    def count(self) -> int:
        if self.key.flag:
            return len(self.rows)
        return sum(-1 if row.cancel else 1 for row in self.rows)


def groups(rows: Iterable[Row], form: Form, always: Iterable[Key] = ()) -> list[Group]:
    """Rows by what 3201 is asked for, in the order of the keys.

    `always` are asked for where no row has them, with sums of nothing: what only the centre has is found so.
    """
    apart = form.cancels == "apart"
    found: dict[Key, list[Row]] = {}
    for key in always:
        for flag in ("0", "1") if apart else ("",):
            found.setdefault(Key(key.setl_optins, key.insutype, key.clr_type, flag), [])
    for row in rows:
        flag = ("1" if row.cancel else "0") if apart else ""
        found.setdefault(Key(row.setl_optins, row.insutype, row.clr_type, flag), []).append(row)
    return [Group(key, tuple(found[key])) for key in sorted(found)]


def total_input(group: Group, begin: str, end: str, form: Form) -> dict[str, Any]:
    """The input of 3201 for a group; days are yyyy-MM-dd, both included."""
    return {"data": {**_asked(group, begin, end, form), "acct_pay": yuan(group.account_fen)}}


def detail_input(group: Group, begin: str, end: str, form: Form, file_qury_no: str) -> dict[str, Any]:
    """The input of 3202: cash in the place of the account, and the count is that of the file's rows."""
    asked = _asked(group, begin, end, form)
    asked.pop("insutype")
    told = {
        "cash_payamt": yuan(group.cash_fen),
        "file_qury_no": file_qury_no,
        "fixmedins_setl_cnt": len(group.rows),
    }
    return {"data": {**asked, **told}}


def _asked(group: Group, begin: str, end: str, form: Form) -> dict[str, Any]:
    key = group.key
    asked: dict[str, Any] = {
        "insutype": key.insutype,
        "clr_type": key.clr_type,
        "setl_optins": key.setl_optins,
        "stmt_begndate": begin,
        "stmt_enddate": end,
        "medfee_sumamt": yuan(group.medfee_fen),
        "fund_pay_sumamt": yuan(group.fund_fen),
        "fixmedins_setl_cnt": group.count,
    }
    return {**asked, form.flag_name: key.flag} if key.flag else asked


def row_of(infno: str, asked: Any, answered: Any, msgid: str = "", original: Row | None = None) -> Row:
    """What the answer of a settlement or of a cancel (2102, 2103, 2207, 2208, 2304, 2305) says.

    `asked` is its input, `answered` its output. `original` is the settlement that a cancel cancels: tables of cancels
    leave out insurance and clearing type. A cancel whose answer was lost, and was found done, has that one's amounts,
    and no setl_id of its own that anybody knows. Raises BadMessage (JL-N200) where the answer has no amounts.
    """
    said = _node(answered, "setlinfo")
    put = _node(asked, "data", "druginfo", "mdtrtinfo")
    cancel = infno in CANCELLED_BY
    plain = CANCELLED_BY.get(infno, infno)
    unheard = cancel and original is not None and not said
    return Row(
        setl_id=_text(said, "setl_id"),
        mdtrt_id=_text(said, "mdtrt_id") or _text(put, "mdtrt_id"),
        psn_no=_text(said, "psn_no") or _text(put, "psn_no"),
        amounts=original.amounts if unheard and original is not None else amounts_of(said),
        cancel=cancel,
        setl_optins=_text(said, "clr_optins", "setl_optins") or (original.setl_optins if original else ""),
        insutype=_text(said, "insutype") or _text(put, "insutype") or (original.insutype if original else ""),
        clr_type=_text(said, "clr_type")
        or (original.clr_type if original else "")
        or CLR_TYPE_OF.get(plain, ""),
        day=_text(said, "setl_time")[:10],
        msgid=_text(said, "medins_setl_id") or msgid,
        infno=infno,
        cancels=_text(put, "setl_id") if cancel else "",
        clr_way=_text(said, "clr_way") or (original.clr_way if original else ""),
        recognised_fen=None if _empty(said.get("med_sumfee")) else abs(fen(said["med_sumfee"], "med_sumfee")),
    )


def amounts_of(said: Mapping[str, Any]) -> Amounts:
    """By the names of the tables, in yuan. Raises BadMessage (JL-N200)."""
    cash = next((said[name] for name in ("psn_cash_pay", "cash_payamt") if not _empty(said.get(name))), None)
    return Amounts(
        abs(_needed(said, "medfee_sumamt")),
        abs(_needed(said, "fund_pay_sumamt")),
        abs(_needed(said, "acct_pay")),
        None if cash is None else abs(fen(cash, "psn_cash_pay")),
    )


def _needed(said: Mapping[str, Any], name: str) -> int:
    if _empty(said.get(name)):
        raise BadMessage("JL-N200", "an amount is missing", name)
    return fen(said[name], name)


def _empty(value: Any) -> bool:
    return value is None or value in ("", "null")


def fen(value: Any, name: str = "") -> int:
    """Yuan as a number or as text, exactly. Raises BadMessage (JL-N200): no number, parts of a fen, too large.

    >>> fen("86.50"), fen(Decimal("0.070"))
    (8650, 7)
    """
    try:
        amount = Decimal(str(value).strip())
        whole = amount.quantize(_FEN)  # raises where it has more digits than a field may
    except ArithmeticError:
        raise BadMessage("JL-N200", "not an amount in yuan", name) from None
    if not amount.is_finite() or abs(amount) >= MOST_YUAN or whole != amount:
        raise BadMessage("JL-N200", "an amount with parts of a fen, or with too many digits", name)
    return int(whole.scaleb(2))


def yuan(amount_fen: int) -> Decimal:
    """With two decimals: what is sent and written."""
    return Decimal(amount_fen).scaleb(-2)


def _node(tree: Any, *names: str) -> Mapping[str, Any]:
    if isinstance(tree, Mapping):
        for name in names:
            if isinstance(tree.get(name), Mapping):
                return tree[name]  # type: ignore[no-any-return]
        return tree
    return {}


def _text(node: Mapping[str, Any], *names: str) -> str:
    for name in names:
        if isinstance(value := node.get(name), str | int) and not _empty(value):
            return str(value).strip()
    return ""


def of_days(rows: Sequence[Row], begin: str, end: str) -> list[Row]:
    """Those of the days from `begin` to `end`. The centre's day counts, setl_time's; ours may be another by minutes."""
    return [row for row in rows if begin <= row.day <= end]
