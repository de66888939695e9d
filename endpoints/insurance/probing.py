"""Whether a message whose answer was lost was done: what to ask, and how to read it. Pure, a small reader a kind.

A reader is a generator: it yields a `Question`, is sent what was `Told`, and returns its `Finding`. Every NOT_DONE
comes of something that is not there, or not gone yet: a centre's queries may lag behind its books, so who drives the
reader believes it only when enough time has passed. DONE is believed at once.

Sources: 医保 interface guide, "Failures and timeouts"; the tables' columns `probes`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from endpoints.insurance.facts import flat, objects
from schemas.message import NOTHING

Verdict = Literal["DONE", "NOT_DONE", "CANNOT_SAY"]
_VISITS = 20  # of one person in the time, that are looked at
_SETTLEMENTS = 20  # of one visit
_SPAN = timedelta(days=180)  # before the message, where nothing says when the visit began

# A list of some days shows that something is there; that it is not, only where they are the right days.
_WHEN = "not listed, and the records do not know when the visit began 就诊开始时间未知"

# What 5203 calls otherwise than the settlement's own answer does.
_CALLED = {"psn_pay": "psn_part_amt", "cash_payamt": "psn_cash_pay"}


class Case(Struct, frozen=True):
    """The message. `facts` are the plain values of its input by name, and `begntime` of the visit where the records
    know it; `batch` is the feedetl_sn of the batch that it is about, where they know those."""

    infno: str
    msgid: str
    at: datetime
    input: Any
    facts: Mapping[str, str]
    batch: frozenset[str] = frozenset()


class Question(Struct, frozen=True):
    infno: str
    input: Any


class Told(Struct, frozen=True):
    """`refused`: the centre said no, in its words; `nothing`: that it has no such record."""

    output: Any = None
    refused: str = ""
    nothing: bool = False

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return [
            row for row in objects(self.output) if not any(isinstance(v, dict | list) for v in row.values())
        ]


class Finding(Struct, frozen=True):
    verdict: Verdict
    text: str
    links: Mapping[str, str] = NOTHING  # what is known of it now
    output: Any = None  # what its answer would have said


Reader = Generator[Question, Told, Finding]


def reader(case: Case) -> Reader | None:
    """None where no query shows it."""
    made = READERS.get(case.infno)
    return made(case) if made is not None else None


def settlement(case: Case) -> Reader:
    """2207, 2304, 2102: by the settlements of the visit's lines (5204), of which one names our message (5203)."""
    psn_no, doubtful = case.facts.get("psn_no", ""), ""
    visits = [case.facts["mdtrt_id"]] if "mdtrt_id" in case.facts else []
    if not visits:  # a pharmacy's sale makes its own
        told = yield _visit_query(case)
        if told.refused and not told.nothing:
            return Finding("CANNOT_SAY", f"5201: {told.refused}")
        visits = list(dict.fromkeys(str(row["mdtrt_id"]) for row in told.rows if row.get("mdtrt_id")))
    if len(visits) > _VISITS:
        doubtful = f"5201: more than {_VISITS} visits 就诊过多"
    for mdtrt_id in visits[:_VISITS]:
        told = yield Question("5204", {"data": {"psn_no": psn_no, "mdtrt_id": mdtrt_id}})
        if told.refused and not told.nothing:
            doubtful = f"5204: {told.refused}"
            continue
        made = dict.fromkeys(str(row.get("setl_id") or "") for row in told.rows)
        if len(made) > _SETTLEMENTS:
            doubtful = f"5204: more than {_SETTLEMENTS} settlements 结算过多"
        for setl_id in [one for one in made if one][:_SETTLEMENTS]:
            asked = {"psn_no": psn_no, "setl_id": setl_id, "mdtrt_id": mdtrt_id}
            told = yield Question("5203", {"data": asked})
            info = flat(told.output)
            named = info.get("medins_setl_id", "")
            if named == case.msgid:
                links = {"setl_id": setl_id, "mdtrt_id": mdtrt_id}
                return Finding("DONE", f"5203: {setl_id}", links, _as_settled(told.output))
            if not named:
                doubtful = f"5203: {setl_id} does not say which message made it 未含medins_setl_id"
    if doubtful:
        return Finding("CANNOT_SAY", doubtful)
    return Finding("NOT_DONE", "5204, 5203: no settlement of this message 无此报文的结算")


def cancelled(case: Case) -> Reader:
    """2208, 2305, 2103: whether the settlement still holds."""
    asked = {name: case.facts.get(name, "") for name in ("psn_no", "setl_id", "mdtrt_id")}
    told = yield Question("5203", {"data": asked})
    if told.nothing:
        return Finding("DONE", "5203: the settlement is there no longer 结算已不存在")
    if told.refused:
        return Finding("CANNOT_SAY", f"5203: {told.refused}")
    flag = next((v for k, v in flat(told.output).items() if k.lower() == "refd_setl_flag"), "")
    if flag == "1":
        return Finding("DONE", "5203: the settlement is cancelled 结算已撤销")
    held = yield Question("5204", {"data": {name: asked[name] for name in ("psn_no", "mdtrt_id")}})
    if held.refused and not held.nothing:
        return Finding("CANNOT_SAY", f"5204: {held.refused}")
    if any(str(row.get("setl_id") or "") == asked["setl_id"] for row in held.rows):
        return Finding("NOT_DONE", "5204: its lines are settled by it still 费用明细仍属该结算")
    # A cancel leaves the lines, but that of a sale, which takes its visit along. Else a lag, or another hand, did.
    if not held.rows and case.infno != "2103":
        return Finding("CANNOT_SAY", "5203 shows it, and 5204 no lines 结算仍可查，费用明细为空")
    return Finding("DONE", "5204: no line is settled by it any more 费用明细已不属该结算")


def lines_there(case: Case) -> Reader:
    """2204, 2301: whether the lines are there."""
    wanted = {str(row["feedetl_sn"]) for row in objects(case.input) if row.get("feedetl_sn")}
    told = yield _lines(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5204: {told.refused}")
    there = wanted & {str(row.get("feedetl_sn") or "") for row in told.rows}
    if wanted and there == wanted:
        return Finding("DONE", f"5204: all {len(wanted)} lines 明细齐全")
    if not there:
        return Finding("NOT_DONE", "5204: none of the lines 无此明细")
    return Finding("CANNOT_SAY", f"5204: {len(there)} of {len(wanted)} lines 明细不全")


def lines_gone(case: Case) -> Reader:
    """2205, 2302: whether the lines are gone; '0000' means all that are not settled."""
    wanted = {str(row["feedetl_sn"]) for row in objects(case.input) if row.get("feedetl_sn")} or set(
        case.batch
    )
    told = yield _lines(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5204: {told.refused}")
    open_ = {str(row.get("feedetl_sn") or "") for row in told.rows if not row.get("setl_id")}
    if "0000" in (case.facts.get("chrg_bchno"), *wanted):
        left = open_
    elif wanted:
        left = wanted & open_
    elif open_:
        return Finding("CANNOT_SAY", "5204: the records do not know which lines the batch had 批次明细未知")
    else:
        left = set()
    if left:
        return Finding("NOT_DONE", f"5204: {len(left)} lines are there still 明细仍在")
    return Finding("DONE", "5204: the lines are gone 明细已撤销")


def registered(case: Case) -> Reader:
    """2201: by the number of the visit (门诊号)."""
    told = yield _visit_query(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5201: {told.refused}")
    number = case.facts.get("ipt_otp_no", "")
    for row in told.rows:
        if number and str(row.get("ipt_otp_no") or "") == number:
            mdtrt_id = str(row.get("mdtrt_id") or "")
            output = {"data": {"mdtrt_id": mdtrt_id, "psn_no": case.facts["psn_no"], "ipt_otp_no": number}}
            return Finding("DONE", f"5201: {mdtrt_id}", {"mdtrt_id": mdtrt_id}, output)
    if any(not row.get("ipt_otp_no") for row in told.rows):
        return Finding("CANNOT_SAY", "5201: visits without their numbers 就诊记录无门诊号")
    return Finding("NOT_DONE", "5201: no visit of this number 无此门诊号的就诊")


def unregistered(case: Case) -> Reader:
    """2202."""
    told = yield _visit_query(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5201: {told.refused}")
    there = any(str(row.get("mdtrt_id") or "") == case.facts.get("mdtrt_id") for row in told.rows)
    if there:
        return Finding("NOT_DONE", "5201: the visit is there still 就诊仍在")
    if "begntime" not in case.facts:
        return Finding("CANNOT_SAY", f"5201: {_WHEN}")
    return Finding("DONE", "5201: the visit is there no longer 就诊已不存在")


def admitted(case: Case) -> Reader:
    """2401: by the number of the stay (住院号)."""
    told = yield _stays(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5303: {told.refused}")
    number = case.facts.get("ipt_no", "")
    for row in told.rows:
        if number and str(row.get("ipt_otp_no") or "") == number:
            mdtrt_id = str(row.get("mdtrt_id") or "")
            return Finding(
                "DONE", f"5303: {mdtrt_id}", {"mdtrt_id": mdtrt_id}, {"result": {"mdtrt_id": mdtrt_id}}
            )
    if any(not row.get("ipt_otp_no") for row in told.rows):
        return Finding("CANNOT_SAY", "5303: stays without their numbers 在院记录无住院号")
    return Finding("NOT_DONE", "5303: no stay of this number 无此住院号")


def in_hospital(case: Case, there: bool) -> Reader:
    """2405 puts a patient back among those in hospital, 2402 and 2404 take one away."""
    told = yield _stays(case)
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"5303: {told.refused}")
    found = any(str(row.get("mdtrt_id") or "") == case.facts.get("mdtrt_id") for row in told.rows)
    if not found and "begntime" not in case.facts:
        return Finding("CANNOT_SAY", f"5303: {_WHEN}")
    text = "in hospital 在院" if found else "not in hospital 不在院"
    return Finding("DONE" if found == there else "NOT_DONE", f"5303: {text}")


def listed(case: Case, infno: str, pairs: Sequence[tuple[str, str]], there: bool) -> Reader:
    """Whether a query's list has a row of the same values. `pairs`: the message's field and the row's."""
    mine = [(case.facts.get(own, ""), theirs) for own, theirs in pairs]
    if not all(value for value, _ in mine):
        return Finding("CANNOT_SAY", f"{infno}: the message does not say what to look for 缺少查询要素")
    told = yield Question(infno, _list_query(infno, case))
    if told.refused and not told.nothing:
        return Finding("CANNOT_SAY", f"{infno}: {told.refused}")
    found = any(all(str(row.get(name) or "") == value for value, name in mine) for row in told.rows)
    return Finding(
        "DONE" if found == there else "NOT_DONE", f"{infno}: {'there 有' if found else 'not there 无'}"
    )


def _visit_query(case: Case) -> Question:
    data = {
        "psn_no": case.facts.get("psn_no", ""),
        **_span(case, "begntime"),
        "med_type": case.facts.get("med_type", "11"),
    }
    if "mdtrt_id" in case.facts:
        data["mdtrt_id"] = case.facts["mdtrt_id"]
    return Question("5201", {"data": data})


def _stays(case: Case) -> Question:
    data = {"psn_no": case.facts.get("psn_no", ""), **_span(case, "begntime")}
    return Question("5303", {"data": data})


def _lines(case: Case) -> Question:
    return Question("5204", {"data": {name: case.facts.get(name, "") for name in ("psn_no", "mdtrt_id")}})


def _span(case: Case, name: str) -> dict[str, str]:
    """The day of the visit, or the time before the message."""
    day = case.facts.get(name, "")[:10]
    begin = day or f"{case.at - _SPAN:%Y-%m-%d}"
    end = day or f"{case.at + timedelta(days=1):%Y-%m-%d}"
    return {"begntime": f"{begin} 00:00:00", "endtime": f"{end} 23:59:59"}


def _list_query(infno: str, case: Case) -> Any:
    psn_no = case.facts.get("psn_no", "")
    if infno == "5304":
        return {"data": {"psn_no": psn_no, **_span(case, "refl_date")}}
    if infno == "1317":
        code = case.facts.get("fixmedins_hilist_id", "")
        day = f"{case.at - timedelta(days=1):%Y-%m-%d}"
        return {"data": {"medins_list_codg": code, "updt_time": day, "page_num": 1, "page_size": 100}}
    return {"data": {"psn_no": psn_no}} if infno in ("5301", "5302") else {}


def _as_settled(output: Any) -> Any:
    """What 5203 says, by the names of the settlement's own answer."""
    if not isinstance(output, dict) or not isinstance(output.get("setlinfo"), dict):
        return output
    info = output["setlinfo"]
    renamed = {ours: info[theirs] for theirs, ours in _CALLED.items() if theirs in info and ours not in info}
    return {**output, "setlinfo": {**info, **renamed}}


READERS: Mapping[str, Callable[[Case], Reader]] = {
    **dict.fromkeys(("2102", "2207", "2304"), settlement),
    **dict.fromkeys(("2103", "2208", "2305"), cancelled),
    **dict.fromkeys(("2204", "2301"), lines_there),
    **dict.fromkeys(("2205", "2302"), lines_gone),
    "2201": registered,
    "2202": unregistered,
    "2401": admitted,
    "2402": partial(in_hospital, there=False),
    "2404": partial(in_hospital, there=False),
    "2405": partial(in_hospital, there=True),
    "2501": partial(listed, infno="5304", pairs=(("reflin_medins_no",) * 2, ("refl_date",) * 2), there=True),
    "2501A": partial(listed, infno="5304", pairs=(("reflin_medins_no",) * 2, ("refl_date",) * 2), there=True),
    "2503": partial(listed, infno="5301", pairs=(("opsp_dise_code",) * 2,), there=True),
    "2505": partial(listed, infno="5302", pairs=(("fix_srt_no",) * 2, ("fixmedins_code",) * 2), there=True),
    "3301": partial(listed, infno="1317", pairs=(("fixmedins_hilist_id", "medins_list_codg"),), there=True),
    "3302": partial(listed, infno="1317", pairs=(("fixmedins_hilist_id", "medins_list_codg"),), there=False),
    "3401": partial(listed, infno="5101", pairs=(("hosp_dept_codg",) * 2,), there=True),
    "3401A": partial(listed, infno="5101", pairs=(("hosp_dept_codg",) * 2,), there=True),
    "3403": partial(listed, infno="5101", pairs=(("hosp_dept_codg",) * 2,), there=False),
}
