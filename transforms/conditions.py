"""Conditions are data: `{$MSH-9.1: ADT, $MSH-9.2: [A01, A04]}`. Compiled once, to closures.

A mapping is an `and`, a list of values means any of them, a mapping of operators must hold altogether.
Where a path is absent, every operator but `exists: false` and `not` says no. Nothing here fails on a
message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from config.errors import Problem
from config.registry import nearest
from schemas.base import Format
from schemas.envelope import DOOR
from transforms.expression import (
    At,
    Env,
    Expression,
    Scope,
    Tables,
    begin,
    compile_expression,
    filled,
    is_expression,
    literal,
    open_scope,
)
from transforms.pipes import BadPipe, pattern, reach, text_of

Test = Callable[[Any, Env], bool]
Judge = Callable[[Any], bool]

OPERATORS = (
    "exists", "not", "any", "all", "gt", "ge", "lt", "le", "before", "after",
    "matches", "starts", "contains", "in_table",
)  # fmt: skip
_GROUPS = ("any", "all", "not")
# What other engines call the same.
_ELSEWHERE = {
    "or": "any", "and": "all", "none": "not", "gte": "ge", "lte": "le", "greater": "gt", "less": "lt",
    "regex": "matches", "like": "matches", "prefix": "starts", "includes": "contains", "since": "after",
}  # fmt: skip
_STAMP = re.compile(
    r"(\d{4})-?(\d\d)?-?(\d\d)?[T ]?(\d\d)?:?(\d\d)?:?(\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


def compile_when(
    spec: Any,
    format: str | Format,
    library: Tables,
    problems: list[Problem],
    at: At = (),
    envelope: Collection[str] = DOOR,
) -> Callable[..., bool] | None:
    """A condition on a whole message; None where it is wrong, and the problems say why.

    What is made takes the tree, and the message that it is of: without one its envelope is empty.
    """
    scope = open_scope(format, library, problems, at, envelope=envelope)
    test = compile_condition(spec, scope, at) if scope else None
    if test is None:
        return None
    return lambda tree, message=None: test(tree, begin(tree, message))


def literals(spec: Any) -> dict[str, set[str]]:
    """What a condition says a path must equal, at its top level: two channels or branches can be compared
    by it.

    >>> literals({"$MSH-9.1": "ADT", "$MSH-9.2": ["A01", "A04"], "$PID-7": {"exists": True}}) == {
    ...     "MSH-9.1": {"ADT"}, "MSH-9.2": {"A01", "A04"}}
    True
    """
    if not isinstance(spec, Mapping):
        return {}
    plain: dict[str, set[str]] = {}
    for key, wanted in spec.items():
        options = wanted if isinstance(wanted, list) else [wanted]
        if is_expression(key) and not any(isinstance(o, Mapping | list) or o is None for o in options):
            plain[key[1:].strip()] = {text_of(literal(option)) for option in options}
    return plain


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a condition: `test` says all of it, and the rest the same for generated code.

    A path has an `expression`, and `judge` says what its value must be; or no more than `exists`; or, where the
    value is a text, that it is `among` these. A group `holds` or not where any of its `options` does altogether.
    """

    test: Test
    expression: Expression | None = None
    judge: Judge | None = None
    exists: bool | None = None
    among: Container[str] | None = None
    options: tuple[tuple[Entry, ...], ...] = ()
    holds: bool = True


def compile_condition(spec: Any, scope: Scope, at: At) -> Test | None:
    """A condition at one place of a map or channel."""
    entries = compile_entries(spec, scope, at)
    return _every([entry.test for entry in entries]) if entries else None


def compile_entries(spec: Any, scope: Scope, at: At) -> tuple[Entry, ...] | None:
    """The same, as what must hold altogether."""
    if not isinstance(spec, Mapping) or not spec:
        scope.problem(at, "JL-C111", "a condition is a mapping of paths to what they must be", "{$PID-8: F}")
        return None
    entries = [_entry(key, wanted, scope, (*at, key)) for key, wanted in spec.items()]
    good = [entry for entry in entries if entry is not None]
    return tuple(good) if len(good) == len(entries) else None


def _every(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def every(node: Any, env: Env) -> bool:
        for test in tests:  # noqa: SIM110  (a generator would take twice the time)
            if not test(node, env):
                return False
        return True

    return every


def _entry(key: Any, wanted: Any, scope: Scope, at: At) -> Entry | None:
    if key in _GROUPS:
        return _group(key, wanted, scope, at)
    if not is_expression(key):
        near = _ELSEWHERE.get(str(key), "") or nearest(str(key), _GROUPS)
        hint = f"did you mean {near}?" if near else f"write a path (${key}), or one of {', '.join(_GROUPS)}"
        scope.problem(at, "JL-C110", f"{key!r} is neither a path nor a condition", hint, on_key=True)
        return None
    quantified = isinstance(wanted, Mapping) and any(name in ("any", "all") for name in wanted)
    wants = wanted.get("exists") if isinstance(wanted, Mapping) and len(wanted) == 1 else None
    read = compile_expression(key, scope, at, quantified, on_key=True, there=wants is not None)
    judge = _judge(wanted, scope, at)
    if read is None or judge is None:
        return None
    return Entry(_test(read, judge, wants), read, judge, wants, _among(wanted, scope))


def _among(wanted: Any, scope: Scope) -> Container[str] | None:
    """The texts that are all that a condition wants, where that is so."""
    if not isinstance(wanted, Mapping):
        return _texts(_options(wanted))
    table = scope.tables.table(str(wanted["in_table"])) if list(wanted) == ["in_table"] else None
    return table.codes if table else None


def _test(expression: Expression, judge: Judge, exists: bool | None) -> Test:
    plain = expression.plain
    if plain is None:
        call = expression.closure()
        return lambda node, env: judge(call(node, env))
    if exists is None:
        return lambda node, env: judge(plain(node))
    return lambda node, env: (plain(node) is not None) is exists


def _group(key: str, wanted: Any, scope: Scope, at: At) -> Entry | None:
    """`any` and `all` hold a list of conditions, `not` one condition or a list of which none may hold."""
    specs = wanted if isinstance(wanted, list) else [wanted]
    if not specs or (key != "not" and not isinstance(wanted, list)):
        scope.problem(at, "JL-C111", f"{key} needs a list of conditions")
        return None
    places = [(*at, i) if isinstance(wanted, list) else at for i in range(len(specs))]
    compiled = [compile_entries(spec, scope, place) for spec, place in zip(specs, places, strict=True)]
    options = tuple(entries for entries in compiled if entries is not None)
    if len(options) < len(specs):
        return None
    if key == "all":
        options = (tuple(entry for entries in options for entry in entries),)
    tests = [_every([entry.test for entry in entries]) for entries in options]
    holds = key != "not"
    test: Test = lambda node, env: any(test(node, env) for test in tests) is holds  # noqa: E731
    return Entry(tests[0] if key == "all" else test, options=options, holds=holds)


def _judge(wanted: Any, scope: Scope, at: At) -> Judge | None:
    """What a value must be: a literal, any of a list, or operators."""
    if isinstance(wanted, Mapping):
        judges = [_operator(name, operand, scope, (*at, name)) for name, operand in wanted.items()]
        good = [judge for judge in judges if judge is not None]
        if not judges:
            scope.problem(at, "JL-C111", "no operator", f"one of {', '.join(OPERATORS)}")
        if not good or len(good) < len(judges):
            return None
        return good[0] if len(good) == 1 else lambda value: all(judge(value) for judge in good)
    options = wanted if isinstance(wanted, list) else [wanted]
    if not options or any(option is None or isinstance(option, list | Mapping) for option in options):
        hint = "for an absent value write {exists: false}"
        scope.problem(at, "JL-C111", "a value must equal a text, a number, true or false", hint)
        return None
    return equal_to(_options(wanted))


def _options(wanted: Any) -> list[Any]:
    """What a value may equal."""
    return [literal(option) for option in (wanted if isinstance(wanted, list) else [wanted])]


def _texts(options: list[Any]) -> frozenset[str]:
    return frozenset(map(text_of, options))


def equal_to(options: list[Any]) -> Judge:
    """Text equals the text of an option; a number of a JSON message equals by value, `1` and `1.0` alike."""
    texts = _texts(options)
    numbers = frozenset(number for text in texts if (number := number_of(text)) is not None)

    def equals(value: Any) -> bool:
        if value.__class__ is str:
            return value in texts
        if isinstance(value, list):
            return any(equals(item) for item in value)
        if value is None or isinstance(value, Mapping):
            return False
        if isinstance(value, bool | str):
            return text_of(value) in texts
        return number_of(value) in numbers

    return equals


def number_of(value: Any) -> Decimal | None:
    """Text or number to Decimal; None where it is no number."""
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _operator(name: Any, operand: Any, scope: Scope, at: At) -> Judge | None:
    if name not in OPERATORS:
        near = _ELSEWHERE.get(str(name).lower(), "") or nearest(str(name), OPERATORS)
        hint = (
            f"did you mean {near}?"
            if near
            else f"to equal, write just the value; else {', '.join(OPERATORS)}"
        )
        scope.problem(at, "JL-C110", f"no operator is called {name!r}", hint, on_key=True)
        return None
    if name in _GROUPS:
        return _nested(name, operand, scope, at)
    try:
        return _make(name, literal(operand), scope)
    except BadPipe as error:
        scope.problem(at, error.code, str(error), error.hint)
        return None


def _nested(name: str, operand: Any, scope: Scope, at: At) -> Judge | None:
    """`not` turns a judgement round; `any` and `all` judge every match of the path."""
    judge = _judge(operand, scope, at)
    if judge is None:
        return None
    good = judge
    if name == "not":
        return lambda value: not good(value)
    if name == "any":
        return lambda value: any(good(item) for item in _listed(value))
    return lambda value: bool(_listed(value)) and all(good(item) for item in _listed(value))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _make(name: str, operand: Any, scope: Scope) -> Judge:
    """One operator. Raises BadPipe where its operand makes no sense."""
    if name == "exists":
        if not isinstance(operand, bool):
            raise BadPipe("JL-C111", "exists is true or false")
        return lambda value: filled(value) is operand
    if name in ("gt", "ge", "lt", "le"):
        return _number_operator(name, operand)
    if not isinstance(operand, str | int) or isinstance(operand, bool):
        raise BadPipe("JL-C111", f"{name} needs a text")
    text = str(operand)
    if name in ("before", "after"):
        return _date_operator(name, text)
    if name == "matches":
        return _matches(pattern(text))
    if name == "in_table":
        return _in_table(text, scope)
    if name == "starts":
        return lambda value: any(text_of(item).startswith(text) for item in _listed(value))
    return lambda value: any(text in text_of(item) for item in _listed(value))


def _number_operator(name: str, operand: Any) -> Judge:
    limit = number_of(operand)
    if limit is None:
        raise BadPipe("JL-C111", f"{name} needs a number", "for dates: before, after")
    compare: dict[str, Callable[[Decimal, Decimal], bool]] = {
        "gt": Decimal.__gt__, "ge": Decimal.__ge__, "lt": Decimal.__lt__, "le": Decimal.__le__,
    }  # fmt: skip
    holds = compare[name]
    return lambda value: (number := number_of(value)) is not None and bool(holds(number, limit))


def _date_operator(name: str, text: str) -> Judge:
    limit = moment(text)
    if limit is None:
        raise BadPipe("JL-C111", f"{name} needs a date", "2008-01-01 or 2008-01-01T08:00:00+08:00")
    sign = -1 if name == "before" else 1

    def judge(value: Any) -> bool:
        at = moment(text_of(value)) if value is not None else None
        return at is not None and _order(at, limit) == sign

    return judge


def moment(text: str) -> tuple[str, str] | None:
    """A date of HL7 v2 or ISO 8601 as digits: as written, and in UTC where it has a zone; None where it is
    no date.

    >>> moment("2008-01-01"), moment("20080101080000+0800")
    (('20080101', ''), ('20080101080000', '20080101000000'))
    """
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        return None
    *parts, zone = match.groups()
    digits = "".join(part or "" for part in parts)
    try:
        whole = datetime.strptime((digits + "0101000000"[len(digits) - 4 :])[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    if zone is None or len(digits) < 10:
        return digits, ""
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        whole = whole - shift if zone[0] == "+" else whole + shift
    return digits, whole.strftime("%Y%m%d%H%M%S")[: max(len(digits), 12)]


def before(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether one moment is earlier than another, as far as both are written."""
    return _order(one, other) < 0


def _order(one: tuple[str, str], other: tuple[str, str]) -> int:
    """-1, 0 or 1, by as many digits as both have: `2008` is neither before nor after `2008-01-01`."""
    a, b = (one[1], other[1]) if one[1] and other[1] else (one[0], other[0])
    length = min(len(a), len(b))
    a, b = a[:length], b[:length]
    return (a > b) - (a < b)


def _matches(compiled: re.Pattern[str]) -> Judge:
    limit = reach(compiled)

    def judge(value: Any) -> bool:
        if value.__class__ is str:
            return len(value) <= limit and compiled.fullmatch(value) is not None
        texts = [text_of(item) for item in _listed(value)]
        return any(len(text) <= limit and compiled.fullmatch(text) is not None for text in texts)

    return judge


def _in_table(name: str, scope: Scope) -> Judge:
    table = scope.tables.table(name)
    if table is None:
        near = nearest(name, scope.tables.table_names())
        raise BadPipe("JL-C104", f"no table is called {name!r}", f"did you mean {near}?" if near else "")
    codes = table.codes
    return lambda value: value in codes if value.__class__ is str else _any_in(codes, value)


def _any_in(codes: Container[str], value: Any) -> bool:
    return any(text_of(item) in codes for item in _listed(value))
