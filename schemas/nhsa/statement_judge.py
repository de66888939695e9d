"""What a difference in a day's account means, and what to do about it (对账差异处理).

Three books: the centre's as the result file of 3202 says it, the engine's own records, and the HIS's list where there
is one. Where the centre has more, 2601 with the row's msgid, or 2208/2305 where it is a real settlement that the HIS
lost; where the hospital has more, the HIS is corrected, or it is settled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from schemas.nhsa.statement import CANCELLED_BY, CANCELS, Amounts, Key, Row
from schemas.nhsa.statement_files import Result

Kind = Literal[
    "centre more", "hospital more", "amounts", "HIS lacks", "record lacks", "books differ", "no group"
]
# 2601 may undo these; the tables print 2305 as 2207 in every copy, a misprint.
REVERSIBLE = frozenset({*CANCELS, *CANCELLED_BY})
_SETTLES = {"11": "2207", "21": "2304", "41": "2102"}  # by clearing type


@dataclass(frozen=True, slots=True)
class Asked:
    """What the engine remembers of the request with a msgid: its transaction, its state, and who it was about."""

    infno: str
    state: str  # sent, OK, REJECTED, PROCESSING, UNKNOWN, REVERSED
    psn_no: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do. `transaction` is to be called with `input`; '' where it is the HIS's to do."""

    en: str
    zh: str
    transaction: str = ""
    input: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One settlement on which the books differ."""

    kind: Kind
    key: Key
    setl_id: str
    mdtrt_id: str
    psn_no: str
    msgid: str
    cancel: bool
    advice: Advice
    centre: Amounts | None = None
    ours: Amounts | None = None  # the engine's own records
    his: Amounts | None = None
    memo: str = ""  # the centre's words


KINDS_ZH: Mapping[str, str] = {
    "centre more": "中心多",
    "hospital more": "医院多",
    "amounts": "数据不一致",
    "HIS lacks": "HIS 缺",
    "record lacks": "平台无记录",
    "books differ": "HIS 与平台不一致",
    "no group": "无法归组",
}


@dataclass(frozen=True, slots=True)
class Books:
    """What the institution has, by setl_id; by msgid a cancel that was found done, and whose setl_id nobody heard.
    `his` is None where no list was given."""

    ours: Mapping[str, Row]
    his: Mapping[str, Row] | None = None
    asked: Callable[[str], Asked | None] = lambda msgid: None  # by msgid

    def declared(self, setl_id: str) -> Row | None:
        """As the institution's account has it: the HIS's list, where there is one."""
        return (self.ours if self.his is None else self.his).get(setl_id)


def judge(found: Iterable[Result], key: Key, books: Books) -> list[Difference]:
    """The rows of 3202's result on which the centre and the institution differ, with what to do; equal ones not."""
    made: list[Difference] = []
    rows = list(found)
    unheard = _unheard(rows, books)
    for row in rows:
        # One that both have is told twice: the centre's row, and ours without a setl_id.
        if row.msgid in unheard or (not row.setl_id and row.mdtrt_id in unheard.values()):
            continue
        mine = books.declared(row.setl_id)
        rslt = row.rslt if row.rslt in ("0", "1", "2", "3") else _by_evidence(row, mine)
        if rslt == "1":
            made.append(_centre_more(row, key, books))
        elif rslt == "2":
            made.append(_difference("hospital more", row, key, books, _undo_at_his(row)))
        elif rslt == "3":
            made.append(_difference("amounts", row, key, books, _amounts(row)))
    return made


def _unheard(rows: Iterable[Result], books: Books) -> dict[str, str]:
    """Cancels that both have, here without the setl_id that the centre gave them: msgid to mdtrt_id."""
    ours = {msgid: row for msgid, row in books.ours.items() if not row.setl_id}
    theirs = {row.msgid: row.amounts for row in rows if row.setl_id and row.msgid in ours}
    return {
        msgid: ours[msgid].mdtrt_id
        for msgid, amounts in theirs.items()
        if amounts is not None and amounts.same(ours[msgid].amounts)
    }


def _by_evidence(row: Result, mine: Row | None) -> str:
    """Of a word that nobody knows: what the two rows say."""
    if mine is None:
        return "1"
    return "3" if row.amounts is None or not row.amounts.same(mine.amounts) else "0"


def _centre_more(row: Result, key: Key, books: Books) -> Difference:
    own = books.ours.get(row.setl_id)
    msgid = row.msgid or (own.msgid if own else "")
    asked = books.asked(msgid) if msgid else None
    infno = _infno(row, key, asked)
    psn_no = row.psn_no or (own.psn_no if own else "") or (asked.psn_no if asked else "")
    if own is not None or (asked is not None and asked.state == "OK"):
        his_lacks = books.his is not None and row.setl_id not in books.his
        advice = _his_lost(row, infno, psn_no) if his_lacks else _ELSEWHERE
    elif asked is not None and infno in REVERSIBLE:
        advice = _reverse(msgid, infno, psn_no, asked)
    else:
        advice = _not_ours(row, msgid, infno)
    return _difference("centre more", row, key, books, advice, psn_no, msgid)


def _infno(row: Result, key: Key, asked: Asked | None) -> str:
    if asked is not None:
        return asked.infno
    settles = _SETTLES.get(key.clr_type, "")
    return CANCELS.get(settles, "") if row.cancel else settles


def _difference(
    kind: Kind, row: Result, key: Key, books: Books, advice: Advice, psn_no: str = "", msgid: str = ""
) -> Difference:
    own, his = books.ours.get(row.setl_id), (books.his or {}).get(row.setl_id)
    some = own or his
    return Difference(
        kind=kind,
        key=replace(key, insutype=some.insutype) if some else key,
        setl_id=row.setl_id,
        mdtrt_id=row.mdtrt_id or (some.mdtrt_id if some else ""),
        psn_no=psn_no or row.psn_no or (some.psn_no if some else ""),
        msgid=msgid or row.msgid or (some.msgid if some else ""),
        cancel=row.cancel,
        advice=advice,
        centre=row.amounts,
        ours=own.amounts if own else None,
        his=his.amounts if his else None,
        memo=row.memo,
    )


def between(
    ours: Mapping[str, Row], his: Mapping[str, Row], form_flag: Callable[[Row], str]
) -> list[Difference]:
    """Where the HIS's list and the engine's records differ: known before the centre is asked. Both by setl_id."""
    made = []
    for setl_id in [*ours, *(one for one in his if one not in ours)]:
        own, other = ours.get(setl_id), his.get(setl_id)
        if own is None and other is not None:
            made.append(_local("record lacks", other, None, other, _NOT_THROUGH_US, form_flag))
        elif own is not None and other is None:
            made.append(_local("HIS lacks", own, own, None, _his_lost(own, own.infno, own.psn_no), form_flag))
        elif own is not None and other is not None and not own.amounts.same(other.amounts):
            made.append(_local("books differ", own, own, other, _HIS_AMOUNTS, form_flag))
    return made


def unkeyed(
    rows: Sequence[Row], ours: Mapping[str, Row], form_flag: Callable[[Row], str]
) -> list[Difference]:
    """Rows that name no office, insurance or clearing type: they cannot be declared."""
    return [
        _local("no group", row, ours.get(row.setl_id), None, _NO_GROUP, form_flag)
        for row in rows
        if not Key(row.setl_optins, row.insutype, row.clr_type).complete
    ]


def _local(
    kind: Kind, row: Row, own: Row | None, his: Row | None, advice: Advice, flag: Callable[[Row], str]
) -> Difference:
    return Difference(
        kind=kind,
        key=Key(row.setl_optins, row.insutype, row.clr_type, flag(row)),
        setl_id=row.setl_id,
        mdtrt_id=row.mdtrt_id,
        psn_no=row.psn_no,
        msgid=row.msgid,
        cancel=row.cancel,
        advice=advice,
        ours=own.amounts if own else None,
        his=his.amounts if his else None,
    )


def _reverse(msgid: str, infno: str, psn_no: str, asked: Asked) -> Advice:
    why_en, why_zh = _WHY[asked.state]
    lost = asked.state in ("sent", "UNKNOWN", "PROCESSING")
    how = f"jingluo insurance reverse {msgid}" if lost else "2601"
    return Advice(
        f"{why_en}: reverse it with {how}",
        f"{why_zh}：用 2601 冲正" + (f"（{how}）" if lost else ""),
        "2601",
        {"psn_no": psn_no, "omsgid": msgid, "oinfno": infno},
    )


_WHY: Mapping[str, tuple[str, str]] = {
    "sent": ("its answer was lost", "应答丢失"),
    "UNKNOWN": ("its answer was lost", "应答丢失"),
    "PROCESSING": ("it was still being done when last asked", "最近查询时仍在处理"),
    "REJECTED": ("the centre had refused it, and has it all the same", "中心曾拒绝，但已入账"),
    "REVERSED": ("it was reversed, and the centre still has it", "已冲正，但中心仍有记录"),
}


def _not_ours(row: Result, msgid: str, infno: str) -> Advice:
    """It may be good: paid by mobile, settled by another system. Nobody reverses it before he has looked at it."""
    then = (
        f"2601 (omsgid {msgid}, oinfno {infno})"
        if msgid and infno in REVERSIBLE
        else CANCELS.get(infno, "2208 or 2305")
    )
    return Advice(
        "no request of the engine's: look at it with 5203 (mobile payment, another system?); "
        f"if nobody wants it, {then}",
        f"平台无此请求：先用 5203 查询（移动支付或其他系统结算？），确认多余后用 {then}",
        "5203",
        _one(row),
    )


def _his_lost(row: Row | Result, infno: str, psn_no: str) -> Advice:
    """A real settlement: the engine has its answer, the HIS does not have it."""
    if row.cancel:
        return Advice("a cancel that the HIS does not have: the HIS books it", "HIS 缺该退费：HIS 补登")
    cancel = CANCELS.get(infno, "2208 or 2305")
    asked = {**_one(row), "psn_no": psn_no}
    return Advice(
        f"settled, and the HIS does not have it: the HIS books it, or cancel it with {cancel}",
        f"已结算而 HIS 缺：HIS 补登，或用 {cancel} 撤销",
        cancel if infno in CANCELS else "",
        asked if infno in CANCELS else None,
    )


def _undo_at_his(row: Result) -> Advice:
    if row.cancel:
        return Advice(
            "the centre does not have this cancel: cancel the settlement again, or take the refund back in the HIS",
            "中心无此退费：重新撤销结算，或在 HIS 冲回退费",
        )
    return Advice(
        "the centre does not have it: look at it with 5203; take it back in the HIS, and settle again",
        "中心无此结算：用 5203 核实，在 HIS 冲回后重新结算",
        "5203",
        _one(row),
    )


def _amounts(row: Result) -> Advice:
    return Advice(
        "look at it with 5203: correct the HIS to what the centre has, or cancel and settle again",
        "用 5203 核实：HIS 按中心数据更正，或撤销后重新结算",
        "5203",
        _one(row),
    )


def _one(row: Row | Result) -> Mapping[str, str]:
    """What 5203, and the cancels, are asked with."""
    return {"setl_id": row.setl_id, "mdtrt_id": row.mdtrt_id, "psn_no": row.psn_no}


_HIS_AMOUNTS = Advice(
    "the HIS booked other amounts than the centre answered: correct the HIS",
    "HIS 入账金额与中心应答不一致：更正 HIS",
)
_ELSEWHERE = Advice(
    "both have it: perhaps of another day, or under another insurance or clearing type here",
    "双方均有：可能日期、险种或清算类别不同",
)
_NOT_THROUGH_US = Advice(
    "settled past the engine, or under another setl_id: look at it with 5203",
    "未经平台结算，或结算ID不同：用 5203 核实",
)
_NO_GROUP = Advice(
    "no clearing office, insurance or clearing type: it cannot be declared; complete the list",
    "缺清算经办机构、险种或清算类别，无法申报：请补全",
)
