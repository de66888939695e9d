"""What a message asks of a centre: which transaction, and its data, held against the tables before anything leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from config.errors import BadMessage, Refused
from endpoints.insurance.mobile.options import OPERATIONS, MobileOptions, named
from schemas.json import Json
from schemas.message import Message
from schemas.nhsa.check import checker
from schemas.nhsa.model import Transaction

_JSON = Json()
_TOLD = 10  # faults that the text names
_ORG = ("orgCodg", "fixmedinsCode")
# What an exchange is found by, in the words of the institution's interface where that has one.
_LINKS: Mapping[str, str] = {
    "payOrdId": "payOrdId",
    "orgBizSer": "orgBizSer",
    "appRefdSn": "appRefdSn",
    "medOrgOrd": "medOrgOrd",
    "hiRxno": "hi_rxno",
    "rxTraceCode": "rx_trace_code",
    "mdtrtId": "mdtrt_id",
    "chrgBchno": "chrg_bchno",
    "psnNo": "psn_no",
    "idNo": "certno",
    "certno": "certno",
}


class Asked(NamedTuple):
    """One call. `data` is what the envelope seals."""

    transaction: Transaction
    data: Any
    opter: str = ""


def asked_of(message: Message, options: MobileOptions) -> Asked:
    """Raises Refused (JL-N310 not such a message, JL-N311 the tables do not allow it): nothing has left."""
    tree, said = _tree(message.body), options.transaction
    name = said or message.headers.get("param.code", "") or str(tree.get("infno") or "")
    if not name:
        text = "no transaction is named: by the channel, the path's {code} or the message's infno 未指明交易"
        raise _refused("JL-N310", text)
    try:
        transaction = named(name, options.centre)
    except ValueError as error:
        raise _refused("JL-N310", str(error)) from None
    wrapped = "input" in tree
    if wrapped and not isinstance(tree["input"], dict):
        raise _refused("JL-N310", "input: must be an object 应为对象")
    given = tree["input"] if wrapped else {key: value for key, value in tree.items() if key != "infno"}
    return checked(transaction, given, options, str(tree.get("opter") or ""))


def checked(transaction: Transaction, given: Any, options: MobileOptions, opter: str = "") -> Asked:
    """With our own number put in, and held against the tables. Raises Refused (JL-N311)."""
    held = checker(transaction, options.of)
    given = _completed(_shaped(given, transaction), transaction, options.org_code)
    if faults := held.request(given):
        told = "; ".join(str(fault) for fault in faults[:_TOLD])
        more = f"; {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        raise _refused("JL-N311", f"{transaction.name} {transaction.name_zh}: {told}{more}")
    made = held.normalized(given)
    return Asked(transaction, made["data"] if nested(transaction) else made, opter)


def operation_of(message: Message, options: MobileOptions) -> str:
    """`probe`, `reverse`; '' where it is a call."""
    name = options.transaction or message.headers.get("param.code", "")
    return name if name in OPERATIONS else ""


def named_of(message: Message, what: str) -> Mapping[str, Any]:
    """`{msgid}` or `{key}`, and what else is to be said to the centre, in `data`. Raises Refused (JL-N310)."""
    tree = _tree(message.body)
    if not any(isinstance(tree.get(name), str) and tree[name] for name in ("msgid", "key")):
        raise _refused("JL-N310", f"a {what} names the msgid, or the key, of what is meant")
    return tree


def nested(transaction: Transaction) -> bool:
    """Whether its tables have all within a node `data`, as those of the payment centre."""
    return any(node.name == "data" for node in transaction.input or transaction.output)


def output_of(transaction: Transaction, data: Any) -> Any:
    """The answer's data as the tables have it."""
    return {"data": data} if data is not None and nested(transaction) else data


def links_of(*trees: Any) -> dict[str, str]:
    """What an exchange is found by, of the first of these objects that says it."""
    made: dict[str, str] = {}
    for tree in trees:
        for field, name in _LINKS.items() if isinstance(tree, dict) else ():
            value = tree.get(field)
            if isinstance(value, str | int) and str(value):
                made.setdefault(name, str(value))
    return made


def _shaped(given: Any, transaction: Transaction) -> Any:
    """People write the data with and without a node around it."""
    if nested(transaction) and "data" not in given:
        return {"data": given}
    if not nested(transaction) and set(given) == {"data"} and isinstance(given["data"], dict):
        return given["data"]
    return given


def _completed(given: Any, transaction: Transaction, org_code: str) -> Any:
    """With our own number, where the table has a place for it that the message leaves empty."""
    root = "data" if nested(transaction) else ""
    fields = {field.name for node in transaction.input if node.name == root for field in node.fields}
    inner = given["data"] if root else given
    if not org_code or not isinstance(inner, dict):
        return given
    made = {**{name: org_code for name in _ORG if name in fields and not inner.get(name)}}
    return {"data": {**inner, **made}} if root else {**inner, **made}


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree = _JSON.decode(body)
    except BadMessage as error:
        raise _refused("JL-N310", f"the message is not JSON: {error.text}") from None
    if not isinstance(tree, dict):
        raise _refused("JL-N310", "the message is no JSON object")
    return tree


def _refused(code: str, text: str) -> Refused:
    return Refused(code, text, retry=False)
