"""The transactions of a centre (医保) as a door shows them: each with its schema, its scope, and as XML for old HIS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from endpoints.insurance import legacy_xml
from endpoints.insurance.envelope import CALLERS, PASSED_OVER
from endpoints.insurance.facts import holds
from endpoints.insurance.operations.base import operations
from endpoints.operations import Operation, Outlined
from schemas.nhsa.check import checker
from schemas.nhsa.json_schema import json_schema
from schemas.nhsa.model import Transaction
from schemas.nhsa.overlay import Profile
from schemas.nhsa.sample import sample
from schemas.validation.base import MISSING, TYPE, Fault

# What a caller may say of the envelope (报文头), beside the transaction's own input.
_SAYS = {
    "mdtrtarea_admvs": "就医地医保区划",
    "insuplc_admdvs": "参保地医保区划: where the patient is insured, of 1101",
    "recer_sys_code": "接收方系统代码",
    "dev_no": "设备编号",
    "dev_safe_info": "设备安全信息",
    "cainfo": "数字签名信息",
    "signtype": "签名类型",
    "infver": "接口版本号",
    "opter_type": "经办人类别: 1 operator, 2 self-service terminal, 3 mobile",
    "opter": "经办人",
    "opter_name": "经办人姓名",
}
_PLACE = "/insuplc_admdvs"
OUTCOMES = ("OK", "REJECTED", "PROCESSING", "UNKNOWN")


class Told(NamedTuple):
    """What of the party's options decides what may be asked."""

    of: Profile
    checked: bool  # inputs are held against the tables
    place: bool  # insuplc_admdvs is to be said where a patient is meant
    more: tuple[str, ...]  # further fields of the envelope


class Door:
    """One transaction at one party."""

    def __init__(self, transaction: Transaction, told: Told) -> None:
        self.transaction = transaction
        self._told = told
        self._of = told.of

    @property
    def name(self) -> str:
        return self.transaction.name

    @property
    def title(self) -> str:
        return f"{self.transaction.name_zh} {self.transaction.name_en}".strip()

    @property
    def writes(self) -> bool:
        return self.transaction.writes

    @property
    def groups(self) -> Sequence[str]:
        return (self.transaction.nature,)

    def request(self) -> Mapping[str, Any]:
        """The input in an object with what of the envelope is to be said; where that is nothing, also as it is."""
        input = json_schema(self.transaction, self._of)
        said: dict[str, Any] = {
            name: {"type": "string", "maxLength": length, "description": _SAYS[name]}
            for name, length in CALLERS.items()
        }
        of_patient = self._told.place and any(
            field.name == "psn_no" and field.required
            for node in self.transaction.input
            for field in node.fields
        )
        said |= {key: {} for key in (*self._told.more, *sorted(PASSED_OVER))}
        whole: dict[str, Any] = {
            "type": "object",
            "properties": {"input": input, **said},
            "additionalProperties": False,
        }
        if of_patient:
            said["insuplc_admdvs"]["minLength"] = 1
            return {"title": input["title"], **whole, "required": ["input", "insuplc_admdvs"]}
        return {"title": input["title"], "anyOf": [{**whole, "required": ["input"]}, input]}

    def answer(self) -> Mapping[str, Any]:
        output = json_schema(self.transaction, self._of, "out")
        text = {"type": "string"}
        return {
            "title": f"{self.name} {self.transaction.name_zh} answer 应答",
            "type": "object",
            "required": ["outcome", "infno", "msgid"],
            "properties": {
                "outcome": {
                    "enum": list(OUTCOMES),
                    "description": "OK done; REJECTED nothing is booked; PROCESSING not done yet; UNKNOWN nobody can "
                    "say: do not send it again 结果未知，勿重发",
                },
                "infno": text,
                "msgid": {**text, "description": "发送方报文ID: what 2601 and the day's account call it"},
                "infcode": text,
                "inf_refmsgid": text,
                "err_msg": text,
                "warn_msg": text,
                "output": {"anyOf": [output, {"type": ["object", "array", "null"]}]},
                "warnings": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"code": text, "text": text, "path": text}},
                },
            },
        }

    def sample(self) -> Any:
        return {"input": sample(self.transaction, self._of), "insuplc_admdvs": "999900"}

    def faults(self, tree: Any) -> Sequence[Fault]:
        if not isinstance(tree, dict):
            return [Fault("", "must be an object 应为对象", TYPE)]
        enveloped = isinstance(tree.get("input"), dict | list)
        input = tree["input"] if enveloped else {name: tree[name] for name in tree if name != "infno"}
        faults: list[Fault] = []
        if self._told.checked:
            before = "/input" if enveloped else ""
            found = checker(self.transaction, self._of).request(input)
            faults = [Fault(before + path, text, code) for path, text, code in found]
        for name in tree if enveloped else ():
            if name not in CALLERS and name not in PASSED_OVER and name not in ("input", *self._told.more):
                text = f"{name[:60]}: the envelope has no such field 报文头无此字段"
                faults.append(Fault(f"/{name[:60]}", text, "JL-N004"))
        if self._told.place and not (enveloped and tree.get("insuplc_admdvs")) and holds(input, "psn_no"):
            text = "insuplc_admdvs 参保地医保区划: is required where a patient is meant (1101 insuinfo) 必填"
            faults.append(Fault(_PLACE, text, "JL-N005"))
        return faults

    @cached_property
    def _shape(self) -> legacy_xml.Shape:
        return legacy_xml.Shape(self._of.applied(self.transaction).input)

    def of_xml(self, document: bytes) -> bytes:
        return legacy_xml.request(document, self.name, self._shape, {*CALLERS, *self._told.more})

    def in_xml(self, answer: bytes) -> Outlined:
        return legacy_xml.outlined(answer)


# Operations on what was asked before, which belong at a door too.
_EARLIER = {
    "probe": ("查询交易结果 what became of a transaction", "query", False),
    "reverse": ("冲正 undo a transaction", "reverse", True),
}


_NAMED = {
    "msgid": "发送方报文ID, of its answer",
    "key": "the journal's id of the message, or the key under which it was asked",
    "infno": "交易编号, where several were asked under one key",
    "by": "of reverse: 2601 or undo",
}


class Earlier:
    """An operation on an earlier transaction: `{"msgid": "..."}` or `{"key": "..."}`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.title, group, self.writes = _EARLIER[name]
        self.groups = (group,)

    def request(self) -> Mapping[str, Any]:
        said = {
            name: {"type": "string", "minLength": 1, "description": text} for name, text in _NAMED.items()
        }
        return {
            "type": "object",
            "properties": said,
            "anyOf": [{"required": ["msgid"]}, {"required": ["key"]}],
        }

    def answer(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = {"enum": list(OUTCOMES)}
        name = "outcome"
        if self.name == "probe":
            name, found = "verdict", {"enum": ["DONE", "NOT_DONE", "CANNOT_SAY"]}
        return {
            "type": "object",
            "required": [name],
            "properties": {name: found, "msgid": {"type": "string"}},
        }

    def sample(self) -> Any:
        return {"msgid": "H99999900001202401151030000007"}

    def faults(self, tree: Any) -> Sequence[Fault]:
        named = isinstance(tree, dict) and any(isinstance(tree.get(key), str) for key in ("msgid", "key"))
        return [] if named else [Fault("", "msgid or key: is required 必填", MISSING)]

    def of_xml(self, document: bytes) -> bytes:
        return legacy_xml.plain(document, tuple(_NAMED))

    def in_xml(self, answer: bytes) -> Outlined:
        return legacy_xml.outlined(answer)


@lru_cache(maxsize=8)
def doors(told: Told) -> Mapping[str, Operation]:
    """The transactions that an institution calls, in the order of the published list, and what undoes and asks."""
    made: dict[str, Operation] = {
        one.name: Door(one, told)
        for one in told.of.transactions()
        if one.centre == "institution" and not one.inbound
    }
    return made | {name: Earlier(name) for name in _EARLIER if name in operations.known()}
