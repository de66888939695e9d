"""The transactions of a centre (医保) as a door shows them: each with its schema, its scope, and as XML for old HIS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from endpoints.insurance import legacy_xml
from endpoints.operations import Operation, Outlined
from schemas.nhsa import catalogue
from schemas.nhsa.check import checker
from schemas.nhsa.json_schema import json_schema
from schemas.nhsa.model import Transaction
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import profile
from schemas.nhsa.sample import sample
from schemas.validation.base import TYPE, Fault

# What a caller may say of the envelope (guide: 报文格式), beside the transaction's own input.
ENVELOPE = {
    "insuplc_admdvs": "参保地医保区划: where the patient is insured, of 1101",
    "opter": "经办人",
    "opter_name": "经办人姓名",
    "opter_type": "经办人类别: 1 operator, 2 self-service terminal, 3 mobile",
    "dev_no": "设备编号",
    "dev_safe_info": "设备安全信息",
    "cainfo": "数字签名信息",
    "mdtrtarea_admvs": "就医地医保区划",
    "sign_no": "交易签到流水号",
}
OUTCOMES = ("OK", "REJECTED", "PROCESSING", "UNKNOWN")


class Door:
    """One transaction in one province."""

    def __init__(self, transaction: Transaction, of: Profile) -> None:
        self.transaction = transaction
        self._of = of

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
        """The input as it is, or in an object with what of the envelope is to be said."""
        input = json_schema(self.transaction, self._of)
        said = {name: {"type": "string", "description": text} for name, text in ENVELOPE.items()}
        whole = {"type": "object", "required": ["input"], "properties": {"input": input, **said}}
        return {"title": input["title"], "anyOf": [whole, input]}

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
        check = checker(self.transaction, self._of).request
        if isinstance(tree.get("input"), dict):
            return [Fault(f"/input{path}", text, code) for path, text, code in check(tree["input"])]
        return check({name: value for name, value in tree.items() if name not in _BESIDE})

    @cached_property
    def _shape(self) -> legacy_xml.Shape:
        return legacy_xml.Shape(self._of.applied(self.transaction).input)

    def of_xml(self, document: bytes) -> bytes:
        return legacy_xml.request(document, self.name, self._shape, ENVELOPE)

    def in_xml(self, answer: bytes) -> Outlined:
        return legacy_xml.outlined(answer)


_BESIDE = frozenset((*ENVELOPE, "infno"))


@cache
def doors(province: str) -> Mapping[str, Operation]:
    """Those that an institution calls, in the order of the published list."""
    of = profile(province)
    known = [catalogue.transaction(name) for name in catalogue.names()]
    return {one.name: Door(one, of) for one in known if one.centre == "institution" and not one.inbound}
