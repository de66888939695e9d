"""An exchange that nobody knows the end of: whether it was done (probe), and how it is undone (reverse).

Both write what they learn into the records, and both may be asked as often as one likes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from config.errors import BadMessage, Refused
from endpoints.insurance.answer import Answer
from endpoints.insurance.envelope import CALLERS, china_time
from endpoints.insurance.facts import flat, objects
from endpoints.insurance.probing import Case, Finding, Told, Verdict, reader
from endpoints.insurance.records import Exchange
from schemas.json import Json
from schemas.message import NOTHING
from schemas.nhsa.check import checker
from schemas.nhsa.model import Node, Transaction

if TYPE_CHECKING:
    from endpoints.insurance.party import Party

_JSON = Json()
_QUESTIONS = 60  # of one probe
_UNDOINGS = 50  # that were refused, before it is given up
# What a query says that has no rows; of a visit or a person it speaks too, so of 2601 the profile's words count alone.
_NO_ROWS = re.compile(r"(未|没有|无).{0,4}(查询?到|找到|检索到)|无(相关)?(数据|记录)|不存在|查无")

Way = Literal["", "2601", "undo"]


class Evidence(Struct, frozen=True):
    """A query, and the message that asked it."""

    infno: str
    msgid: str
    text: str


class Probed(Struct, frozen=True):
    """`exchange` is the row as it is now; `output` what its answer would have said, where that could be read."""

    verdict: Verdict
    exchange: Exchange
    text: str
    evidence: tuple[Evidence, ...] = ()
    output: Any = None

    def tree(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "msgid": self.exchange.msgid,
            "infno": self.exchange.infno,
            "state": self.exchange.state,
            "text": self.text,
            "links": dict(self.exchange.links),
            "evidence": [{"infno": e.infno, "msgid": e.msgid, "text": e.text} for e in self.evidence],
            "output": self.output,
        }


class Reversed(Struct, frozen=True):
    """OK: it is not, or no longer, booked. REJECTED: the centre will not. UNKNOWN: ask again later."""

    outcome: Literal["OK", "REJECTED", "UNKNOWN"]
    exchange: Exchange
    text: str
    by: Answer | None = None  # the 2601, or the undoing transaction

    def tree(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "msgid": self.exchange.msgid,
            "infno": self.exchange.infno,
            "state": self.exchange.state,
            "text": self.text,
            "by": self.by.tree() if self.by is not None else None,
        }


class Sent(Struct, frozen=True):
    """What an exchange's request said. `fields` are those that its queries repeat."""

    input: Any
    fields: Mapping[str, str] = NOTHING


async def probe(party: Party, exchange: Exchange) -> Probed:
    """Raises Unreachable where a query had no answer: ask again."""
    known: dict[str, Verdict] = {"OK": "DONE", "REJECTED": "NOT_DONE", "REVERSED": "NOT_DONE"}
    if exchange.state in known:
        output = _output_of(exchange) if exchange.state == "OK" else None
        if output is not None:
            output = checker(party.named(exchange.infno), party.profile).canonical(output)
        text = f"the records say {exchange.state} 记录已有结果"
        return Probed(known[exchange.state], exchange, text, output=output)
    sent = sent_of(exchange)
    facts = {**await _begun(party, exchange), **exchange.links, **flat(sent.input)}
    case = Case(
        exchange.infno,
        exchange.msgid,
        china_time(exchange.at_ms),
        sent.input,
        facts,
        await _batch(party, exchange, facts),
    )
    found, evidence = await _read(party, case, sent)
    wait_s = _not_before_ms(party, exchange) / 1000 - party.now_ms / 1000
    if found.verdict == "NOT_DONE" and wait_s > 0:
        text = f"{found.text}; queries may lag, ask again in {int(wait_s) + 1} s 查询可能延迟"
        found = replace(found, verdict="CANNOT_SAY", text=text)
    if found.verdict == "DONE":
        body = _as_answer(found) if found.output is not None else b""
        exchange = await party.records.end(exchange, "OK", "0", found.text, body, found.links)
    elif found.verdict == "NOT_DONE":
        exchange = await party.records.end(exchange, "REJECTED", "", found.text, b"", {})
        if exchange.state != "REJECTED":  # its answer came in meanwhile
            return await probe(party, exchange)
    return Probed(found.verdict, exchange, found.text, tuple(evidence), found.output)


async def reverse(party: Party, exchange: Exchange, by: Way = "") -> Reversed:
    """By 2601 where the answer was lost and the centre takes it; by what undoes it where it is known to be done.

    `by` chooses: '2601' whatever the records say but that it is reversed (the centre has it too much, 3202), 'undo' the
    other way.
    Raises Refused (JL-N024 cannot be undone so), and Unreachable: ask again.
    """
    if exchange.state == "REVERSED" or (exchange.state == "REJECTED" and by != "2601"):
        return Reversed("OK", exchange, f"it is not booked: {exchange.state} 未入账，无需冲正")
    transaction = party.named(exchange.infno)
    oinfno = party.profile.reverse(transaction)
    if by == "2601" and not oinfno:
        raise Refused("JL-N024", f"2601 does not reverse {exchange.infno} 该交易不支持冲正")
    if oinfno and by != "undo" and (exchange.state != "OK" or by == "2601"):
        return await _by_2601(party, exchange, oinfno)
    if exchange.state != "OK":
        probed = await probe(party, exchange)
        if probed.verdict == "NOT_DONE":
            return Reversed("OK", probed.exchange, probed.text)
        if probed.verdict == "CANNOT_SAY":
            return Reversed("UNKNOWN", probed.exchange, probed.text)
        exchange = probed.exchange
    return await _by_undoing(party, exchange, transaction)


def sent_of(exchange: Exchange) -> Sent:
    """What left, from the row. Raises Refused (JL-N023) where it cannot be read any more."""
    for charset in ("", "gb18030"):
        try:
            tree = _JSON.decode(exchange.request, charset)
            break
        except BadMessage:
            tree = None
    if not isinstance(tree, dict):
        raise Refused("JL-N023", f"{exchange.msgid}: its request cannot be read 原报文不可读")
    fields = {name: str(tree[name]) for name in CALLERS if tree.get(name) and name != "cainfo"}
    return Sent(tree.get("input"), fields)


async def _read(party: Party, case: Case, sent: Sent) -> tuple[Finding, list[Evidence]]:
    evidence: list[Evidence] = []
    reading = reader(case)
    if reading is None:
        again = party.named(case.infno).undoing.repeatable
        text = "sent again it does no harm 可重复上传" if again else "no query shows it 无可用查询"
        return Finding("CANNOT_SAY", text), evidence
    try:
        question = next(reading)
        for _ in range(_QUESTIONS):
            answer = await party.ask(question.infno, question.input, "", sent.fields)
            told = Told(answer.output)
            if answer.outcome != "OK":
                told = Told(refused=answer.text or answer.outcome, nothing=_nothing(party, answer.err_msg))
            elif answer.output in (None, "", {}):  # no list that something could be missing from
                told = Told(refused="success without an output 应答无输出")
            evidence.append(Evidence(question.infno, answer.exchange.msgid, answer.err_msg or answer.outcome))
            question = reading.send(told)
    except StopIteration as end:
        return end.value, evidence
    return Finding("CANNOT_SAY", f"more than {_QUESTIONS} questions 查询过多"), evidence


def _nothing(party: Party, text: str) -> bool:
    return party.profile.nothing_found(text) or _NO_ROWS.search(text) is not None


async def _by_2601(party: Party, exchange: Exchange, oinfno: str) -> Reversed:
    sent = sent_of(exchange)
    data = {"psn_no": flat(sent.input).get("psn_no", ""), "omsgid": exchange.msgid, "oinfno": oinfno}
    answer = await party.ask("2601", {"data": data}, f"2601 {exchange.msgid} {uuid.uuid4().hex}", sent.fields)
    if answer.outcome == "UNKNOWN":
        return Reversed("UNKNOWN", exchange, f"{answer.text} 冲正结果未知，可再次冲正", answer)
    missing = answer.outcome == "REJECTED" and party.profile.nothing_found(answer.err_msg)
    if missing and party.now_ms < _not_before_ms(party, exchange):
        text = "the centre does not have it; it may be on its way still: ask again 原交易可能仍在途"
        return Reversed("UNKNOWN", exchange, text, answer)
    if answer.outcome != "OK" and not missing:
        return Reversed("REJECTED", exchange, answer.text, answer)
    await _earlier(party, exchange, answer)
    text = "the centre never had it 中心无此交易" if missing else "reversed 已冲正"
    return await _undone(party, exchange, answer, text)


async def _by_undoing(party: Party, exchange: Exchange, transaction: Transaction) -> Reversed:
    if not transaction.undoing.undo:
        raise Refused("JL-N024", f"nothing undoes {exchange.infno} 该交易不可撤销")
    undo = party.named(transaction.undoing.undo)
    sent = sent_of(exchange)
    tree = undoing_input(undo, sent.input, {**flat(_output_of(exchange)), **exchange.links})
    for last in (False, True):
        answer = await party.ask(undo.name, tree, await _undoing_key(party, exchange, undo.name), sent.fields)
        found: Verdict = "DONE" if answer.outcome == "OK" else "CANNOT_SAY"
        if answer.outcome == "UNKNOWN":  # the undoing's own answer was lost
            found = (await probe(party, answer.exchange)).verdict
        if found == "DONE":
            return await _undone(party, exchange, answer, f"undone by {undo.name} 已撤销")
        if found == "CANNOT_SAY" or last:
            break
    outcome: Literal["REJECTED", "UNKNOWN"] = "REJECTED" if answer.outcome == "REJECTED" else "UNKNOWN"
    return Reversed(outcome, exchange, f"{undo.name} {answer.exchange.msgid}: {answer.text}", answer)


def undoing_input(undo: Transaction, input: Any, facts: Mapping[str, str]) -> dict[str, Any]:
    """The undoing transaction's input, of what the original said and was told. A list has a row for each of its."""
    told = {**flat(input), **facts}
    made: dict[str, Any] = {}
    for node in undo.input:
        if not node.name or "." in node.name or not (node.required or undo.input[0] is node):
            continue
        if node.many:
            key = next((f.name for f in node.fields if f.required), "")
            rows = [row for row in objects(input) if row.get(key)]
            made[node.name] = [_row(node, {**told, **flat(row)}) for row in rows]
        else:
            made[node.name] = _row(node, told)
    return made


def _row(node: Node, told: Mapping[str, str]) -> dict[str, str]:
    """What a table requires and nobody said is told as such: a memo, why it is undone."""
    row = {field.name: told[field.name] for field in node.fields if field.name in told and not field.status}
    missing = {f.name for f in node.fields if f.required and f.name not in row}
    return {**row, "memo": "撤销"} if "memo" in missing else row


async def undoing_of(party: Party, exchange: Exchange) -> Exchange | None:
    """The latest undoing of it, whatever became of that."""
    undo = party.named(exchange.infno).undoing.undo
    found = None
    for n in range(_UNDOINGS):
        rows = await party.records.of_key(party.system, f"undo {exchange.msgid} {n}")
        mine = [one for one in rows if one.infno == undo]
        if not mine:
            return found
        found = mine[-1]
    return found


async def _undoing_key(party: Party, exchange: Exchange, undo: str) -> str:
    """One undoing at a time: another only where those before it were refused."""
    for n in range(_UNDOINGS):
        key = f"undo {exchange.msgid} {n}"
        before = [one for one in await party.records.of_key(party.system, key) if one.infno == undo]
        if not before or before[-1].state != "REJECTED" or before[-1].never_left:
            return key
    raise Refused("JL-N024", f"{undo} was refused {_UNDOINGS} times 撤销多次被拒")


async def _undone(party: Party, exchange: Exchange, answer: Answer, text: str) -> Reversed:
    by = answer.exchange.msgid
    await party.records.undone(exchange.msgid, by)
    return Reversed("OK", replace(exchange, state="REVERSED", reversed_by=by), text, answer)


async def _earlier(party: Party, exchange: Exchange, answer: Answer) -> None:
    """Reversals of it that nobody knew the end of are over."""
    links = {"omsgid": exchange.msgid}
    for one in await party.records.search(party.system, links=links, infno="2601", state="UNKNOWN"):
        await party.records.end(one, "OK", "0", f"settled by {answer.exchange.msgid}", b"", {})


async def _batch(party: Party, exchange: Exchange, facts: Mapping[str, str]) -> frozenset[str]:
    """The lines of the batch that a 2205 names, as their uploads had them."""
    batch = facts.get("chrg_bchno", "")
    if exchange.infno != "2205" or batch in ("", "0000") or "mdtrt_id" not in facts:
        return frozenset()
    links = {"chrg_bchno": batch, "mdtrt_id": facts["mdtrt_id"]}
    found: set[str] = set()
    for head in await party.records.search(party.system, links=links, infno="2204"):
        one = await party.records.find(head.msgid)
        if one is not None and one.at_ms <= exchange.at_ms and one.state in ("OK", "UNKNOWN", "REVERSED"):
            rows = [row for row in objects(sent_of(one).input) if str(row.get("chrg_bchno") or "") == batch]
            found |= {str(row["feedetl_sn"]) for row in rows if row.get("feedetl_sn")}
    return frozenset(found)


async def _begun(party: Party, exchange: Exchange) -> dict[str, str]:
    """When the visit began, as its registration said."""
    mdtrt_id = exchange.links.get("mdtrt_id")
    for infno in ("2201", "2401") if mdtrt_id else ():
        for head in await party.records.search(party.system, links={"mdtrt_id": mdtrt_id or ""}, infno=infno):
            one = await party.records.find(head.msgid)
            if one is not None and (at := flat(sent_of(one).input).get("begntime")):
                return {"begntime": at}
    return {}


def _not_before_ms(party: Party, exchange: Exchange) -> int:
    """From when on it counts that something is not there: what was under way has come in, and queries show it.

    A row may have ended before its request did: by a process that took over while the first was waiting still.
    """
    options = party.options
    came_in_ms = exchange.at_ms + int((options.connect_within + options.timeout) * 1000)
    return max(exchange.ended_ms, came_in_ms) + int(options.query_lag * 1000)


def _output_of(exchange: Exchange) -> Any:
    try:
        tree = _JSON.decode(exchange.answer, "gb18030") if exchange.answer else None
    except BadMessage:
        return None
    return tree.get("output") if isinstance(tree, dict) else None


def _as_answer(found: Finding) -> bytes:
    """What the centre would have answered, as its queries tell it; `warn_msg` says where it is from."""
    return _JSON.encode(
        {
            "infcode": "0",
            "inf_refmsgid": "",
            "err_msg": "",
            "warn_msg": f"read later 查询补录: {found.text}",
            "output": found.output,
        }
    )
