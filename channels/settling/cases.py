"""A settlement's tests, `tests:` below its steps: what is asked for, how the parties behave, and what must come of it.

The first test is the plain way. Each later one says only what is otherwise of its `given`, `parties`, `meanwhile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from channels.settling.expressions import Expressions
from channels.settling.model import Definition, Read
from config.errors import Problem
from config.models import did_you_mean, problems_of
from config.registry import nearest
from config.text import At, Document
from config.units import Seconds
from transforms.library import Library

# ok: done, and said so. refused: no, and nothing was done. lost: done, and nobody heard. timeout: neither done nor
# heard. down: it never left. processing: under way. absent: (to a question) nothing is known of it.
Word = Literal["ok", "refused", "lost", "timeout", "down", "processing", "absent"]
WORDS: tuple[Word, ...] = get_args(Word)
STATES = ("RUNNING", "WAITING", "COMPLETED", "COMPENSATED", "REJECTED", "SUSPENDED")
NOTHING = "nothing"
WATCH_S = 40 * 86400.0


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaysText(_Text):
    """One answer of a party."""

    says: Word = "ok"
    reply: Any = Field(default=None, description="what it answers; without it what such a party would")
    times: int = Field(default=1, ge=1, le=1000, description="so often")
    until: Seconds | None = Field(default=None, description="always, until so long after the request")


def _says(value: Any) -> Any:
    """`lost` and `{ok: {...}}` in full: `{says: lost}`, `{says: ok, reply: {...}}`."""
    if isinstance(value, str):
        return {"says": value}
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in WORDS:
        ((word, reply),) = value.items()
        return {"says": word, "reply": reply}
    return value


def _script(value: Any) -> Any:
    """A list is one answer after the other, and then those of a party that says yes; one answer alone stays."""
    if isinstance(value, list):
        return [_says(one) for one in value]
    said = _says(value)
    limited = isinstance(said, Mapping) and ("times" in said or "until" in said)
    return [said if limited or not isinstance(said, Mapping) else {**said, "until": "36500d"}]


Script = Annotated[tuple[SaysText, ...], BeforeValidator(_script)]


class NoticeText(_Text):
    """What a party says by itself."""

    step: str
    outcome: Literal["OK", "REJECTED", "PROCESSING"] = "OK"
    reply: Any = None


class DecideText(_Text):
    """What a person says. Without a `step` it is of the whole."""

    what: Literal["done", "not done", "retry", "compensate", "forward", "cancel"]
    step: str | None = None
    who: str = "100017"
    reply: Any = None


class EventText(_Text):
    """What happens meanwhile, so long `after` the request."""

    after: Seconds
    notice: NoticeText | None = None
    decide: DecideText | None = None

    @model_validator(mode="after")
    def _is_one(self) -> EventText:
        if (self.notice is None) == (self.decide is None):
            raise ValueError("either a notice or a decide")
        return self


class ExpectText(_Text):
    """What must have come of it."""

    state: Literal["RUNNING", "WAITING", "COMPLETED", "COMPENSATED", "REJECTED", "SUSPENDED"]
    code: str = Field(default="", description="why it is SUSPENDED: `JL-T005`")
    reason: str = Field(default="", description="of what came to nothing: a part of what its caller reads")
    facts: dict[str, Any] = Field(default={}, description="expression to value: `$preset.psn_cash_pay`")
    asked: list[str] | dict[str, int] = Field(
        default=[], description="these in this order, others may be between; or how often each"
    )
    sent: dict[str, dict[str, Any]] = Field(
        default={}, description="what was last sent of an operation: expression to value"
    )
    ledger: dict[str, str | int | float] = Field(default={}, description="account to yuan; debit is above 0")
    left: dict[str, str | list[str]] = Field(
        default={}, description="system to the steps whose effect it still has, or `nothing`"
    )
    events: list[str] | None = None


class CaseText(_Text):
    """One test."""

    name: str = Field(min_length=1, description="what must be so, in a sentence")
    given: dict[str, Any] | None = Field(
        default=None, description="the request; of a later test what is otherwise, null takes a field away"
    )
    parties: dict[str, Script] = Field(default={}, description="operation to what it says")
    meanwhile: list[EventText] | None = Field(
        default=None, description="what happens besides; a later test without it has that of the first"
    )
    watch: Seconds = Field(default=WATCH_S, description="for how long, where there is no end")
    expect: ExpectText


@dataclass(frozen=True, slots=True)
class Case:
    """A test, read. `facts` and `sent` are (what is read, how, what it must be)."""

    text: CaseText
    at: At
    given: Mapping[str, Any]
    parties: Mapping[str, tuple[SaysText, ...]]
    meanwhile: tuple[EventText, ...] = ()
    facts: tuple[tuple[str, Read, Any], ...] = ()
    sent: tuple[tuple[str, str, Read, Any], ...] = ()  # operation first

    @property
    def name(self) -> str:
        return self.text.name


@dataclass(slots=True)
class _Reader:
    definition: Definition
    library: Library
    problems: list[Problem] = field(default_factory=list)

    def read(self, tests: list[Any]) -> list[Case]:
        cases: list[Case] = []
        for number, data in enumerate(tests):
            at: At = ("tests", number)
            try:
                text = CaseText.model_validate(data)
            except ValidationError as error:
                self.problems += problems_of(error, CaseText, at)
                continue
            cases.append(self._case(text, at, cases[0] if cases else None))
        return cases

    def _case(self, text: CaseText, at: At, first: Case | None) -> Case:
        given, parties, meanwhile = text.given or {}, dict(text.parties), tuple(text.meanwhile or ())
        if first is not None:
            given, parties = merged(first.given, given), {**first.parties, **parties}
            meanwhile = first.meanwhile if text.meanwhile is None else meanwhile
        self._known(text, at)
        maker = Expressions(self.library, self.problems)
        expect = text.expect
        here: At = (*at, "expect")
        facts = [
            (said, maker.value(said, (*here, "facts", said)), value) for said, value in expect.facts.items()
        ]
        sent = [
            (operation, said, maker.value(said, (*here, "sent", operation, said)), value)
            for operation, wanted in expect.sent.items()
            for said, value in wanted.items()
        ]
        return Case(
            text,
            at,
            given,
            parties,
            meanwhile,
            tuple((said, read, value) for said, read, value in facts if read is not None),
            tuple((of, said, read, value) for of, said, read, value in sent if read is not None),
        )

    def _known(self, text: CaseText, at: At) -> None:
        """What a test names must be in the pipeline."""
        operations = {
            str(one)
            for step in self.definition.steps
            for one in (step.do, step.ask, step.undo, step.reverse)
            if one
        }
        steps = {step.name for step in self.definition.steps}
        steps |= {step.wait.notice for step in self.definition.steps if step.wait and step.wait.notice}
        for operation in text.parties:
            self._named(operation, operations, (*at, "parties", operation), "no step asks")
        asked = text.expect.asked
        for number, operation in enumerate(asked):
            place: At = (
                *at,
                "expect",
                "asked",
                operation if isinstance(asked, dict) else number,
            )
            self._named(operation, operations, place, "no step asks")
        for operation in text.expect.sent:
            self._named(operation, operations, (*at, "expect", "sent", operation), "no step asks")
        for number, event in enumerate(text.meanwhile or ()):
            kind = "notice" if event.notice else "decide"
            step = event.notice.step if event.notice else event.decide.step if event.decide else None
            if step is not None:
                self._named(step, steps, (*at, "meanwhile", number, kind, "step"), "no step is called")
        systems = {operation.rpartition(".")[0] for operation in operations}
        for system in text.expect.left:
            self._named(system, systems, (*at, "expect", "left", system), "no step asks anything of")

    def _named(self, name: str, known: set[str], at: At, what: str) -> None:
        if name not in known:
            hint = did_you_mean(nearest(name, known), sorted(known))
            self.problems.append(Problem(at, "JL-C218", f"{what} {name!r}", hint, on_key=True))


def merged(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What `other` says outweighs `first`, field by field; null takes a field away.

    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4, "c": None}})
    {'a': {'b': 4}, 'd': 3}
    """
    made = {name: value for name, value in first.items() if name not in other or other[name] is not None}
    for name, value in other.items():
        if value is None:
            continue
        before = first.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        made[name] = merged(before, value) if both and isinstance(before, Mapping) else value
    return made


def read_cases(
    document: Document, definition: Definition, library: Library
) -> tuple[list[Case], list[Problem]]:
    """Its tests, and what is wrong with any: those are not among them."""
    reader = _Reader(definition, library)
    tests = document.data.get("tests") or []
    cases = reader.read(tests if isinstance(tests, list) else [])
    wrong = {problem.at[1] for problem in reader.problems if len(problem.at) > 1}
    return [case for case in cases if case.at[1] not in wrong], reader.problems
