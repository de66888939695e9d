"""A province's ways as one value, and what it makes of our names, our codes and our transactions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from schemas.nhsa import catalogue
from schemas.nhsa.amounts import MoneyRules
from schemas.nhsa.catalogue import code_list
from schemas.nhsa.model import CodeList, Field, Node, Sure, Transaction
from schemas.nhsa.profile_text import RuleText
from schemas.nhsa.statement import Form

_TEXT = 500  # characters of a centre's words that are looked at

Side = Literal["in", "out"]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What is asked of a province. Names are ours: theirs."""

    name: str
    title: str = ""
    sure: Sure = "partial"
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    money: MoneyRules = field(default_factory=MoneyRules)
    form: Form = field(default_factory=Form)  # of 3201 and 3202
    discharge: Literal["before", "after"] = "before"  # 2402 before or after 2304
    upper_signature: bool = False
    unknown_fields: Literal["allow", "refuse"] = "allow"
    instead: Mapping[str, str] = field(default_factory=dict)  # a transaction: the one that is wanted for it
    oinfno: Mapping[str, str] = field(default_factory=dict)
    sign_in_over: tuple[re.Pattern[str], ...] = ()
    not_found: tuple[re.Pattern[str], ...] = ()
    nodes: Mapping[tuple[Side, str, str], str] = field(default_factory=dict)  # (side, transaction or *, name)
    fields: Mapping[tuple[Side, str, str], str] = field(default_factory=dict)
    rules: Mapping[str, Mapping[str, RuleText]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # besides the national ones
    own: Mapping[str, Transaction] = field(default_factory=dict)  # besides the national ones
    closed: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()

    def transaction(self, name: str) -> Transaction:
        """A national one, or the province's own. Raises UnknownTransaction."""
        return self.own.get(name) or catalogue.transaction(name)

    def transactions(self) -> tuple[Transaction, ...]:
        others = [one for one in catalogue.transactions() if one.name not in self.own]
        return (*others, *self.own.values())

    def node_name(self, transaction: str, side: Side, name: str) -> str:
        """What this province calls a node; dotted, as ours."""
        return _named(self.nodes, transaction, side, name)

    def field_name(self, transaction: str, side: Side, name: str) -> str:
        return _named(self.fields, transaction, side, name)

    def reverse(self, of: Transaction) -> str:
        """The `oinfno` by which 2601 reverses it; '' where it may not."""
        return self.oinfno.get(of.name, of.undoing.reverse)

    def sign_in_is_over(self, text: str) -> bool:
        """Whether a centre's err_msg wants a new 9001."""
        return any(one.search(text[:_TEXT]) for one in self.sign_in_over)

    def nothing_found(self, text: str) -> bool:
        """Whether a centre's err_msg says that it has no such record: of 2601, that nothing was booked."""
        return any(one.search(text[:_TEXT]) for one in self.not_found)

    def code_list(self, name: str) -> CodeList:
        """With the province's own codes among its values. Raises UnknownList."""
        known = code_list(name)
        everywhere = {code: word for code, word, where in known.local if where == "local" and " " not in code}
        values = {**known.values, **(everywhere if known.closed else {}), **self.codes.get(name, {})}
        closed = (known.closed or name in self.closed) and name not in self.opened
        return replace(known, values=values, closed=closed and bool(values))

    def allowed(self, codes: str) -> tuple[str, ...]:
        """The codes that a field of this list must be one of; () where that is not enforced."""
        known = self.code_list(codes) if codes else None
        return tuple(known.values) if known is not None and known.closed else ()

    def applied(self, to: Transaction) -> Transaction:
        """As this province has it, still in our names."""
        rules = self.rules.get(to.name)
        return replace(to, input=tuple(_ruled(to.input, rules))) if rules else to


def _named(names: Mapping[tuple[Side, str, str], str], of: str, side: Side, name: str) -> str:
    return names.get((side, of, name)) or names.get((side, "*", name), name)


def _ruled(nodes: tuple[Node, ...], rules: Mapping[str, RuleText]) -> Iterator[Node]:
    for node in nodes:
        mine = {
            place.rpartition(".")[2]: rule
            for place, rule in rules.items()
            if place.rpartition(".")[0] == node.name
        }
        known = [_field(one, mine[one.name]) if one.name in mine else one for one in node.fields]
        added = [
            _field(Field(name, ""), mine[name])
            for name in mine
            if name not in {one.name for one in node.fields}
        ]
        yield replace(node, fields=(*known, *added))


def _field(one: Field, rule: RuleText) -> Field:
    """Where the province says that it is required, it is no longer something of other provinces."""
    said: dict[str, Any] = rule.model_dump(exclude_none=True)
    return replace(one, **said, status="" if rule.required else one.status)
