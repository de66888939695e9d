"""Expressions: a path in the message's own language, then pipes."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from config import registry
from config.errors import BadMessage, Problem
from transforms import conditions, expression
from transforms.expression import compile_value
from transforms.library import Library
from transforms.syntax import split_pipes, words

HL7 = registry.formats.get("hl7v2")
JSON = registry.formats.get("json")
ROOT = Path(__file__).parents[2]
LIBRARY = Library([], [ROOT / "schemas" / "tables"])
ADT = HL7.decode(
    b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01|1|P|2.5\r"
    b"PID|1||P0001^^^HIS~X2^^^GA||Zhang^San||19800101|F\r"
    b"OBX|1|NM|a||1\rOBX|2|NM|b||2\r"
)


def value(text: str, tree: Any = ADT, format_name: str = "hl7v2") -> str | None:
    problems: list[Problem] = []
    found = compile_value(text, format_name, LIBRARY, problems)
    assert found is not None, problems
    return found(tree)


def complaint(text: str, format_name: str = "hl7v2") -> Problem:
    problems: list[Problem] = []
    assert compile_value(text, format_name, LIBRARY, problems, ("index", "x")) is None
    assert len(problems) == 1
    assert problems[0].at == ("index", "x")
    return problems[0]


@pytest.mark.parametrize("module", [expression, conditions], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("$PID-3.1", "P0001"),
        ("$PID-5.1 | upper", "ZHANG"),
        ("$PID-7 | date | replace - /", "1980/01/01"),
        ("$PID-99", None),
        ("$PID-99 | upper", None),
        ("$PID-99 | default x", "x"),
        ("$PID-3 | count", "2"),
        ("$PID-99 | count", "0"),
        ('$PID-3 | join with=", "', "P0001, X2"),
        ("$OBX[]-5 | last", "2"),
        ("$PID-8 | table gender default unknown", "female"),
        ("$PID-8 | table gender to nothing default '?'", "?"),
        ("$PID-5.2 | pad 6 with='.'", "...San"),
        ("$PID-5.1 | split at=a | join with=-", "Zh-ng"),
    ],
)
def test_an_expression_reads_a_message(text: str, made: str | None) -> None:
    assert value(text) == made


def test_a_number_of_a_json_message_becomes_the_text_that_people_write() -> None:
    tree = JSON.decode(b'{"a": 12.50, "b": true, "c": 0, "d": [1, 2], "e": ""}')
    read = [value(f"$.{key}", tree, "json") for key in "abcde"]
    assert read[:3] == ["12.50", "true", "0"]
    assert read[4] is None
    assert value("$.a | pad 8", tree, "json") == "00012.50"
    assert value("$.d | join with=+", tree, "json") is not None


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("$PID-7 | dat", "JL-C102", "did you mean date?"),
        ("$pid-7", "JL-C101", "did you mean $PID-7?"),
        ("$PID-8 | table gendre", "JL-C104", "did you mean gender?"),
        ("$PID-8 | table", "JL-C103", "write it: table NAME"),
        ("$PID-8 | pad eight", "JL-C103", "write it: pad WIDTH"),
        ("$PID-8 | pad 8 sid=left", "JL-C103", "did you mean side?"),
        ("$PID-8 | pad 8 side=lift", "JL-C103", "did you mean left?"),
        ("$PID-8 | upper now", "JL-C103", "write it: upper"),
        ("$PID-8 | ", "JL-C100", ""),
        ('$PID-8 | default "x', "JL-C100", ""),
        ("$PID-8 | match (a+)+", "JL-C112", "write it plainer"),
        ("$PID-8 | match [", "JL-C112", ""),
        ("$@id", "JL-C115", "known here: $@source, $@header"),
        ("$patient", "JL-C109", "`let:` gives names to values"),
        ("$#", "JL-C109", ""),
        ("PID-8", "JL-C100", "an expression begins with $"),
    ],
)
def test_a_mistake_is_told_with_what_was_perhaps_meant(text: str, code: str, hint: str) -> None:
    found = complaint(text)
    assert found.code == code
    assert hint in found.hint


def test_an_unknown_format_is_told_with_the_nearest_name() -> None:
    found = complaint("$PID-8", "hl7v3")
    assert (found.code, found.hint) == ("JL-C116", "did you mean 'hl7v2'?")


@pytest.mark.parametrize("text", ["$PID-3 " + "x" * 3000, "$PID-3" + " | trim" * 30], ids=["long", "pipes"])
def test_an_expression_has_a_limit(text: str) -> None:
    assert complaint(text).code == "JL-C100"


def test_a_failing_pipe_names_the_path_but_never_the_value() -> None:
    with pytest.raises(BadMessage) as caught:
        value("$PID-5.1 | date")
    assert (caught.value.code, caught.value.path) == ("JL-M051", "PID-5.1")
    assert "Zhang" not in str(caught.value)


def test_an_error_of_a_sites_own_function_does_not_show_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(value: str) -> int:
        return int(value)

    monkeypatch.setitem(registry.functions._things, "fragile", fragile)  # and nowhere after this test
    with pytest.raises(BadMessage) as caught:
        value("$PID-5.1 | fragile")
    assert "Zhang" not in str(caught.value)
    assert "fragile" in str(caught.value)


def test_a_pipe_stands_between_spaces_and_quotes_hide_it() -> None:
    assert split_pipes("$.a||b | default 'x | y' | upper") == ["$.a||b", "default 'x | y'", "upper"]


def test_words_may_be_named_and_quoted() -> None:
    found = list(words(r"""pad 8 with=" " 'a b' "say \"x\"\n" """))
    assert [(word.name, word.text) for word in found] == [
        ("", "pad"), ("", "8"), ("with", " "), ("", "a b"), ("", 'say "x"\n'),
    ]  # fmt: skip
