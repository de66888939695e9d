"""Which line of a map made what; and that the plain meaning of a map and its generated code agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config import registry
from config.errors import BadMessage, Problem
from config.text import parse
from router.cli import app
from router.commands.maps import app as maps
from schemas.message import Message
from transforms.library import SHIPPED_MAPS, Library
from transforms.mapping import Compiler, Map
from transforms.trace import Marks, Row, place, trace

TABLES = Path(__file__).parents[2] / "schemas" / "tables"
HL7 = registry.formats.get("hl7v2")
ADT = HL7.decode(
    b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ORU^R01|1|P|2.5\r"
    b"PID|1||P0001^^^HIS~X2^^^GA||Zhang^San||19800101|F\r"
    b"OBR|1|||CBC\rOBX|1|NM|a||1\rOBX|2|NM|b||2\rOBR|2|||GLU\rOBX|1|NM|c||0\r"
)
LIBRARY = Library([SHIPPED_MAPS], [TABLES], Marks())
MAP = """\
map: x
from: hl7v2
to: json
let: {key: {join: {of: [$PID-3.4, $PID-3.1], with: "|"}}}
make:
  kind: patient
  id: $key
  sex: $PID-8 | table gender
  ids:
    each: $PID-3
    make: {value: $.1, use: official}
  groups:
    each: $OBR
    make:
      code: $-4.1
      results: {each: $>OBX, make: {code: $-3, at: $#}}
  list:
    - first
    - first: [$PID-99, $PID-5.2]
    - {when: {$PID-8: M}, make: man, else: woman}
"""


def compiled(text: str) -> Map:
    document = parse(text, "x.yaml")
    problems: list[Problem] = []
    found = Compiler(LIBRARY).map(document.data, problems, (), document)
    assert found is not None, problems
    return found


def test_every_value_has_its_line_and_its_input() -> None:
    made, rows = trace(compiled(MAP), ADT)
    assert made["list"] == ["first", "San", "woman"]
    found = {place(row.way, "json"): (row.value, row.origin.line, *row.origin.inputs) for row in rows}
    assert found == {
        "$.kind": ("patient", 6),
        "$.id": ("HIS|P0001", 7, "$key", "$PID-3.4", "$PID-3.1"),
        "$.sex": ("female", 8, "$PID-8 | table gender"),
        "$.ids[0].value": ("P0001", 11, "$PID-3 [1] > $.1"),
        "$.ids[0].use": ("official", 11),
        "$.ids[1].value": ("X2", 11, "$PID-3 [2] > $.1"),
        "$.ids[1].use": ("official", 11),
        "$.groups[0].code": ("CBC", 15, "$OBR [1] > $-4.1"),
        "$.groups[0].results[0].code": ("a", 16, "$OBR [1] > $>OBX [1] > $-3"),
        "$.groups[0].results[0].at": (1, 16, "$#"),
        "$.groups[0].results[1].code": ("b", 16, "$OBR [1] > $>OBX [2] > $-3"),
        "$.groups[0].results[1].at": (2, 16, "$#"),
        "$.groups[1].code": ("GLU", 15, "$OBR [2] > $-4.1"),
        "$.groups[1].results[0].code": ("c", 16, "$OBR [2] > $>OBX [1] > $-3"),
        "$.groups[1].results[0].at": (1, 16, "$#"),
        "$.list[0]": ("first", 18),
        "$.list[1]": ("San", 19, "$PID-5.2"),
        "$.list[2]": ("woman", 20),
    }


@pytest.mark.parametrize(
    "make",
    [
        "{a: {b: {c: $PID-99, d: x}}, e: $PID-1}",
        "[{a: $PID-99, c: 1}, {c: 2}]",
        "{each: $PID-3, when: {$.4: GA}, make: $.1, else: [$#, two]}",
        "{from: $PID, let: {a: $-99, b: $-3.1}, make: {a: $a, b: $b, c: $PID-5.1}}",
        "{join: {of: ['No. ', $PID-99]}}",
        "{join: {of: ['No. ', $PID-1], with: ''}}",
        "[[one, two], $PID-99]",
        "{let: {n: $PID-99 | count}, make: {n: $n, none: $PID-98 | default x}}",
        "{when: {$PID-8: M}, make: {a: 1}, else: {first: [$PID-99, {b: [$PID-1, [$PID-2]]}]}}",
    ],
)
def test_code_and_plain_meaning_agree(make: str) -> None:
    mapped = compiled(f"map: x\nfrom: hl7v2\nto: json\nmake: {{made: {make}, kept: $MSH-10}}\n")
    made, rows = trace(mapped, ADT)
    assert made == json.loads(mapped.run(ADT))
    assert _put_together(rows) == made


def _put_together(rows: list[Row]) -> Any:
    """What rows say, as a tree: nothing is missing and nothing is there twice."""
    made: dict[str, Any] = {}
    for row in rows:
        spot: Any = made
        for key, following in zip(row.way, (*row.way[1:], None), strict=True):
            empty: Any = row.value if following is None else [] if isinstance(following, int) else {}
            if isinstance(spot, list):
                assert len(spot) in (key, int(key) + 1)
                spot += [empty] * (int(key) + 1 - len(spot))
            else:
                spot.setdefault(key, empty)
            spot = spot[key]
    return made


@pytest.mark.parametrize("name", ["adt-to-fhir", "oru-to-fhir", "patient-summary"])
def test_of_shipped_maps_too(name: str) -> None:
    mapped, document = LIBRARY.map(name, []), LIBRARY.document(name)
    assert mapped is not None
    assert document is not None
    compared = 0
    for test in document.data["tests"]:
        try:
            tree = mapped.source.decode(str(test["given"]).encode(), "utf-8")
            message = Message(b"", **test.get("envelope", {}))
            made = mapped.make(tree, mapped.env(tree, message))
        except BadMessage as error:
            with pytest.raises(BadMessage, match=error.code):
                trace(mapped, tree, message)
            continue
        traced, rows = trace(mapped, tree, message)
        assert traced == made
        assert all(row.origin.file and row.origin.line > 1 for row in rows)
        compared += 1
    assert compared


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder in ("channels", "maps"):
        (tmp_path / folder).mkdir()
    (tmp_path / "maps" / "to-lis.yaml").write_text(
        "map: to-lis\nfrom: delimited\nto: hl7v2\nmake:\n  MSH: {9: {1: ADT, 2: A08}}\n"
        "  PID: {3: [{each: $.rows, make: {1: $.id}}], 5: '$.rows[0].name'}\n"
    )
    (tmp_path / "channels" / "people.yaml").write_text(
        "channel: people\nfrom: {mllp: {port: 2601}}\nto: {lis: {map: to-lis, send: {mllp: {host: x, port: 1}}}}\n"
        "format: {delimited: {columns: [id, name], separator: '|', charset: GB18030}}\n"
    )
    (tmp_path / "people.txt").write_bytes("P1|张三\nP2|李四\n".encode("gb18030"))
    return tmp_path


def shown(site: Path, *more: str) -> Any:
    arguments = ["--site", str(site), "map", "run", str(site / "people.txt"), "--map", "to-lis", *more]
    return CliRunner().invoke(app, arguments)


app.add_typer(maps, name="map")


def test_a_file_is_run_through_a_map(site: Path) -> None:
    result = shown(site, "--channel", "people")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "P1|张三" in lines
    assert "PID|||P1~P2||张三" in lines
    assert [line.split() for line in lines[-6:]] == [
        ["path", "value", "line", "from"],
        ["MSH-9.1", "ADT", "to-lis.yaml:5"],
        ["MSH-9.2", "A08", "to-lis.yaml:5"],
        ["PID-3[1].1", "P1", "to-lis.yaml:6", "$.rows", "[1]", ">", "$.id"],
        ["PID-3[2].1", "P2", "to-lis.yaml:6", "$.rows", "[2]", ">", "$.id"],
        ["PID-5", "张三", "to-lis.yaml:6", "$.rows[0].name"],
    ]


def test_the_same_for_tools(site: Path) -> None:
    told = json.loads(shown(site, "--channel", "people", "--json").stdout)
    assert told["input"] == {"format": "delimited", "text": "P1|张三\nP2|李四"}
    assert told["rows"][3] == {
        "path": "PID-3[2].1",
        "value": "P2",
        "file": str(site / "maps" / "to-lis.yaml"),
        "line": 6,
        "from": ["$.rows [2] > $.id"],
    }


def test_what_cannot_be_run_is_said(site: Path) -> None:
    refused = shown(site)
    assert refused.exit_code == 1
    assert "people.txt: JL-M0" in refused.stderr
    (site / "maps" / "to-lis.yaml").write_text(
        "map: to-lis\nfrom: delimited\nto: hl7v2\nmake: {PID: {3: $.a | upperr}}\n"
    )
    wrong = shown(site)
    assert wrong.exit_code == 2
    assert "to-lis.yaml:4:17: JL-C102" in wrong.stderr
    assert shown(site, "--channel", "persons").exit_code == 2
