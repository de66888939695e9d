"""The code that a map becomes: nothing of the map's text is in it, and its short cuts change nothing."""

from __future__ import annotations

import builtins
import json
import re
from pathlib import Path
from typing import Any

import pytest

from config import registry
from config.errors import BadMessage, Problem
from transforms import library
from transforms.mapping import Map, compile_map

BODY = (
    b"MSH|^~\\&|HIS|A|EMR|A|20260105||ADT^A01|C1|P|2.5\r"
    b"PID|1||P1^^^HIS~P2^^^LIS^MR|~~|Li^Si|&|~X&y&z^w|M\rPV1|1|I|3W^301\r"
)
MESSAGE = registry.formats.get("hl7v2").decode(BODY)


def compiled(make: Any) -> Map:
    problems: list[Problem] = []
    found = compile_map(
        {"map": "x", "from": "hl7v2", "to": "json", "make": make}, library.Library([], []), problems
    )
    assert found is not None, problems
    return found


def made(make: Any) -> Any:
    return json.loads(compiled({"made": make, "kept": "$MSH-10"}).run(MESSAGE)).get("made")


def test_no_text_of_a_map_is_in_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []

    def note(source: str, *rest: Any) -> Any:
        sources.append(source)
        return builtins.compile(source, *rest)

    monkeypatch.setattr("transforms.generate.compile", note, raising=False)
    evil = "v1); import_os(); ('"
    deeper = {
        "each": "$PID-3",
        "let": {"evil_name": evil},
        "make": {evil: "$.4", "b": ["$evil_name", "$.1", evil]},
    }
    joined = {"join": {"of": [evil, "$PID-1"], "with": evil}}
    compiled({
        evil: f'$PID-8 | default "{evil.replace(chr(39), "")}"',
        "when_": {"when": {"$PID-8": [evil, "M"]}, "make": evil, "else": joined},
        "each_": deeper,
        "first_": {"first": ["$PID-9 | prefix evil", evil]},
    })  # fmt: skip
    assert len(sources) == 1
    assert not re.search(r"evil|import_os|'|\"", sources[0])


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        ({"a": "$PID-99", "b": {"first": ["$PID-98", "unknown"]}}, {"b": "unknown"}),
        ({"a": "$PID-99", "b": {"when": {"$PID-8": "M"}, "make": "male"}}, {"b": "male"}),
        ({"a": "$PID-99", "b": {"when": {"$PID-98": {"exists": True}}, "make": "$PID-1", "else": "no"}}, {"b": "no"}),
        ({"a": "$PID-99", "b": "$PID-98 | default none"}, {"b": "none"}),
        ({"a": "$PID-99", "b": "$PID-98", "c": "constant"}, None),
        ({"a": "$PID-99", "b": {"let": {"x": "$PID-8"}, "make": {"of": "$x", "also": "$PID-98"}}}, {"b": {"of": "M"}}),
        (["$PID-99", {"each": "$PID-4", "make": "made"}, {"from": "$PID-4", "make": {"x": "made"}}], None),
        ({"join": {"of": ["$PID-99", "$PID-8 | lower"], "with": "-"}}, "m"),
        ({"each": "$PID-3", "make": {"n": "$#", "by": "$.4", "of": "$.5", "sub": "$.4.2"}},
         [{"n": 1, "by": "HIS"}, {"n": 2, "by": "LIS", "of": "MR"}]),
        ({"from": "$PID-7", "make": ["$.1", "$.1.2", "$.1.3", "$.2"]}, ["X", "y", "z", "w"]),
        ({"when": {"not": [{"$PID-8": "F"}, {"$PID-1": "2"}]}, "make": "neither"}, "neither"),
        ({"when": {"any": [{"$PID-8": "F"}, {"$PID-1": "1", "$PID-8": "M"}]}, "make": "one"}, "one"),
    ],
)  # fmt: skip
def test_what_needs_a_missing_field_is_left_out_and_nothing_else(make: Any, wanted: Any) -> None:
    assert made(make) == wanted


def test_a_mistake_of_the_message_is_found_though_what_stands_beside_it_is_missing() -> None:
    for make in (
        {"a": "$PID-99", "b": "$PID-98 | required"},
        {"when": {"$PID-8 | date": "2026-01-01"}, "make": "$PID-99"},
    ):
        with pytest.raises(BadMessage):
            made(make)


DOCTOR = {
    "each": "$PID-3",
    "let": {"url": "$.1 | prefix urn:"},
    "keep": {"as": "$url", "make": {"fullUrl": "$url", "from": "$.4.1"}},
    "make": {"reference": "$url"},
}


def test_what_is_kept_stands_once_where_the_map_says_so() -> None:
    found = made({"of": [DOCTOR, DOCTOR], "entry": [{"id": "$MSH-10"}, {"kept": True}]})
    urls = [item["reference"] for item in found["of"]]
    assert len(urls) == 4
    assert [item["fullUrl"] for item in found["entry"][1:]] == urls[:2]
    assert found["entry"][1]["from"] == "HIS"


def test_what_is_kept_of_one_message_is_not_there_for_the_next() -> None:
    run = compiled({"of": {"from": "$PID-4", **DOCTOR}, "entry": [{"id": "$MSH-10"}, {"kept": True}]}).run
    assert run(MESSAGE) == run(MESSAGE)


def test_what_is_kept_without_a_key_is_not_kept() -> None:
    never = {"keep": {"as": "$PID-99", "make": {"x": "$PID-8"}}, "make": {"y": "$PID-8"}}
    assert made({"of": never, "entry": [{"id": "$MSH-10"}, {"kept": True}]})["entry"] == [{"id": "C1"}]


@pytest.mark.parametrize(
    "make",
    [
        {"of": DOCTOR},
        {"keep": {"make": "$PID-8"}, "make": {"kept": True}},
        {"keep": "$PID-8", "make": {"kept": True}},
    ],
)
def test_a_keep_that_cannot_be_is_refused(make: Any) -> None:
    problems: list[Any] = []
    assert (
        compile_map({"from": "hl7v2", "to": "json", "make": make}, library.Library([], []), problems) is None
    )
    assert {problem.code for problem in problems} == {"JL-C108"}


@pytest.mark.parametrize(
    ("mode", "wanted"), [("full", {"id": "M"}), ("", {"text": "M"}), ("$PID-8 | prefix x", {"text": "M"})]
)
def test_a_condition_on_a_name_that_stands_for_a_literal_is_decided_beforehand(
    mode: str, wanted: Any
) -> None:
    shape = {"when": {"$mode": "full"}, "make": {"id": "$PID-8"}, "else": {"text": "$PID-8"}}
    assert made({"let": {"mode": mode}, "make": shape}) == wanted


def test_a_name_given_anew_is_no_longer_the_literal() -> None:
    inner = {"let": {"mode": "$PID-8"}, "make": {"when": {"$mode": "M"}, "make": "$PID-1"}}
    assert made({"let": {"mode": "full"}, "make": inner}) == "1"


JSON = {
    "text": "abc", "none": None, "zero": 0, "no": False, "empty": "", "of": {"nothing": {}, "list": [], "x": "y"},
    "list": [["a", {"b": 0}], "cd", None, {"e": [""]}], "7": "seven",
}  # fmt: skip
PATHS = [
    "text", "text[0]", "none", "none.x", "zero", "no", "empty", "of", "of.nothing", "of.list", "of.x", "of.y", "of.x.y",
    "of[0]", "list", "list[0]", "list[0][0]", "list[0][1].b", "list[0][2]", "list[1]", "list[1][0]", "list[2].x",
    "list[-1].e", "list[-1].e[0]", "list[-4][-2]", "list[-5]", "list[9]", "list.x", "[0]", "[0].text", "list[3].e[-2]",
]  # fmt: skip


def made_of(tree: Any, shape: Any, folder: Any = ()) -> Any:
    """What a map makes of JSON, before it is written."""
    problems: list[Problem] = []
    spec = {"map": "x", "from": "json", "to": "json", **shape}
    found = compile_map(spec, library.Library(list(folder), []), problems)
    assert found is not None, problems
    return found.make(tree, found.env(tree))


@pytest.mark.parametrize(
    "tree", [JSON, [JSON], "text", None, 7], ids=["object", "list", "text", "nothing", "number"]
)
def test_names_and_indexes_are_followed_as_the_path_itself_is(tree: Any) -> None:
    form = registry.formats.get("json")
    for path in PATHS:
        one = form.path(f".{path}").one
        assert made_of(tree, {"make": [f"$.{path}"]}) == ([*listed(one(tree))] or None), path
        items = [made for node in form.path("").many(tree) for made in listed(one(node))]
        assert made_of(tree, {"make": {"each": "$", "make": f"$.{path}"}}) == (items or None), path


def listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


@pytest.mark.parametrize(("value", "wanted"), [("0", "low"), ("4", "low"), ("5", "high"), ("", "high")])
def test_a_named_number_is_compared_be_it_zero(value: str, wanted: str) -> None:
    shape = {"when": {"$n": {"lt": 5}}, "make": "low", "else": "high"}
    assert made_of({"n": value}, {"let": {"n": "$.n | number"}, "make": shape}) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("literal", ["literal", "literal", "there"]),
        (None, ["none", "none", "absent"]),
        (0, [0, 0, "there"]),
        ("$.text", ["abc", "abc", "there"]),
        ("$.empty", ["none", "none", "absent"]),
        ({"first": ["$.empty", "$.of.y"]}, ["none", "none", "absent"]),
    ],
)
def test_a_name_and_a_name_for_it_stand_for_the_same(value: Any, wanted: list[Any]) -> None:
    there = {"when": {"$b": {"exists": True}}, "make": "there", "else": "absent"}
    shape = {"let": {"a": value, "b": "$a"}, "make": ["$a | default none", "$b | default none", there]}
    assert made_of(JSON, shape) == wanted


def test_a_fragment_sees_the_names_around_each_place_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    for name, make in {"outer": "{use: inner}", "inner": "{role: $role, text: $.text}"}.items():
        (tmp_path / "types" / f"{name}.yaml").write_text(f"fragment: {name}\nfrom: json\nmake: {make}\n")
    roles = ("doctor", "nurse", "$.of.x", None)
    make = [
        {"let": {"other": number, "role": role}, "make": {"use": "outer"}}
        for number, role in enumerate(roles)
    ]
    found = made_of(JSON, {"let": {"role": "nobody"}, "make": [*make, {"use": "outer"}]}, [tmp_path])
    assert [item.get("role") for item in found] == ["doctor", "nurse", "y", None, "nobody"]
