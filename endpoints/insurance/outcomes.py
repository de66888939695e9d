"""What an answer, or the want of one, means for a transaction: pure, by what the transaction does.

A transaction that writes and has left is done, refused, or unknown; it is never silently tried again. A query or a
preview that got no answer may be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from endpoints.insurance.envelope import Said, read
from endpoints.insurance.facts import flat
from endpoints.insurance.records import Outcome
from schemas.message import NOTHING
from schemas.nhsa.model import Transaction

# The gateway itself said no, and passed nothing on.
NOT_PASSED_ON = frozenset((401, 403, 404, 405, 413, 414, 415, 429, 431))
# The centre had our msgid twice, which we never send: something on the way repeated it, and the first may be booked.
# A number of lines, prescriptions or visits (流水号) that is there already is of another kind: those it refused.
_TWICE = re.compile(
    r"(报文|msgid|MSGID|交易流水号|请求流水号|发送方流水号).{0,12}(重复|已存在)|^流水号.{0,12}(重复|已存在)|重复.{0,4}(报文|提交)"
)
# Settlements name the message that made them (medins_setl_id).
_NAMED = frozenset(("2102", "2207", "2304"))
# A sign-in that nobody heard of is made anew.
_HARMLESS = frozenset(("9001", "9002"))
# What is made, by the field that later transactions name it by.
_MAKES = {
    **dict.fromkeys(("2102", "2207", "2304"), "setl_id"),
    **dict.fromkeys(("2201", "2401"), "mdtrt_id"),
}
# Begun by the answer, not done: asked for by another transaction.
_BEGINS = frozenset(("3211",))
_UNTIL = {"3212": ("file_qury_no1", "file_qury_no2", "file_qury_no3")}


class Heard(Struct, frozen=True):
    """A whole HTTP answer. Header names are in small letters."""

    status: int
    headers: Mapping[str, str] = NOTHING
    body: bytes = b""


class Silence(Struct, frozen=True):
    """None. `left`: the request, or a part of it, may have gone out."""

    left: bool
    code: str
    text: str


class Judged(Struct, frozen=True):
    """`outcome` is None where it may simply be asked again: nothing left, or it changes nothing."""

    outcome: Outcome | None
    said: Said | None = None
    text: str = ""  # why, where the centre's words do not say it
    code: str = ""
    left: bool = True
    file: bytes = b""  # what came in place of an envelope, where the transaction fetches a file


def judged(transaction: Transaction, heard: Heard | Silence, msgid: str = "", asked: Any = None) -> Judged:
    """`asked` is the input, by which an answer that belongs to another message is known."""
    if isinstance(heard, Silence):
        if not heard.left:
            return Judged(None, text=heard.text, code=heard.code, left=False)
        return _unknown(transaction, heard.text, heard.code)
    if heard.status in NOT_PASSED_ON:
        text = f"the gateway did not pass it on: HTTP {heard.status} 网关拒绝，报文未送达中心"
        return Judged("REJECTED", _own_words(heard), text, "JL-N014")
    if not 200 <= heard.status < 300:
        return _unknown(transaction, f"HTTP {heard.status}", "JL-N013")
    said = read(heard.body, _charset(heard.headers))
    if isinstance(said, str):
        if transaction.nature == "file" and heard.body and _binary(heard):
            return Judged("OK", Said("0"), file=heard.body)
        return _unknown(transaction, f"the answer is none of a centre: {said}", "JL-N013")
    if why := _of_another(transaction, said, msgid, asked):
        return _unknown(transaction, why, "JL-N015")
    if said.infcode != "0":
        if _TWICE.search(said.err_msg):
            # Of what changes nothing it is no answer, and it may be asked again.
            return replace(
                _unknown(transaction, "the centre has this msgid already 报文重复", "JL-N016"), said=said
            )
        return Judged("REJECTED", said)
    if why := _lacking(transaction, said):
        return _unknown(transaction, why, "JL-N025")
    return Judged("PROCESSING" if _under_way(transaction, said) else "OK", said)


def _unknown(transaction: Transaction, text: str, code: str) -> Judged:
    matters = transaction.writes and transaction.code not in _HARMLESS
    return Judged("UNKNOWN" if matters else None, text=text, code=code)


def _lacking(transaction: Transaction, said: Said) -> str:
    """Why a success is no answer: it does not say what was made, and a query can; '' where it does."""
    name = _MAKES.get(transaction.code, "")
    if not name or any(value for key, value in flat(said.output).items() if key.lower() == name):
        return ""
    return f"success, and no {name}: what was made is not told 应答缺少{name}"


def _own_words(heard: Heard) -> Said | None:
    said = read(heard.body, _charset(heard.headers))
    return said if isinstance(said, Said) and said.infcode != "0" else None


def _of_another(transaction: Transaction, said: Said, msgid: str, asked: Any) -> str:
    """Why it is not the answer to this message; '' where it may be."""
    if msgid and said.msgid not in ("", msgid):
        return "the answer names another msgid 应答报文ID不符"
    if said.infno not in ("", transaction.code):
        return "the answer is another transaction's 应答交易不符"
    info = said.output.get("setlinfo") if isinstance(said.output, dict) else None
    if said.infcode != "0" or not isinstance(info, dict):
        return ""
    named = str(info.get("medins_setl_id") or "")
    if transaction.code in _NAMED and len(named) == 30 and msgid and named != msgid:
        return "the settlement is another message's 结算所属报文不符"
    meant = flat(asked)
    for name in ("psn_no", "mdtrt_id"):
        told = str(info.get(name) or "")
        if told and meant.get(name, told) != told:
            return f"the settlement has another {name} 应答{name}不符"
    return ""


def _under_way(transaction: Transaction, said: Said) -> bool:
    if transaction.code in _BEGINS:
        return True
    until = _UNTIL.get(transaction.code)
    return until is not None and not any(name in flat(said.output) for name in until)


def _charset(headers: Mapping[str, str]) -> str:
    match = re.search(r"charset=\"?([\w-]+)", headers.get("content-type", ""), re.IGNORECASE)
    return match[1] if match else ""


def _binary(heard: Heard) -> bool:
    kind = heard.headers.get("content-type", "").lower()
    return heard.body[:2] == b"PK" or "octet-stream" in kind or "zip" in kind
