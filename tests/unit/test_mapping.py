"""Maps: what a shape makes, what vanishes, what a check says, and where an error points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config import registry
from config.errors import BadMessage, Problem
from config.text import parse
from schemas.message import Message
from transforms.library import SHIPPED_MAPS, Library
from transforms.mapping import Map, compile_map
from transforms.proving import prove

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "schemas" / "tables"
HL7 = registry.formats.get("hl7v2")
ADT = HL7.decode(
    b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ORU^R01|1|P|2.5\r"
    b"PID|1||P0001^^^HIS~X2^^^GA||Zhang^San||19800101|F\r"
    b"OBR|1|||CBC\rOBX|1|NM|a||1\rOBX|2|NM|b||2\r"
    b"OBR|2|||GLU\rOBX|1|NM|c||0\r"
)


def compiled(text: str, library: Library | None = None) -> Map:
    problems: list[Problem] = []
    found = compile_map(parse(text).data, library or Library([], [TABLES]), problems)
    assert found is not None, problems
    return found


def made(make: str, tree: Any = ADT, source: str = "hl7v2", message: Message | None = None) -> Any:
    """What a shape (YAML) makes of a message, as JSON."""
    spec = {"map": "x", "from": source, "to": "json", "make": {"made": parse(make).data, "kept": "$@id"}}
    problems: list[Problem] = []
    found = compile_map(spec, Library([], [TABLES]), problems)
    assert found is not None, problems
    body = found.run(tree, message or Message(b"", id="1"))
    return json.loads(body).get("made")


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        ("$PID-3.1", "P0001"),
        ("[$PID-5.1, $PID-99, $PID-5.2]", ["Zhang", "San"]),
        ("{a: $PID-5.1, b: $PID-99, c: 1}", {"a": "Zhang", "c": 1}),
        ("{a: $PID-99, c: 1}", None),
        ("{a: {b: {c: $PID-99, d: x}}, e: $PID-1}", {"e": "1"}),
        ("[{a: $PID-99, c: 1}, {c: 2}]", None),
        ("{c: 1, d: [2, '$$5']}", {"c": 1, "d": [2, "$5"]}),
        ("{a: $PID-5.1, c: '', d: null, e: [], f: {}, g: 0, h: false}", {"a": "Zhang", "g": 0, "h": False}),
        ("{each: $PID-3, make: {v: $.1, s: $.4}}", [{"v": "P0001", "s": "HIS"}, {"v": "X2", "s": "GA"}]),
        ("{each: $PID-3, make: $.4}", ["HIS", "GA"]),
        ("{each: $PID-3, make: $}", ["P0001", "X2"]),
        ("{each: $PID-3, make: [$.1, $.4]}", ["P0001", "HIS", "X2", "GA"]),
        ("[first, {each: $PID-3, make: $.1}, [last]]", ["first", "P0001", "X2", "last"]),
        ("{each: $PID-3, when: {$.4: GA}, make: $.1}", ["X2"]),
        ("{each: $PID-3, when: {$.4: GA}, make: $.1, else: $#}", [1, "X2"]),
        ("{each: $PID-99, make: {c: 1}}", None),
        ("{each: $OBR, make: {n: $#, code: $-4.1, of: {each: $>OBX, make: {n: $#, v: $-5}}}}",
         [{"n": 1, "code": "CBC", "of": [{"n": 1, "v": "1"}, {"n": 2, "v": "2"}]},
          {"n": 2, "code": "GLU", "of": [{"n": 1, "v": "0"}]}]),
        ("{each: $OBX, make: {patient: $PID-3.1, v: $-5 | number}}",
         [{"patient": "P0001", "v": n} for n in (1, 2, 0)]),
        ("{from: $PID, make: {v: $-3.1}}", {"v": "P0001"}),
        ("{from: $NK1, make: {c: 1}}", None),
        ("{from: $PID-8, other: 1}", {"from": "F", "other": 1}),
        ("{when: {$PID-8: F}, make: woman, else: man}", "woman"),
        ("{when: {$PID-8: M}, make: man}", None),
        ("{when: {$PID-8: F}, a: $PID-5.1, b: 2}", {"a": "Zhang", "b": 2}),
        ("{first: [$PID-99, $PID-2, $PID-3.1]}", "P0001"),
        ("{first: [$PID-99, unknown]}", "unknown"),
        ("{join: {of: [$PID-5.1, $PID-99, $PID-5.2], with: ' '}}", "Zhang San"),
        ("{join: {of: ['No. ', $PID-99]}}", None),
        ("{join: {of: ['No. ', $PID-1]}}", "No. 1"),
        ("{let: {name: $PID-5.1, loud: $name | upper}, make: [$name, $loud]}", ["Zhang", "ZHANG"]),
        ("{let: {who: $PID-3.1}, make: {each: $OBX, let: {v: $-5}, make: {join: {of: [$who, /, $v]}}}}",
         ["P0001/1", "P0001/2", "P0001/0"]),
        ("{let: {who: {each: $PID-3, make: $}}, make: {each: $who, make: {n: $#, v: $.1, s: $.4}}}",
         [{"n": 1, "v": "P0001", "s": "HIS"}, {"n": 2, "v": "X2", "s": "GA"}]),
        ("{let: {who: $PID-99}, make: {from: $who, make: {c: 1}}}", None),
        ("{use: official, family: $PID-5.1}", {"use": "official", "family": "Zhang"}),
        ("{raw: {use: $5, each: []}}", {"use": "$5", "each": []}),
        (r"{\when: $PID-1, \use: x}", {"when": "1", "use": "x"}),
        ("{a: $PID-99 | default x}", {"a": "x"}),
        ("$@id", "1"),
    ],
)  # fmt: skip
def test_a_shape_makes(make: str, wanted: Any) -> None:
    assert made(make) == wanted


def test_a_let_of_one_item_does_not_reach_the_next() -> None:
    text = "{each: $PID-3, let: {v: {when: {$.4: HIS}, make: $.1}}, make: {at: $#, v: $v}}"
    assert made(text) == [{"at": 1, "v": "P0001"}, {"at": 2}]


def test_the_envelope_is_read_from_the_message() -> None:
    message = Message(b"", "mllp 10.0.0.7:1", {"content-type": "x/y"}, "42", "his", 1767571200250)
    wanted = ["42", "mllp 10.0.0.7:1", "2026-01-05T00:00:00.250Z", "his", "x/y"]
    text = "[$@id, $@source, $@received, $@channel, $@header.Content-Type, $@header.other]"
    assert made(text, message=message) == wanted


def test_json_becomes_hl7_with_repetitions_segments_and_escapes() -> None:
    found = compiled(r"""
map: rest-to-query
from: json
to: hl7v2
make:
  - MSH: {3: HIS, 9: {1: QBP, 2: Q22}, 10: $@id, 12: "2.5"}
  - QPD: {1: {1: IHE PIX Query}, 2: $.query, 3: {each: $.ids, make: {1: $.id, 4: $.by}}}
  - each: $.reports
    make:
      OBR: {1: $#, 4: $.code}
      OBX: {each: $.results, make: {1: $#, 5: $.value}}
""")
    given = {"query": "a|b", "ids": [{"id": 7, "by": "HIS"}, {"id": 8}], "reports": [
        {"code": "X", "results": [{"value": 1}, {"value": 0}]}, {"code": "Y"}]}  # fmt: skip
    body = found.run(given, Message(b"", id="m1"))
    assert body.decode().split("\r") == [
        "MSH|^~\\&|HIS||||||QBP^Q22|m1||2.5",
        "QPD|IHE PIX Query|a\\F\\b|7^^^HIS~8",
        "OBR|1|||X", "OBX|1||||1", "OBX|2||||0", "OBR|2|||Y", "",
    ]  # fmt: skip


def test_start_copies_the_message_and_changes_only_what_is_named() -> None:
    found = compiled("map: x\nfrom: hl7v2\nto: hl7v2\nstart: $\nmake: {MSH: {5: NEW}, PID: {8: '1'}}\n")
    body = found.run(ADT)
    assert body == HL7.encode(ADT).replace(b"|LIS|", b"|NEW|").replace(b"|F\r", b"|1\r")
    assert HL7.path("MSH-5").one(ADT) == "LIS"


def test_a_whole_repetition_is_copied_with_its_parts() -> None:
    found = compiled(
        "map: x\nfrom: hl7v2\nto: hl7v2\nmake: {MSH: {12: $MSH-12}, PID: {3: {each: $PID-3, make: $}}}\n"
    )
    assert b"PID|||P0001^^^HIS~X2^^^GA\r" in found.run(ADT)


def test_xml_is_made_and_read_the_same_way() -> None:
    to_xml = compiled("""
map: x
from: json
to: xml
make:
  PatientInfo:
    "@version": "1"
    Name: $.name
    Card: {each: $.cards, make: {"@type": $.type, "#text": $.no}}
""")
    tree = to_xml.tree({"name": "张三", "cards": [{"type": "ID", "no": "1"}, {"type": "SS", "no": "2"}]})
    text = "{cards: {each: $//Card, make: {kind: $./@type, of: $/PatientInfo/Name, no: $.}}}"
    read = made(text, tree, "xml")
    assert read["cards"] == [{"kind": k, "of": "张三", "no": n} for k, n in (("ID", "1"), ("SS", "2"))]


def test_an_element_without_children_is_something() -> None:
    tree = registry.formats.get("xml").decode(b'<p><id r="1"/><id r="2"/><id/></p>')
    assert made("{let: {ids: {each: $/p/id, make: $}}, make: {each: $ids, make: $./@r}}", tree, "xml") == [
        "1",
        "2",
    ]
    copy = compiled("map: x\nfrom: xml\nto: xml\nmake: {q: {id: {each: $/p/id, make: $}}}\n").run(tree)
    assert copy.partition(b"?>\n")[2] == b'<q><id r="1"/><id r="2"/><id/></q>'


def test_a_json_subtree_passes_as_it_is() -> None:
    assert made("$.a", {"a": {"b": [], "c": 1}}, "json") == {"b": [], "c": 1}


def test_a_required_value_refuses_the_message_with_path_and_line(tmp_path: Path) -> None:
    (tmp_path / "strict.yaml").write_text(
        "map: strict\nfrom: hl7v2\nto: json\nmake:\n  a:\n    - $PID-99 | required\n"
    )
    found = Library([tmp_path], []).map("strict", [])
    assert found is not None
    with pytest.raises(BadMessage) as caught:
        found.run(ADT)
    assert (caught.value.code, caught.value.path) == ("JL-M050", "PID-99")
    assert "strict.yaml:6" in str(caught.value)


def test_a_map_that_makes_nothing_refuses_the_message() -> None:
    with pytest.raises(BadMessage, match="JL-M053"):
        compiled("map: x\nfrom: hl7v2\nto: json\nmake: {a: $PID-99}\n").run(ADT)


@pytest.mark.parametrize(
    ("text", "at", "code", "hint"),
    [
        ("{a: {each: $PID-3 | trim, make: $}}", ("a", "each"), "JL-C108", "without pipes"),
        ("{a: {each: $pid-3, make: $}}", ("a", "each"), "JL-C101", "$PID-3"),
        ("{a: {make: 1, b: 2}}", ("a", "b"), "JL-C108", "beside make"),
        ("{a: {make: 1, use: x}}", ("a", "use"), "JL-C108", "beside make"),
        ("{a: {else: 1, b: 2}}", ("a", "else"), "JL-C108", ""),
        ("{a: {use: pateint}}", ("a", "use"), "JL-C105", "did you mean patient?"),
        ("{a: {first: $PID-3}}", ("a", "first"), "JL-C108", ""),
        ("{a: {join: [$PID-3]}}", ("a", "join"), "JL-C108", ""),
        ("{a: {join: {of: [$PID-3], wiht: ' '}}}", ("a", "join"), "JL-C108", ""),
        ("{a: {let: {X: 1}, make: 2}}", ("a", "let", "X"), "JL-C108", ""),
        ("{a: {let: [1], make: 2}}", ("a", "let"), "JL-C108", ""),
        ("{a: {let: {name: $PID-5}, make: $nam}}", ("a", "make"), "JL-C109", "did you mean $name?"),
        ("{a: {when: {$PID-5: {exist: true}}, b: 2}}", ("a", "when", "$PID-5", "exist"), "JL-C110", "exists"),
        ("{a: $PID-3 | tabel gender}", ("a",), "JL-C102", "did you mean table?"),
        ("{a: {use: xpn}, b: {use: 5}}", ("b", "use"), "JL-C105", ""),
    ],
)
def test_a_mistake_in_a_shape_is_told_with_the_way_to_it(text: str, at: Any, code: str, hint: str) -> None:
    problems: list[Problem] = []
    spec = {"map": "x", "from": "hl7v2", "to": "json", "make": parse(text).data}
    assert compile_map(spec, Library([SHIPPED_MAPS], [TABLES]), problems, ("map",)) is None
    assert [(problem.at, problem.code) for problem in problems] == [(("map", "make", *at), code)]
    assert hint in problems[0].hint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("map: x\nform: hl7v2\nto: json\nmake: 1\n", "JL-C117"),
        ("map: x\nfrom: hl7v3\nto: json\nmake: 1\n", "JL-C116"),
        ("map: x\nfrom: hl7v2\nto: json\nstart: $\nmake: 1\n", "JL-C113"),
        ("map: x\nfrom: hl7v2\nto: hl7v2\nstart: $PID\nmake: 1\n", "JL-C108"),
        ("map: y\nfrom: hl7v2\nto: hl7v2\nmake: {use: loop}\n", "JL-C107"),
        ("map: y\nfrom: json\nto: json\nmake: {a: {use: loop}}\n", "JL-C113"),
        ("map: y\nfrom: json\nto: json\nmake: {a: {use: broken}}\n", "JL-C105"),
        ("[1]", "JL-C117"),
    ],
)
def test_a_mistake_in_a_maps_file_is_a_finding_of_that_file(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "loop.yaml").write_text("fragment: loop\nfrom: hl7v2\nmake: {a: {use: loop}}\n")
    (tmp_path / "types" / "broken.yaml").write_text(
        "fragment: broken\nfrom: json\nmake: {a: $.x | nothing}\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    library = Library([tmp_path], [])
    problems: list[Problem] = []
    assert library.map("x", problems, ("to", "lis", "map")) is None
    assert [(problem.at, problem.code) for problem in problems] == [(("to", "lis", "map"), "JL-C106")]
    assert code in {finding.code for finding in library.findings}
    assert all(finding.file.startswith(str(tmp_path)) and finding.line >= 1 for finding in library.findings)


def test_a_mistake_in_a_fragment_stands_in_the_fragments_file(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "bad.yaml").write_text("fragment: bad\nfrom: json\nmake:\n  a: $.x | nothing\n")
    (tmp_path / "x.yaml").write_text("map: x\nfrom: json\nto: json\nmake: [{use: bad}, {use: bad}]\n")
    library = Library([tmp_path], [])
    assert library.map("x", []) is None
    told = [str(finding) for finding in library.findings if finding.code == "JL-C102"]
    assert told == [f"{tmp_path}/types/bad.yaml:4:6: JL-C102: no pipe function is called 'nothing'"]


def test_a_fragment_from_any_serves_every_format_and_reads_only_names(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "who.yaml").write_text("fragment: who\nfrom: any\nmake: {v: $name, of: who}\n")
    (tmp_path / "types" / "bad.yaml").write_text("fragment: bad\nfrom: any\nmake: {v: $.x}\n")
    library = Library([tmp_path], [])
    for format, path, tree in (("hl7v2", "$PID-3.1", ADT), ("json", "$.id", {"id": "P0001"})):
        shape = f"map: x\nfrom: {format}\nto: json\nmake: {{let: {{name: {path}}}, use: who}}\n"
        assert json.loads(compiled(shape, library).run(tree)) == {"v": "P0001", "of": "who"}
    problems: list[Problem] = []
    assert (
        compile_map(parse("map: x\nfrom: json\nto: json\nmake: {use: bad}\n").data, library, problems) is None
    )
    assert ["reads only what" in finding.message for finding in library.findings] == [True]


def test_the_sites_folder_wins_and_a_map_says_what_it_used(tmp_path: Path) -> None:
    (tmp_path / "gender.csv").write_text("# default: other\ncode,value\nF,woman\n")
    library = Library([SHIPPED_MAPS], [tmp_path, TABLES])
    found = library.map("adt-to-fhir", [])
    assert found is not None
    assert found.tree(ADT)["entry"][0]["resource"]["gender"] == "woman"
    used = library.used("adt-to-fhir")
    assert tmp_path / "gender.csv" in used
    assert {SHIPPED_MAPS / "adt-to-fhir.yaml", SHIPPED_MAPS / "types" / "patient.yaml"} <= used


def test_an_unknown_map_is_told_with_the_nearest_name() -> None:
    problems: list[Problem] = []
    assert Library([SHIPPED_MAPS], [TABLES]).map("adt-to-fihr", problems) is None
    assert problems[0].hint == "did you mean adt-to-fhir?"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "", "empty"),
        ("t.csv", "a,b\n1,2\n", "code,value"),
        ("t.csv", "code,value\n1,2,3\n", "t.csv:2:1: JL-C114: 3 cells"),
        ("t.csv", "code,value\n1,2\n1,3\n", "t.csv:3:1: JL-C114: the code '1' stands twice"),
        ("t.yaml", "table: t\n", "rows"),
        ("t.yaml", "table: u\nrows: {a: b}\n", "called 't'"),
        ("t.yaml", "table: t\ndefualt: x\nrows: {a: b}\n", "did you mean default?"),
        ("t.yaml", "table: t\nrows: {a: [b]}\n", "plain text"),
    ],
)
def test_a_table_with_a_mistake_is_a_finding(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    library = Library([], [tmp_path])
    library.table("t")
    assert said in "\n".join(map(str, library.findings))


def test_a_table_says_what_becomes_of_codes_that_it_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "lenient.csv").write_text("# default: other\ncode,value\nF,woman\n")
    (tmp_path / "strict.yaml").write_text(
        "table: strict\nerror: true\nrows: {F: {value: w, display: woman}}\n"
    )
    library = Library([], [tmp_path])
    text = "map: x\nfrom: hl7v2\nto: json\n"
    text += "make: [$PID-1 | table lenient, $PID-8 | table strict to display]\n"
    assert json.loads(compiled(text, library).run(ADT)) == ["other", "woman"]
    with pytest.raises(BadMessage, match="JL-M051"):
        compiled("map: x\nfrom: hl7v2\nto: json\nmake: [$PID-1 | table strict]\n", library).run(ADT)


def test_a_failed_test_of_a_map_says_path_expected_and_got() -> None:
    found = compiled("map: x\nfrom: json\nto: json\nmake: {a: $.a | required}\n")
    tests = [
        {"name": "good", "given": '{"a": 1}', "expect": {"$.a": 1, "$.b": None}},
        {"name": "bad", "given": '{"a": 1}', "expect": {"$.a": 2}},
        {"name": "refused", "given": "{}", "expect": {"error": "JL-M050"}},
        {"name": "not refused", "given": '{"a": 1}', "expect": {"error": "JL-M050"}},
        {"name": "no json", "given": "{", "expect": {"$.a": 1}},
        {"nam": "?", "expect": {}},
    ]
    failures = prove(found, tests)
    assert [(failure.test, failure.path) for failure in failures] == [
        ("bad", "$.a"), ("not refused", "error"), ("no json", "error"), *[("test 6", "")] * 3,
    ]  # fmt: skip
    assert (failures[0].expected, failures[0].got) == (2, 1)


def test_the_maps_in_the_manual_compile_and_pass_their_tests() -> None:
    blocks = (ROOT / "transforms" / "README.md").read_text("utf-8").split("```yaml\n")[1:]
    texts = [text.split("```")[0] for text in blocks]
    library = Library([SHIPPED_MAPS], [TABLES])
    maps = [parse(text).data for text in texts if "\nmake:" in text and "\nto: " in text]
    assert len(maps) >= 5
    for spec in maps:
        problems: list[Problem] = []
        spec["make"] = json.loads(json.dumps(spec["make"]).replace("table old-sex", "table gender"))
        found = compile_map(spec, library, problems)
        assert found is not None, problems
        assert prove(found, spec.get("tests", [])) == []
