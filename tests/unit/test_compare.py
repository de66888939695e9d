"""Where two messages differ: by what they say, and not by how it is written."""

from __future__ import annotations

from typing import Any

import pytest

from config import registry
from transforms.compare import differences, left_out

HEAD = "MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01|1|P|2.5\r"
OTHER_MARKS = "MSH|$~\\&|HIS|A|LIS|A|20260105080000||ADT$A01|1|P|2.5\n"


def differ(name: str, wanted: str, got: str) -> list[tuple[str, Any, Any]]:
    form = registry.formats.get(name)
    trees = (form.decode(text.encode(), "utf-8") for text in (wanted, got))
    return [(diff.path, diff.wanted, diff.got) for diff in differences(form, *trees)]


@pytest.mark.parametrize(
    ("name", "wanted", "got"),
    [
        ("hl7v2", HEAD + "PID|1||P1^^^HIS\r", OTHER_MARKS + "PID|1||P1$$$HIS|||\n"),
        ("hl7v2", HEAD + "NTE|1||a \\T\\ b\r", HEAD + "NTE|1||a \\X26\\ b"),
        ("json", '{"a": 1.50, "b": [1, {"c": null}]}', '{"b": [1, {}], "a": 1.5}'),
        ("fhir", '{"resourceType": "Patient", "id": "1"}', '{"id": "1", "resourceType": "Patient"}'),
        ("xml", "<a x='1' y='2'><b> t </b></a>", '<?xml version="1.0"?>\n<a y="2" x="1">\n  <b>t</b>\n</a>'),
        ("xml", "<a xmlns='urn:n'><b/></a>", "<n:a xmlns:n='urn:n'><n:b/></n:a>"),
    ],
)
def test_messages_that_say_the_same_do_not_differ(name: str, wanted: str, got: str) -> None:
    assert differ(name, wanted, got) == []


@pytest.mark.parametrize(
    ("name", "wanted", "got", "found"),
    [
        ("hl7v2", HEAD + "PID|1||P1\r", HEAD + "PID|1||P2\r", [("$PID-3", "P1", "P2")]),
        ("hl7v2", HEAD + "PID|1||A^B\r", HEAD + "PID|1||A^C\r", [("$PID-3.2", "B", "C")]),
        ("hl7v2", HEAD + "PID|1||A~B^X\r", HEAD + "PID|1||A~C^X\r", [("$PID-3[2].1", "B", "C")]),
        ("hl7v2", HEAD + "PID|1||A&B\r", HEAD + "PID|1||A&C\r", [("$PID-3.1.2", "B", "C")]),
        ("hl7v2", HEAD + "PID|1||\r", HEAD + "PID|1||P2\r", [("$PID-3", None, "P2")]),
        (
            "hl7v2",
            HEAD + "NK1|1\rOBX|1\rOBX|2||X\r",
            HEAD + "OBX|1\rOBX|2||Y\r",
            [("$NK1", "NK1|1", None), ("$OBX[2]-3", "X", "Y")],
        ),
        ("json", '{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3, 4]}}', [("$.a.b[1]", 2, 3), ("$.a.b[2]", None, 4)]),
        ("json", '{"a": true}', '{"a": 1}', [("$.a", True, 1)]),
        ("xml", "<a><b i='1'/><b/></a>", "<a><b i='2'/><b/></a>", [("$/a/b[1]/@i", "1", "2")]),
        ("xml", "<a><b/><b>t</b></a>", "<a><b/><b>u</b></a>", [("$/a/b[2]", "t", "u")]),
        ("xml", "<a><b/></a>", "<a xmlns='urn:n'><b/></a>", [("$/a", "a", "{urn:n}a")]),
    ],
)  # fmt: skip
def test_a_difference_has_the_path_that_a_map_would_read(
    name: str, wanted: str, got: str, found: list[tuple[str, Any, Any]]
) -> None:
    assert differ(name, wanted, got) == found


@pytest.mark.parametrize(
    ("path", "of", "counts"),
    [
        ("$MSH-7", "$MSH-7", False),
        ("$MSH-1", "$MSH-10", True),
        ("$PID-3", "$PID-3[1].4", False),
        ("$OBX-14", "$OBX[2]-14", False),
        ("$OBX[1]-14", "$OBX[2]-14", True),
        ("$.entry[].id", "$.entry[7].id", False),
        ("$.entry[0]", "$.entry[0].resource.id", False),
        ("$.entry[0]", "$.entry[1].resource.id", True),
        ("$.id", "$.identifier", True),
        ("$/a/b/@id", "$/a/b[2]/@id", False),
        ("$//time", "$/a/b[2]/time/@value", False),
        ("$//time", "$/a/timeout", True),
    ],
)
def test_what_is_excepted_does_not_count_nor_does_what_is_below_it(path: str, of: str, counts: bool) -> None:
    pattern = left_out([path])
    assert pattern is not None
    assert (pattern.match(of) is None) is counts
