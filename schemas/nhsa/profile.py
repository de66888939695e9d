"""What a province does otherwise than the national tables say: an overlay, chosen by `province:` of a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from schemas.nhsa.catalogue import Unknown, code_list


@dataclass(frozen=True, slots=True)
class Money:
    """How the parts of a settlement add up."""

    fund_includes_account: bool = False  # fund_pay_sumamt holds acct_pay too
    family_account_inside: bool = True  # acct_mulaid_pay is inside acct_pay
    hospital_part: bool = True  # hosp_part_amt is sent, beside the fund and the person
    tolerance_fen: int = 1  # of each sum


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Names are ours to theirs. Sides are `in` and `out`."""

    name: str
    name_zh: str = ""
    money: Money = field(default_factory=Money)
    discharge: Literal["before", "after"] = "before"  # 2402 before or after 2304
    nodes: Mapping[tuple[str, str, str], str] = field(default_factory=dict)  # (transaction, side, node)
    fields: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (transaction or *, field)
    codes: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # list: code: name, besides the national ones
    unknown_fields: Literal["allow", "refuse"] = "allow"

    def node_name(self, transaction: str, side: str, node: str) -> str:
        return self.nodes.get((transaction, side, node), node)

    def field_name(self, transaction: str, name: str) -> str:
        return self.fields.get((transaction, name)) or self.fields.get(("*", name), name)

    def allowed(self, codes: str) -> tuple[str, ...]:
        """The codes that a field of this list must be one of; () where that is not enforced."""
        known = code_list(codes) if codes else None
        if known is None or not known.closed:
            return ()
        everywhere = [code for code, _, where in known.local if where == "local"]
        return (*known.values, *everywhere, *self.codes.get(codes, ()))


@cache
def profile(name: str) -> Profile:
    """Raises Unknown."""
    if name != "national":
        raise Unknown("province profile", name, "national")
    return Profile("national", "全国")
