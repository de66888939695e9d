"""The pipe functions: their docstrings are the manual, and the examples in them are tests."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import BadMessage, Problem
from schemas.hl7v2 import Hl7v2
from transforms import functions
from transforms.expression import Expression, Scope, begin, compile_expression, open_scope, pipes_of
from transforms.manual import all_functions, as_markdown, describe, plain
from transforms.pipes import MAX_KNOWN, Argument, BadPipe, bind, remembering
from transforms.tables import Table

OURS = {one.name: one for one in all_functions()}
README = (Path(__file__).parents[2] / "transforms" / "README.md").read_text("utf-8")
EXAMPLES = [(one, example) for one in OURS.values() for example in one.examples]


class Tables:
    """A library that has the tables of an example."""

    def __init__(self, *tables: Table) -> None:
        self.tables = {table.name: table for table in tables}

    def table(self, name: str) -> Table | None:
        return self.tables.get(name)

    def table_names(self) -> list[str]:
        return list(self.tables)


def compiled(pipe: str, *tables: Table) -> Expression:
    problems: list[Problem] = []
    scope = open_scope("json", Tables(*tables), problems, ())
    assert isinstance(scope, Scope)
    expression = compile_expression(f"$ | {pipe}", scope)
    assert expression is not None, problems
    return expression


@pytest.mark.parametrize("module", functions.GROUPS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted >= 2


def test_there_are_many_and_each_has_a_text_and_examples() -> None:
    assert len(OURS) >= 60
    for one in OURS.values():
        assert one.says.endswith((".", ")", "`")), one.name
        assert one.examples, f"{one.name} has no example that can be shown as a pipe"
        assert one.takes in ("text", "list", "any")
        shown = one.says + " ".join(example.pipe for example in one.examples)
        missing = [p.name for p in one.parameters if p.default is None and p.name not in shown]
        assert not missing or all(len(example.words) >= len(missing) for example in one.examples), one.name


def test_an_example_holds_as_an_integrator_writes_it() -> None:
    for one, example in EXAMPLES:
        got = pipes_of(compiled(example.pipe, *example.tables))(example.value, begin(example.message))
        assert plain(got) == plain(example.result), f"{one.name}: {example.pipe}"


def test_the_manual_is_made_from_the_docstrings() -> None:
    begin = README.index("### Nothing")
    assert README[begin:] == as_markdown(), "jingluo docs functions --markdown"


def test_an_example_that_is_no_call_is_left_out_of_the_manual() -> None:
    def ward(value: str, *, short: bool = False) -> str:
        """The ward.

        >>> ward("3W")[:1]
        '3'
        >>> ward("3W", short=True)
        '3'
        """
        return value

    found = describe("ward", ward)
    assert [example.pipe for example in found.examples] == ["ward short"]
    assert (found.usage, found.says) == ("ward [short]", "The ward.")


# Whatever comes: a value, or a BadMessage that says where. Never another exception, and never the value in it.

_SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=True) | st.text(max_size=40)
_TEXTS = st.text(max_size=40) | st.text("0123456789-+.:/年月日Tt Z^&<>≤~壹()（）xX", max_size=24)
_VALUES = st.recursive(
    _SCALARS | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["family", "given", "text", "line", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_READY = [compiled(example.pipe, *example.tables) for _, example in EXAMPLES]


@given(_VALUES)
@settings(max_examples=60, deadline=None)
def test_no_value_makes_a_function_fail(value: Any) -> None:
    for expression in _READY:
        check(expression, value)


@pytest.mark.parametrize(
    "value", ["", " ", "\x00", "\ud800", "9" * 5000, "^" * 5000, "{" * 5000, "一" * 5000, [[]], [None], {}]
)
def test_no_odd_value_makes_a_function_fail(value: Any) -> None:
    for expression in _READY:
        check(expression, value)


@pytest.mark.parametrize("path", ["PID", "PID-3", "PID-3.4", "PID-5"])
def test_no_node_of_hl7_makes_a_function_fail(path: str) -> None:
    tree = Hl7v2().decode(
        b"MSH|^~\\&|A|B|C|D|20260105||ADT^A01|1|P|2.5\rPID|1||P1^^^HIS&1.2&ISO~P2||Zhang^San\r"
    )
    for node in Hl7v2().path(path).many(tree):
        for expression in _READY:
            check(expression, node)


def check(expression: Expression, value: Any) -> None:
    try:
        pipes_of(expression)(value, begin(value))
    except BadMessage as error:
        said = error.code, error.text
    else:
        return
    assert said[0] in ("JL-M050", "JL-M051")
    assert said[1].endswith(f"({expression.where})")


_WORDS = (
    st.text(max_size=12)
    | st.from_regex(r"-?[0-9]{1,12}", fullmatch=True)
    | st.sampled_from(["1e99", "NaN", "7d", "[a-z]*", "true"])
)


@given(st.lists(_WORDS, max_size=3), _VALUES)
@settings(max_examples=60, deadline=None)
def test_no_argument_makes_a_function_fail(words: list[str], value: Any) -> None:
    gender = Table("gender", {"value": {"M": "male"}})
    refused = set()
    for name in OURS:
        try:
            stage = bind(name, [Argument(word, quoted=True) for word in words], lambda _: gender)
        except BadPipe as error:
            refused.add(error.code)
        else:
            check(Expression(stages=(stage,), where="here"), value)
    assert refused <= {"JL-C103", "JL-C112"}


@pytest.mark.parametrize(
    ("pipe", "says"),
    [
        ("datetime zone=Bejing", "no time zone"),
        ("date_add 7", "no span of time"),
        ("date_add 7days", "no span of time"),
        ("date_format 'MM-dd'", "no pattern of a date"),
        ("date_parse 'yyyy-dd-dd'", "no pattern of a date"),
        ("divide 0", "cannot be 0"),
        ("multiply NaN", "cannot be 'NaN'"),
        ("multiply 1e99", "cannot be '1e99'"),
        ("unit_convert kg cm", "kg cannot become cm"),
        ("replace_match '(a+)+' x", "repeats a repetition"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_before_anything_runs(pipe: str, says: str) -> None:
    problems: list[Problem] = []
    scope = open_scope("json", Tables(), problems, ())
    assert scope is not None
    assert compile_expression(f"$ | {pipe}", scope) is None
    assert says in problems[0].message


def test_no_number_in_the_manual_is_a_persons() -> None:
    found = [
        word for one, e in EXAMPLES if one.name.startswith(("citizen", "province")) for word in [str(e.value)]
    ]
    assert all(word.startswith("999999") for word in found if len(word) > 6)


def test_a_function_remembers_what_it_was_given_lately_and_nothing_long() -> None:
    asked: list[str] = []

    def upper(value: str) -> str:
        asked.append(value)
        return value.upper()

    remembers, long = remembering(upper), "x" * (MAX_KNOWN + 1)
    assert [remembers(value) for value in ("a", "b", "a", long, long)] == [
        "A",
        "B",
        "A",
        long.upper(),
        long.upper(),
    ]
    assert asked == ["a", "b", long, long]
