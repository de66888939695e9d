"""Cells: what a map reads from rows is what the path's closure says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config import registry
from config.errors import Problem
from schemas.base import Cell
from transforms.library import Library
from transforms.mapping import compile_map

HL7 = registry.formats.get("hl7v2")
MESSAGE = HL7.decode(
    b"MSH|^~\\&|HIS&1.2&ISO^x|A|LIS|A|20260105||ADT^A01^ADT_A01|1|P|2.5\r"
    b"PID|1|~|P1&a&b^^^H\\T\\S&1.2~X2^y||\\F\\^&s^^~^c|~~Q^r|&z|a\\S\\b|  |^only\r"
    b"OBX|1|NM|a&b^c&d^e\\R\\||1\rOBX|2||~b^c\rNTE\r"
)
ENDS = ("", ".1", ".2", ".4", ".1.1", "[1]", "[1].2", "[2]", "[2].1", "[2].2", "[3].1")
FIELDS = [f"{field}{end}" for field in range(1, 12) for end in ENDS]
PARTS = [".1", ".2", ".4", ".1.1", ".1.2", ".1.3", ".4.2", ".9"]


def read(path: str, node: Any) -> Any:
    """As generated code does."""
    compiled = HL7.path(path)
    cell = compiled.cell
    assert cell is not None, path
    return said(cell, cell.row(cell.index + 1, parts(cell))(node, MESSAGE))


def parts(cell: Cell) -> list[tuple[int, int]]:
    return [(cell.index, cell.part)] if cell.part else []


def said(cell: Cell, row: list[Any]) -> Any:
    assert len(row) == cell.index + 2 + len(parts(cell))
    item = row[-1 if cell.part else cell.index]
    if not item or cell.text is None or (cell.plain and item.isalnum()):
        return item or None
    return cell.text(item, MESSAGE)


@pytest.mark.parametrize("name", ["PID", "OBX", "OBX[2]", "NTE", "ZZZ", "MSH"])
def test_a_cell_of_a_segment_says_what_its_path_says(name: str) -> None:
    for field in FIELDS:
        path = f"{name}-{field}"
        if HL7.path(path).cell is not None:
            assert read(path, MESSAGE) == HL7.path(path).one(MESSAGE), path


@pytest.mark.parametrize("name", ["MSH", "PID", "OBX", "NTE", "ZZZ"])
def test_a_cell_of_the_nearest_segment_before_says_what_its_path_says(name: str) -> None:
    for segment in HL7.path("OBX").many(MESSAGE) + HL7.path("NTE").many(MESSAGE):
        for path in (f"<{name}-{field}" for field in FIELDS):
            if HL7.path(path).cell is not None:
                assert read(path, segment) == HL7.path(path).one(segment), (segment, path)


@pytest.mark.parametrize("name", ["PID", "OBX", "NTE", "MSH"])
def test_a_cell_of_the_segment_at_hand_says_what_its_path_says(name: str) -> None:
    for segment in HL7.path(name).many(MESSAGE):
        for path in (f"-{field}" for field in FIELDS):
            assert read(path, segment) == HL7.path(path).one(segment), (name, path)


def test_a_cell_of_a_repetition_or_component_says_what_its_path_says() -> None:
    fields = [f"PID-{field}" for field in range(1, 12)] + ["OBX[]-3", "OBX[]-3.1", "OBX[]-3.2", "PID", ""]
    for node in (node for field in fields for node in HL7.path(field).many(MESSAGE)):
        for path in PARTS:
            assert read(path, node) == HL7.path(path).one(node), (node, path)


def test_the_nodes_of_a_cell_are_those_of_its_path() -> None:
    starts = [("PID", MESSAGE), *(("", s) for n in ("MSH", "PID") for s in HL7.path(n).many(MESSAGE))]
    for name, node in starts:
        for field in range(1, 12):
            path = HL7.path(f"{name}-{field}")
            item = path.cell.row(field + 1, ())(node, MESSAGE)[path.cell.index]
            assert (path.cell.nodes(item, MESSAGE) if item else []) == path.many(node), path.text


def test_a_bare_repetition_says_what_the_repetition_says() -> None:
    for field in range(3, 12):
        path = HL7.path(f"PID-{field}")
        item = path.cell.row(field + 1, ())(MESSAGE, MESSAGE)[field]
        bare = path.cell.bare(item, MESSAGE) if item else []
        assert len(bare) == len(path.many(MESSAGE))
        for text, node in zip(bare, path.many(MESSAGE), strict=True):
            for part in map(HL7.path, PARTS):
                row = part.cell.bare_row(part.cell.index + 1, parts(part.cell))(text, MESSAGE)
                assert said(part.cell, row) == part.one(node), (path.text, part.text)


def test_a_map_reads_the_same_of_a_repetition_whether_it_needs_all_of_it_or_only_its_parts() -> None:
    parts = {f"p{number}": f"${path}" for number, path in enumerate(PARTS)}
    for field in range(1, 12):
        bare, whole = ({"each": f"$PID-{field}", "make": make} for make in (parts, {**parts, "all": "$"}))
        found = made(whole)
        assert made(bare) == (found and [{k: v for k, v in item.items() if k != "all"} for item in found])


@pytest.mark.parametrize("part", ["", ".1", ".2", ".1.2"])
@pytest.mark.parametrize("rep", [1, 2, 3])
def test_a_map_reads_exactly_the_repetition_that_is_numbered(part: str, rep: int) -> None:
    for field in range(1, 12):
        path = f"PID-{field}[{rep}]{part}"
        assert made(f"${path}") == HL7.path(path).one(MESSAGE), path
        assert made({"each": "$PID", "make": f"$-{field}[{rep}]{part}"}) == (
            None if HL7.path(path).one(MESSAGE) is None else [HL7.path(path).one(MESSAGE)]
        ), path


def made(make: Any) -> Any:
    problems: list[Problem] = []
    spec = {"map": "x", "from": "hl7v2", "to": "json", "make": {"made": make, "kept": "$MSH-10"}}
    found = compile_map(spec, Library([], []), problems)
    assert found is not None, problems
    return json.loads(found.run(MESSAGE)).get("made")


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        ("$PID-99 | upper | default none", "none"),
        ("$PID-6 | lower | default none", "q"),
        (["$MSH-9.3 | split _ | lower"], ["adt", "a01"]),
        ({"a": ["$MSH-9.3 | split _ | lower"]}, {"a": ["adt", "a01"]}),
        ({"first": ["$PID-99", {"when": {"$PID-1": "1"}, "make": ["$MSH-10"], "else": "$MSH-11"}]}, ["1"]),
        ({"when": {"$PID-99": {"exists": True}, "$PID-1": "1"}, "make": "a", "else": ["$PID-1"]}, ["1"]),
        ({"join": {"of": ["$MSH-9.3 | split _", "x"], "with": "-"}}, "ADT-A01-x"),
    ],
)
def test_pipes_lists_and_choices_of_cells(make: Any, wanted: Any) -> None:
    assert made(make) == wanted


def test_shapes_may_stand_as_deep_as_a_map_allows() -> None:
    make: Any = "$.1"
    for _ in range(27):
        make = {"from": "$", "when": {"$.1": {"exists": True}}, "make": make}
    assert made({"from": "$PID-6", "make": make}) == "Q"
