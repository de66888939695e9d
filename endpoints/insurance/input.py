"""A transaction's input on its way out, and its output on its way in: held against the tables, in the province's form.

Everything that can be refused is refused here, before a msgid is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from msgspec import Struct

from config.errors import Refused
from endpoints.insurance import envelope
from endpoints.insurance.facts import holds, links
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.outcomes import Judged
from endpoints.insurance.signing_in import Who
from schemas.nhsa.check import Checker, checker
from schemas.nhsa.model import Transaction
from schemas.nhsa.money import problems
from schemas.nhsa.profile import Profile
from schemas.validation.base import Fault

_TOLD = 5  # faults that a refusal names


class Input(Struct, frozen=True):
    """Checked, and as the wire wants it. `fields` are the envelope's but msgid, sign_no and input."""

    transaction: Transaction
    input: Any
    wire: Any
    fields: Mapping[str, str]
    who: Who
    links: Mapping[str, str]


class Inputs:
    """Of one party."""

    def __init__(self, options: PartyOptions, profile: Profile) -> None:
        self._options = options
        self.profile = profile
        self._fixed = {
            "mdtrtarea_admvs": options.mdtrtarea_admvs,
            "insuplc_admdvs": "",
            "recer_sys_code": options.recer_sys_code,
            "dev_no": options.dev_no,
            "dev_safe_info": "",
            "cainfo": "",
            "signtype": options.signtype,
            "infver": options.infver,
            "opter_type": options.opter_type,
            "opter": options.opter,
            "opter_name": options.opter_name,
        }

    def made(self, transaction: Transaction, input: Any, fields: Mapping[str, str]) -> Input:
        """Raises Refused: JL-N003 with all faults of the input, JL-N004, JL-N005."""
        if not isinstance(input, Mapping | list):
            raise Refused("JL-N003", "input: must be an object 应为对象")
        check = self._checker(transaction)
        if self._options.check == "refuse" and (faults := check.request(input)):
            more = f" (+{len(faults) - _TOLD})" if len(faults) > _TOLD else ""
            told = "; ".join(str(fault) for fault in faults[:_TOLD])
            raise InvalidInput(f"{transaction.name}: {told}{more}", faults)
        head = {"infno": transaction.code, **self._fixed, **self._options.more, **fields}
        if not head["insuplc_admdvs"] and holds(input, "psn_no"):
            if self._options.insured_place == "required":
                text = (
                    "insuplc_admdvs 参保地医保区划: is required where a patient is meant (1101 insuinfo) 必填"
                )
                raise Refused("JL-N005", text)
            head["insuplc_admdvs"] = head["mdtrtarea_admvs"]
        wire = _amounts(check.normalized(input), _numbers(transaction, self.profile), self._options.amounts)
        who = (head["opter"], head["dev_no"])
        return Input(transaction, input, wire, head, who, links(input))

    def written(self, made: Input, sign_no: str, at_ms: int) -> tuple[bytes, bytes]:
        """What stands before its msgid, and after it. Raises Refused (JL-N001)."""
        options = self._options
        fields = {
            **made.fields,
            "inf_time": f"{envelope.china_time(at_ms):%Y-%m-%d %H:%M:%S}",
            "fixmedins_code": options.fixmedins_code,
            "fixmedins_name": options.fixmedins_name,
            "sign_no": sign_no,
        }
        return envelope.written(fields, made.wire, options.charset)

    def heard(self, made: Input, judged: Judged) -> tuple[Any, list[Fault]]:
        """The output in the national names, and what is odd about one that is to be relied on."""
        if judged.said is None or judged.said.output is None:
            output = None
        else:
            output = self._checker(made.transaction).canonical(judged.said.output)
        if judged.outcome != "OK" or judged.file:
            return output, []
        faults = self._checker(made.transaction).response(output)
        return output, faults + problems(made.transaction.name, made.input, output, self.profile.money)

    def _checker(self, transaction: Transaction) -> Checker:
        return checker(transaction, self.profile)


class InvalidInput(Refused):
    """JL-N003. `faults` are all that the tables do not allow."""

    def __init__(self, text: str, faults: list[Fault]) -> None:
        super().__init__("JL-N003", text)
        self.faults = tuple((fault.path, fault.text, fault.code) for fault in faults)


@cache
def _numbers(transaction: Transaction, of: Profile) -> frozenset[str]:
    """The fields of its input that are numbers, as they go over the wire."""
    named = [field.name for node in transaction.input for field in node.fields if field.type == "number"]
    return frozenset((*named, *(of.field_name(transaction.name, "in", name) for name in named)))


def _amounts(tree: Any, numbers: frozenset[str], how: str, depth: int = 20) -> Any:
    """Numbers as JSON numbers or as text, as the province's centre reads them. Digits stay as they were given."""
    if isinstance(tree, list):
        return [_amounts(item, numbers, how, depth) for item in tree]
    if not isinstance(tree, dict) or not depth:
        return tree
    made: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict | list):
            made[name] = _amounts(value, numbers, how, depth - 1)
        elif name in numbers and not isinstance(value, bool):
            made[name] = _number(value) if how == "number" else str(value)
        else:
            made[name] = value
    return made


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return value
    return number if number.is_finite() else value
