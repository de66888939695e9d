"""Conditions are data, checked when they are compiled and quick when they are asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from config import registry
from config.errors import Problem
from schemas.message import Message
from transforms.conditions import compile_when, literals
from transforms.library import Library
from transforms.mapping import Compiler
from transforms.pipes import pattern, reach

HL7 = registry.formats.get("hl7v2")
JSON = registry.formats.get("json")
LIBRARY = Library([], [Path(__file__).parents[2] / "schemas" / "tables"])
ADT = HL7.decode(
    b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01|1|P|2.5\r"
    b"PID|1||P0001^^^HIS||Zhang^San||19800101|F\r"
    b"PV1|1|I||||||||||||||||||||||||||||||||||||||||||20260105080000+0800\r"
    b"OBX|1|NM|a||1\rOBX|2|NM|b||20\r"
)


def holds(spec: Any, tree: Any = ADT, format_name: str = "hl7v2") -> bool:
    problems: list[Problem] = []
    test = compile_when(spec, format_name, LIBRARY, problems)
    assert test is not None, problems
    return test(tree)


def test_a_condition_reads_what_the_protocol_knew_of_a_message() -> None:
    problems: list[Problem] = []
    test = compile_when(
        {"$@header.action": ["A", "B"], "$@source": {"starts": "soap"}}, HL7, LIBRARY, problems
    )
    assert test is not None, problems
    message = Message(b"", "soap 10.0.0.7", {"action": "B"})
    assert (test(ADT, message), test(ADT, replace(message, headers={})), test(ADT)) == (True, False, False)


@pytest.mark.parametrize(
    "spec",
    [
        {"$MSH-9.1": "ADT"},
        {"$MSH-9.1": "ADT", "$MSH-9.2": ["A04", "A01"]},
        {"$PID-1": 1},
        {"$PID-8": {"exists": True}},
        {"$PID-9": {"exists": False}},
        {"$PID-9": {"not": "x"}},
        {"$PID-8": {"not": ["M", "U"]}},
        {"not": {"$PID-8": "M"}},
        {"not": [{"$PID-8": "M"}, {"$PID-8": "U"}]},
        {"any": [{"$PID-8": "M"}, {"$PV1-2": "I"}]},
        {"all": [{"$PID-8": "F"}, {"$PV1-2": "I"}]},
        {"$OBX[]-5": {"any": {"gt": 10}}},
        {"$OBX[]-5": {"all": {"ge": 1, "le": 20}}},
        {"$OBX[]-3": {"any": "b"}},
        {"$OBX[2]-5": {"gt": 3}},
        {"$PID-7": {"before": "2008-01-01"}},
        {"$PID-7": {"after": "1979"}},
        {"$PV1-44": {"before": "2026-01-05T00:00:01Z", "after": "2026-01-04T23:59:59Z"}},
        {"$PID-3.1": {"matches": "P[0-9]+"}},
        {"$PID-3.1": {"starts": "P0"}},
        {"$PID-3.1": {"contains": "00"}},
        {"$PID-8": {"in_table": "gender"}},
        {"$PID-8 | table gender": "female"},
        {"$PID-5.1 | length": {"ge": 5}},
    ],
    ids=str,
)
def test_a_condition_that_holds(spec: Any) -> None:
    assert holds(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"$MSH-9.1": "ADT", "$MSH-9.2": "A08"},
        {"$PID-9": "x"},
        {"$PID-9": {"gt": 1}},
        {"$PID-9": {"starts": ""}},
        {"$PID-5.1": {"gt": 1}},
        {"$PID-3.1": {"matches": "P"}},
        {"$PID-5.1": {"before": "2008-01-01"}},
        {"$PID-7": {"before": "1980"}},
        {"$PID-7": {"after": "1980"}},
        {"$OBX[]-5": {"all": {"gt": 10}}},
        {"$NK1[]-5": {"all": {"gt": 10}}},
        {"$PID-9": {"in_table": "gender"}},
        {"not": [{"$PID-8": "M"}, {"$PID-8": "F"}]},
    ],
    ids=str,
)
def test_a_condition_that_does_not_hold(spec: Any) -> None:
    assert not holds(spec)


XML = registry.formats.get("xml")
V3 = XML.decode(
    """<PRPA xmlns="urn:hl7-org:v3"><id extension="7"/><code code=""/><empty> <in/></empty><void/><note> 发热 </note>
    <patient><birthTime value="19800101"/></patient><item n="1">5</item><item n="2">20.0</item><flag> </flag>
    </PRPA>""".encode()
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"$/v3:PRPA/v3:id/@extension": 7}, True),
        ({"$//v3:id/@extension": ["8", "7"]}, True),
        ({"$//v3:note": "发热"}, True),  # without the white space around it
        ({"$//v3:note": {"starts": "发", "contains": "热"}}, True),
        ({"$//v3:birthTime/@value": {"before": "1980-01-02", "matches": "[0-9]{8}"}}, True),
        ({"$//v3:item[@n='2']": {"gt": 19}}, True),
        ({"$//v3:item[@n='2']": 20}, False),  # a text, as it is written
        ({"$//v3:item": 5}, True),  # the first
        ({"$//v3:item": {"any": {"gt": 10}}}, True),
        ({"$//v3:item": {"all": {"gt": 10}}}, False),
        ({"$//v3:item | count": 2}, True),
        ({"$//v3:item[3]": {"not": "x"}}, True),
        ({"$//v3:item[3]": "x"}, False),
        ({"$//v3:note": {"exists": True}}, True),
        ({"$//v3:id/@extension": {"exists": True}}, True),
        ({"$//v3:code/@code": {"exists": True}}, False),  # an empty text is nothing
        ({"$//v3:id": {"exists": True}}, True),  # what an attribute says is something
        ({"$//v3:id": {"exists": False}}, False),
        ({"$//v3:patient": {"exists": True}}, True),  # also deeper in it
        ({"$//v3:code": {"exists": True}}, False),
        ({"$//v3:void": {"exists": True}}, False),
        ({"$//v3:empty": {"exists": False}}, True),
        ({"$//v3:flag": {"exists": False}}, True),
        ({"$//v3:nobody": {"exists": False}}, True),
        ({"any": [{"$//v3:void": {"exists": True}}, {"$//v3:patient": {"exists": True}}]}, True),
        ({"not": {"$//v3:patient": {"exists": True}}}, False),
    ],
    ids=str,
)
def test_a_condition_on_xml(spec: Any, expected: bool) -> None:
    assert holds(spec, V3, "xml") is expected


def test_what_exists_in_xml_is_the_same_in_a_map() -> None:
    spec = {
        "make": {
            "patient": {"when": {"$//v3:patient": {"exists": True}}, "make": "yes", "else": "no"},
            "void": {"when": {"$//v3:void": {"exists": True}}, "make": "yes", "else": "no"},
            "item": {
                "from": "$//v3:patient",
                "make": {"when": {"$./v3:birthTime": {"exists": True}}, "make": "in"},
            },
        }
    }
    problems: list[Problem] = []
    made = Compiler(LIBRARY).map({"map": "m", "from": "xml", "to": "json", **spec}, problems, (), None)
    assert made is not None, problems
    assert JSON.decode(made.run(V3)) == {"patient": "yes", "void": "no", "item": "in"}


def test_json_numbers_and_truth_are_compared_by_value() -> None:
    tree = JSON.decode(b'{"n": 1.0, "t": true, "one": "1", "list": ["a", "b"]}')
    assert holds({"$.n": 1, "$.t": True, "$.one": 1, "$.list": "b"}, tree, "json")
    assert not holds({"$.t": 1}, tree, "json")
    assert not holds({"$.n": True}, tree, "json")
    assert not holds({"$.missing": False}, tree, "json")


@pytest.mark.parametrize(
    ("spec", "at", "code", "hint"),
    [
        ({"$PID-7": {"befor": "2008"}}, ("$PID-7", "befor"), "JL-C110", "did you mean before?"),
        ({"$PID-7": {"gt": "2008-01-01"}}, ("$PID-7", "gt"), "JL-C111", "for dates: before, after"),
        ({"$PID-7": {"before": "soon"}}, ("$PID-7", "before"), "JL-C111", "2008-01-01"),
        ({"$PID-7": {"exists": "yes"}}, ("$PID-7", "exists"), "JL-C111", ""),
        ({"$PID-7": None}, ("$PID-7",), "JL-C111", "exists: false"),
        ({"$PID-7": []}, ("$PID-7",), "JL-C111", ""),
        ({"$PID-7": {}}, ("$PID-7",), "JL-C111", ""),
        ({"PID-7": "x"}, ("PID-7",), "JL-C110", ""),
        ({"ani": []}, ("ani",), "JL-C110", "did you mean any?"),
        ({"any": {"$PID-8": "F"}}, ("any",), "JL-C111", ""),
        ({"$PID-8": {"in_table": "gendre"}}, ("$PID-8", "in_table"), "JL-C104", "did you mean gender?"),
        ({"$PID-8": {"matches": "(a|aa)+$"}}, ("$PID-8", "matches"), "JL-C112", ""),
        ({"$PID-8": {"matches": "x" * 300}}, ("$PID-8", "matches"), "JL-C112", ""),
        ({"$pid-8": "F"}, ("$pid-8",), "JL-C101", "$PID-8"),
        ([], (), "JL-C111", ""),
        ({"any": [{"$PID-8": "F"}, "x"]}, ("any", 1), "JL-C111", ""),
    ],
    ids=str,
)
def test_a_mistake_is_told_with_the_way_to_it(spec: Any, at: Any, code: str, hint: str) -> None:
    problems: list[Problem] = []
    assert compile_when(spec, "hl7v2", LIBRARY, problems, ("when",)) is None
    assert [(problem.at, problem.code) for problem in problems] == [(("when", *at), code)]
    assert hint in problems[0].hint


def test_all_mistakes_are_told_at_once() -> None:
    problems: list[Problem] = []
    compile_when({"$pid-8": "F", "$PID-7": {"befor": 1, "gt": "x"}}, "hl7v2", LIBRARY, problems)
    assert len(problems) == 3


def test_equalities_at_the_top_can_be_compared_by_a_loader() -> None:
    spec = {
        "$MSH-9.1": "ADT",
        "$MSH-9.2": ["A01", "A04"],
        "$PID-1": 1,
        "$PID-7": {"exists": True},
        "not": {"$A": 1},
    }
    assert literals(spec) == {"MSH-9.1": {"ADT"}, "MSH-9.2": {"A01", "A04"}, "PID-1": {"1"}}


def test_a_pattern_that_could_run_away_is_refused_or_ends_soon() -> None:
    problems: list[Problem] = []
    for text in (
        "(a+)+$",
        "(a*)*b",
        "(a|a)*c",
        "(.*)*x",
        "((ab)+)+",
        r"(a)\1",
        "(?:x+)+y",
        "(a?){30}a{30}",
        "a?" * 40 + "a" * 40,
        "a*" * 9,
    ):
        assert compile_when({"$PID-5": {"matches": text}}, "hl7v2", LIBRARY, problems) is None, text
    assert {problem.code for problem in problems} == {"JL-C112"}


@pytest.mark.parametrize("text", ["a*a*b", "a*a*a*b", "a?a?a?a?aaaab*", ".*x.*y.*z", "(a|b)c*d*"])
def test_a_pattern_that_is_let_through_ends_soon_on_any_value(text: str) -> None:
    compiled = pattern(text)
    start = time.process_time()
    compiled.fullmatch("a" * reach(compiled))
    compiled.search("a" * reach(compiled, whole=False))
    assert time.process_time() - start < 5


def test_a_value_too_long_for_its_pattern_does_not_match() -> None:
    tree = JSON.decode(b'{"a": "%s"}' % (b"a" * 100_000))
    assert not holds({"$.a": {"matches": "a*"}}, tree, "json")
