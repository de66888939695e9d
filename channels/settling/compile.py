"""A settlement's text to the `Definition` that `decide` reads. Mistakes are gathered, never raised."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from channels.settling.accounts import ACCOUNTS, Account
from channels.settling.checking import compile_check
from channels.settling.expressions import Expressions
from channels.settling.model import (
    Check,
    Definition,
    Facts,
    Manual,
    Operation,
    Posting,
    Probing,
    Read,
    Step,
    Trying,
    Until,
)
from channels.settling.shared import is_map
from channels.settling.text import SettlementText, StepText
from config.errors import Problem
from config.models import problems_of
from config.registry import nearest
from config.text import At, Document
from transforms.library import Library
from transforms.mapping import Compiler

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FACT_PATH = re.compile(r"^\$([a-z][a-z0-9_]*(?:[.\[][^\s|]*)?)(?=[\s|]|$)")
_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)(?:\.([a-z][a-z0-9_]*))?\}")
_TAKEN = frozenset(("item", "items", "settle_no"))  # what the engine itself puts among the facts


def compile_settlement(document: Document, library: Library, problems: list[Problem]) -> Definition | None:
    """None where any part is wrong, and the problems say what."""
    try:
        text = SettlementText.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, SettlementText)
        return None
    before = len(problems)
    made = _Compiler(text, library, problems).definition(_digest(document.data))
    wrong = any(problem.severity == "error" for problem in problems[before:])
    return None if wrong else made


def _digest(data: Any) -> str:
    """Of what the file says, not how: 16 hex digits."""
    said = {key: value for key, value in data.items() if key not in ("tests", "title")}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


class _Compiler(Expressions):
    def __init__(self, text: SettlementText, library: Library, problems: list[Problem]) -> None:
        super().__init__(library, problems)
        self.text = text
        self.names: set[str] = set()  # of steps
        self.kept: set[str] = set(_TAKEN)  # of facts, as far as it is read

    def definition(self, digest: str) -> Definition:
        text = self.text
        key = self.value(text.key, ("key",)) or (lambda facts: None)
        lock = {name: self.values(said, ("lock", name)) for name, said in text.lock.items()}
        steps = [step for number, one in enumerate(text.steps) for step in self.step(one, ("steps", number))]
        if sum(step.pivot and step.when is None for step in steps) > 1:
            self.problem(
                ("steps",), "JL-C201", "two pivots without `when`: only one step can be where it turns"
            )
        for number, name in enumerate(text.undo):
            if name not in self.names:
                self.problem(("undo", number), "JL-C220", f"no step is called {name!r}")
        own = {kind: Account(said.type, said.floor) for kind, said in text.accounts.items()}
        named = (text.settlement, text.version, digest, text.title)
        return Definition(*named, key, tuple(steps), lock, own, tuple(text.undo))

    def step(self, one: Mapping[str, StepText], at: At) -> list[Step]:
        """None or one: a step is a mapping of its name to what it does."""
        if len(one) != 1:
            self.problem(at, "JL-C202", "a step is one name and what it does", "- pay: {do: payment.create}")
            return []
        ((name, text),) = one.items()
        here = (*at, name)
        if not _NAME.fullmatch(name) or name in self.names:
            what = "twice" if name in self.names else "no name for a step"
            self.problem(here, "JL-C203", f"{name!r}: {what}", "small letters, digits, _", on_key=True)
        self.names.add(name)
        keep = self.keep(text, here)
        return [
            Step(
                name,
                _operation(text.do),
                self.shape(text.with_, (*here, "with")) if text.with_ is not None else None,
                _operation(text.ask or (text.wait.ask if text.wait else None)),
                _operation(text.undo),
                _operation(text.reverse),
                self.test(text.when, (*here, "when")) if text.when is not None else None,
                self.values(text.each, (*here, "each")) if text.each is not None else None,
                text.in_,
                keep,
                tuple(self.checks(text.check, (*here, "check"))),
                tuple(self.posts(text, here)),
                _until(text),
                _manual(text),
                text.pivot,
                text.forward,
                text.emit,
                _probing(text),
                Trying(text.retry.first, text.retry.factor, text.retry.max, text.retry.times),
            )
        ]

    def keep(self, text: StepText, at: At) -> dict[str, Callable[[Any], Any]]:
        made: dict[str, Callable[[Any], Any]] = {}
        if text.manual is not None and not text.keep:
            self.kept.add(str(at[-1]))
            return {str(at[-1]): lambda reply: reply}
        asks = text.do or text.wait or text.manual
        for name, said in text.keep.items():
            place = (*at, "keep", name)
            if not _NAME.fullmatch(name) or name in _TAKEN:
                self.problem(place, "JL-C204", f"{name!r} cannot be a fact's name", "", on_key=True)
            made[name] = self.raw(said if asks else self.renamed(said), place) or (lambda reply: None)
            self.kept.add(name)
        return made

    def posts(self, text: StepText, at: At) -> list[Posting]:
        return [
            Posting(
                self.account(one.debit, (*at, "post", n, "debit")),
                self.account(one.credit, (*at, "post", n, "credit")),
                self.value(one.amount, (*at, "post", n, "amount")) or (lambda facts: None),
            )
            for n, one in enumerate(text.post)
        ]

    def account(self, said: str, at: At) -> Read:
        """`transit:{settle_no}`: what stands in braces is a fact, or a field of the request."""
        if not re.fullmatch(r"[a-z]+(:([a-z0-9_-]+|\{[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?\}))*", said):
            self.problem(at, "JL-C205", f"{said!r} is no account", "kind:name, `{fact}` for a name")
        kind = said.partition(":")[0]
        if kind not in ACCOUNTS and kind not in self.text.accounts:
            known = [*ACCOUNTS, *self.text.accounts]
            hint = f"say what it is by `accounts`; did you mean {nearest(kind, known) or ', '.join(known)}?"
            self.problems.append(
                Problem(at, "JL-C208", f"no kind of account is called {kind!r}", hint, "warning")
            )
        return lambda facts: _HOLE.sub(lambda hole: _named_by(facts, hole[1], hole[2]), said)

    def checks(self, said: list[Any], at: At) -> list[Check]:
        made = []
        for number, one in enumerate(said):
            check = compile_check(self.renamed(one), self, (*at, number))
            if check is not None:
                made.append(check)
        return made

    def shape(self, said: Any, at: At) -> Read | None:
        """As a map's `make`. What steps kept is named first: inside an `each` a path is the item's."""
        if is_map(said):
            made = Compiler(self.library).map(said["of"], self.problems, at, None) if "of" in said else None
            return None if made is None else made.tree
        named: dict[str, str] = {}
        make = _named(said, named)
        spec: dict[str, Any] = {"from": "json", "to": "json", "make": make}
        if named:
            spec["let"] = {name: path for path, name in named.items()}
        made = Compiler(self.library).map(spec, self.problems, at[:-1], None)
        return None if made is None else made.tree


def _named_by(facts: Facts, name: str, member: str | None) -> str:
    """A fact, or a member of one, as a part of an account's name."""
    value = facts.get(name)
    if member is not None:
        value = value.get(member) if isinstance(value, Mapping) else None
    return str(value or "none")


def _named(said: Any, named: dict[str, str]) -> Any:
    """A shape in which `$preset.fund` is one name; `named` has the path of each."""
    if isinstance(said, Mapping):
        return {key: _named(value, named) for key, value in said.items()}
    if isinstance(said, list):
        return [_named(one, named) for one in said]
    found = _FACT_PATH.match(said) if isinstance(said, str) else None
    if found is None:
        return said
    name = named.setdefault(f"$.{found[1]}", f"fact_{len(named)}")
    return f"${name}{said[found.end() :]}"


def _operation(said: str | None) -> Operation | None:
    return Operation(*said.rpartition(".")[::2]) if said else None


def _until(text: StepText) -> Until | None:
    if text.manual is not None:
        return Until(text.manual.until, text.manual.else_)
    return Until(text.wait.until, text.wait.else_, text.wait.for_ or "") if text.wait is not None else None


def _manual(text: StepText) -> Manual | None:
    said = text.manual
    return None if said is None else Manual(tuple(said.form), tuple(said.roles), said.four_eyes)


def _probing(text: StepText) -> Probing:
    if text.wait is not None:
        return Probing(text.wait.every)
    return Probing(text.probe.every, text.probe.lag, text.probe.give_up)
