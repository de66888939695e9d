"""Whether a transaction's input may leave, and whether its output can be worked with: fast, in the field's words.

`checker(transaction("2207"), profile("national"))` is compiled once. `request` gives every fault of an input tree;
`normalized` what then goes over the wire (a province's names, empty values as 0 and ""); `canonical` puts our names
into what came back; `response` is lenient: a centre's answer is booked already, so only what is needed is missed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from schemas.nhsa.model import Field, Node, Transaction
from schemas.nhsa.overlay import Profile, Side
from schemas.nhsa.profile import national
from schemas.nhsa.rules import MAX_DIGITS, Rule, rule_of
from schemas.validation.base import MANY, MAX_FAULTS, MISSING, TYPE, UNKNOWN, Fault
from schemas.validation.words import pointer

_ALIKE = 0.87  # of two names, one letter of eight being another
NOTHING_IN_IT: tuple[Any, ...] = (None, "", {}, [])  # a node that stands there for nothing
_LOOKED_AT = 20  # unknown names of an object
# The extension field, which provinces spell in two ways and put into any node.
_ANYWHERE = frozenset(("expContent", "exp_content"))
# What later transactions and the day's statement cannot do without, besides amounts.
_NEEDED = {
    *("psn_no", "mdtrt_id", "setl_id", "feedetl_sn", "sign_no", "file_qury_no", "stmt_rslt"),
    *("payOrdId", "payToken", "ordStas", "refStatus", "hi_rxno", "hiRxno"),
}


class _Spelled:
    """A field as it may be spelled in a tree, and what its value may be."""

    __slots__ = ("empty", "field", "rule", "spellings", "told", "wire")

    def __init__(self, field: Field, wire: str, rule: Rule) -> None:
        self.field = field
        self.wire = wire
        self.rule = rule
        self.spellings = tuple(dict.fromkeys((field.name, wire, *field.aliases)))
        self.told = f"{wire} {field.name_zh}".rstrip()
        self.empty: Any = 0 if field.type == "number" else ""


class _Shape:
    """A node: its fields and the nodes in it, by every spelling."""

    def __init__(self, node: Node, wire: str) -> None:
        self.name = node.name.rpartition(".")[2]
        self.wire = wire
        self.spellings = tuple(dict.fromkeys((self.name, wire)))
        self.told = wire
        self.many = node.many
        self.required = node.required
        self.fields: dict[str, _Spelled] = {}
        self.shapes: dict[str, _Shape] = {}
        self.rules: dict[str, Rule] = {}
        self.demanded: list[_Spelled] = []
        self.needed: list[_Spelled] = []  # of them, in what a centre says
        self.ambiguous: list[_Spelled] = []
        self.open = False
        self._meant: dict[str, _Spelled | _Shape | None] = {}

    def add(self, spelled: _Spelled) -> None:
        for spelling in spelled.spellings:
            self.fields.setdefault(spelling, spelled)
            self.rules.setdefault(spelling, spelled.rule)
        if spelled.field.required and not spelled.field.status:
            self.demanded.append(spelled)
            if _needed(spelled.field):
                self.needed.append(spelled)
        if len(spelled.spellings) > 1:
            self.ambiguous.append(spelled)

    def put(self, shape: _Shape) -> None:
        """A field of type node says no more than that there is one: its own table says what is in it."""
        for spelling in shape.spellings:
            self.shapes.setdefault(spelling, shape)
            self.rules.pop(spelling, None)
            field = self.fields.pop(spelling, None)
            if field in self.demanded:
                self.demanded.remove(field)
                shape.required = True

    def known(self, name: str) -> bool:
        return name in self.fields or name in self.shapes or name in _ANYWHERE

    def meant(self, name: str) -> _Spelled | _Shape | None:
        """The field or node that a name which is none was perhaps meant to be."""
        if name not in self._meant:
            if len(self._meant) > 1000:
                self._meant.clear()
            known: dict[str, _Spelled | _Shape] = {**self.fields, **self.shapes}
            near = difflib.get_close_matches(name.lower()[:100], known, 1, _ALIKE)
            digits = near and name.rstrip("0123456789") == near[0].rstrip("0123456789")
            self._meant[name] = known[near[0]] if near and not digits else None
        return self._meant[name]


class Checker:
    """Of one transaction in one province."""

    def __init__(self, transaction: Transaction, profile: Profile) -> None:
        self.transaction = profile.applied(transaction)
        self.profile = profile
        self._in = _compiled(self.transaction, profile, "in", self.transaction.input)
        self._out = _compiled(self.transaction, profile, "out", self.transaction.output)

    def request(self, tree: Any) -> list[Fault]:
        """Of an `input`, in our names or the province's. Every fault, at most MAX_FAULTS; none lets it leave."""
        faults: list[Fault] = []
        self._check(self._in, tree, (), faults)
        return faults[:MAX_FAULTS]

    def response(self, tree: Any) -> list[Fault]:
        """Of an `output`: what is needed and is not there, and amounts that are no numbers. They are warnings."""
        faults: list[Fault] = []
        _look(self._out, {} if tree is None else tree, (), faults)
        return faults[:MAX_FAULTS]

    def notice(self, tree: Any) -> list[Fault]:
        """As `response`, of the `input` of a transaction that the centre calls."""
        faults: list[Fault] = []
        _look(self._in, {} if tree is None else tree, (), faults)
        return faults[:MAX_FAULTS]

    def normalized(self, tree: Any, side: Side = "in") -> Any:
        """A new tree as the wire wants it. What the tables do not know is passed as it is."""
        return _written(self._in if side == "in" else self._out, tree)

    def canonical(self, tree: Any, side: Side = "out") -> Any:
        """A new tree in our names, whatever the province calls them; values stay as they are."""
        return _renamed(self._in if side == "in" else self._out, tree)

    def _check(self, shape: _Shape, value: Any, at: tuple[str | int, ...], faults: list[Fault]) -> None:
        if shape.many:
            if not isinstance(value, list):
                faults.append(Fault(pointer(at), f"{_titled(at)}: must be a list 应为列表", TYPE))
                return
            for n, item in enumerate(value):
                if len(faults) >= MAX_FAULTS:
                    return
                self._object(shape, item, (*at, n), faults)
        else:
            self._object(shape, value, at, faults)

    def _object(self, shape: _Shape, value: Any, at: tuple[str | int, ...], faults: list[Fault]) -> None:
        if not isinstance(value, dict):
            faults.append(Fault(pointer(at), f"{_titled(at)}: must be an object 应为对象", TYPE))
            return
        rules, strange = shape.rules, []
        for name, one in value.items():
            rule = rules.get(name)
            if rule is None:
                strange.append(name)
            elif one is not None and one != "":
                problem = rule(one)
                if problem is not None:
                    text, code = problem
                    faults.append(Fault(pointer((*at, name)), f"{_named(shape, name)}: {text}", code))
        for spelled in shape.demanded:
            if value.get(spelled.field.name) in (None, "") and not _present(value, spelled):
                path = pointer((*at, spelled.wire))
                faults.append(Fault(path, f"{spelled.told}: is required 必填", MISSING))
        for spelled in shape.ambiguous:
            given = [name for name in spelled.spellings if name in value]
            if len(given) > 1:
                faults.append(
                    Fault(pointer((*at, given[1])), f"{spelled.told}: stands twice 重复 ({given[0]})", MANY)
                )
        if shape.shapes or strange:
            self._below(shape, value, strange, at, faults)

    def _below(
        self,
        shape: _Shape,
        value: dict[str, Any],
        strange: list[str],
        at: tuple[str | int, ...],
        faults: list[Fault],
    ) -> None:
        for under in dict.fromkeys(shape.shapes.values()):
            # An empty object that must be one is looked into, so that its fields are named.
            looks = under.required and not under.many
            given = [
                name
                for name in under.spellings
                if value.get(name) not in NOTHING_IN_IT or (looks and value.get(name) == {})
            ]
            if not given and under.required:
                path = pointer((*at, under.wire))
                faults.append(Fault(path, f"{under.wire}: is required 必填", MISSING))
            for name in given:
                self._check(under, value[name], (*at, name), faults)
            if len(given) > 1:
                faults.append(Fault(pointer((*at, given[1])), f"{under.name}: stands twice 重复", MANY))
        if not shape.open:
            faults += _strangers(shape, value, strange, at, self.profile.unknown_fields == "refuse")


@lru_cache(maxsize=1024)
def checker(transaction: Transaction, of: Profile | None = None) -> Checker:
    return Checker(transaction, of or national())


def _compiled(transaction: Transaction, profile: Profile, side: Side, nodes: tuple[Node, ...]) -> _Shape:
    """Nodes stand after those that they are in, so that each finds its parent."""
    root = _Shape(next((node for node in nodes if not node.name), Node("", False, ())), "")
    shapes = {"": root}
    for node in nodes:
        shape = root
        if node.name:
            parent = node.name.rpartition(".")[0]
            shape = _Shape(node, profile.node_name(transaction.name, side, node.name).rpartition(".")[2])
        for field in node.fields:
            wire = profile.field_name(transaction.name, side, field.name)
            rule = rule_of(field, profile.allowed(field.codes))
            shape.add(_Spelled(field, wire, rule))
        if node.name:
            shapes[node.name] = shape
            shapes[parent].put(shape)
    for shape in shapes.values():
        shape.open = transaction.open
    return root


def _needed(field: Field) -> bool:
    """Tables differ on what is required: a warning of every field that one of them wants would be noise."""
    return field.name in _NEEDED or (field.type == "number" and field.decimals == 2 and not field.guessed)


def _present(value: Mapping[str, Any], spelled: _Spelled) -> bool:
    return any(value.get(name) not in (None, "") for name in spelled.spellings)


def _strangers(
    shape: _Shape, value: Mapping[str, Any], names: list[str], at: tuple[str | int, ...], refuse: bool
) -> Iterator[Fault]:
    """Provinces add fields, so a strange one passes, unless it looks like one that is missing here."""
    for name in [name for name in names if not shape.known(name)][:_LOOKED_AT]:
        meant = shape.meant(name)
        if meant is not None and not any(spelling in value for spelling in meant.spellings):
            text = f"{name[:60]}: no such field 无此字段; did you mean {meant.told}?"
            yield Fault(pointer((*at, name)), text, UNKNOWN)
        elif refuse:
            yield Fault(pointer((*at, name)), f"{name[:60]}: no such field 无此字段", UNKNOWN)


def _look(shape: _Shape, value: Any, at: tuple[str | int, ...], faults: list[Fault]) -> None:
    for n, item in enumerate(value if isinstance(value, list) else [value]):
        where = (*at, n) if isinstance(value, list) else at
        if not isinstance(item, dict):
            if shape.required or item is not None:
                faults.append(Fault(pointer(where), f"{_titled(where)}: must be an object 应为对象", TYPE))
            continue
        for spelled in shape.needed:
            given = next((item[name] for name in spelled.spellings if item.get(name) not in (None, "")), None)
            problem = ("is missing 缺失", MISSING) if given is None else spelled.rule(given)
            if problem is not None and problem[1] in (MISSING, TYPE):
                path = pointer((*where, spelled.wire))
                faults.append(Fault(path, f"{spelled.told}: {problem[0]}", problem[1]))
        for under in dict.fromkeys(shape.shapes.values()):
            below = item.get(under.wire) or item.get(under.name)
            if below:
                _look(under, below, (*where, under.wire), faults)
            elif under.required:
                path = pointer((*where, under.wire))
                faults.append(Fault(path, f"{under.wire}: is missing 缺失", MISSING))
        if len(faults) >= MAX_FAULTS:
            return


def _written(shape: _Shape, value: Any) -> Any:
    if isinstance(value, list):
        return [_written(shape, item) for item in value]
    if not isinstance(value, dict):
        return value
    fields, made = shape.fields, {}
    for name, one in value.items():
        spelled = fields.get(name)
        if spelled is None:
            under = shape.shapes.get(name)
            made[name if under is None else under.wire] = _passed(under, one)
        elif one is None or one == "":
            made[spelled.wire] = spelled.empty
        elif type(one) is int and spelled.field.type == "text":
            made[spelled.wire] = str(one)
        elif type(one) is Decimal and "E" in str(one):
            made[spelled.wire] = _plain(one)
        else:
            made[spelled.wire] = one
    return made


def _plain(value: Decimal) -> Decimal:
    """1E+3 as 1000: a parser on the other side may not know the one with a letter."""
    return Decimal(f"{value:f}") if abs(value.adjusted()) < MAX_DIGITS else value


def _passed(under: _Shape | None, value: Any) -> Any:
    if under is not None and isinstance(value, dict | list):
        return _written(under, value)
    return "" if value is None else value


def _renamed(shape: _Shape, value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(shape, item) for item in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for name, one in value.items():
        spelled, under = shape.fields.get(name), shape.shapes.get(name)
        if spelled is not None:
            if one not in (None, "") or spelled.field.name not in made:  # where it stands in two spellings
                made[spelled.field.name] = one
        elif under is not None:
            made[under.name] = _renamed(under, one)
        else:
            made[name] = one
    return made


def _named(shape: _Shape, name: str) -> str:
    return f"{name} {shape.fields[name].field.name_zh}".rstrip()


def _titled(at: tuple[str | int, ...]) -> str:
    return next((str(step) for step in reversed(at) if isinstance(step, str)), "input")
