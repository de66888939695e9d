"""JSON Schema and XSD of a site's own: exact places, our own words, and nothing fetched."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from schemas.json import Json
from schemas.validation.base import BadKind, Fault
from schemas.validation.kinds import kind_of
from schemas.xml import Xml

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "items"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "maxLength": 5},
        "born": {"type": "string", "format": "date"},
        "amount": {"type": "number", "multipleOf": 0.01},
        "items": {"type": "array", "minItems": 1, "items": {"$ref": "parts/item.json"}},
    },
}
ITEM = {"required": ["code"], "properties": {"code": {"enum": ["A", "B"]}, "n": {"minimum": 1}}}

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o" xmlns="urn:o"'
XSD = f"""<xs:schema {XS} elementFormDefault="qualified">
<xs:include schemaLocation="types.xsd"/>
<xs:element name="Order"><xs:complexType><xs:sequence>
 <xs:element name="Id" type="Short"/>
 <xs:element name="Born" type="xs:date" minOccurs="0"/>
 <xs:element name="Item" maxOccurs="2"><xs:complexType><xs:simpleContent><xs:extension base="xs:string">
  <xs:attribute name="code" type="Code" use="required"/>
 </xs:extension></xs:simpleContent></xs:complexType></xs:element>
</xs:sequence></xs:complexType></xs:element></xs:schema>"""
TYPES = f"""<xs:schema {XS}>
<xs:simpleType name="Short"><xs:restriction base="xs:string"><xs:maxLength value="5"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Code"><xs:restriction base="xs:string">
 <xs:enumeration value="A"/><xs:enumeration value="B"/></xs:restriction></xs:simpleType></xs:schema>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    (tmp_path / "parts" / "item.json").write_text(json.dumps(ITEM))
    (tmp_path / "order.xsd").write_text(XSD)
    (tmp_path / "types.xsd").write_text(TYPES)
    return tmp_path


def of_json(folder: Path, text: str) -> list[Fault]:
    return kind_of("order.json", folder).validator(Json().decode(text.encode()))


def of_xml(folder: Path, text: str) -> list[Fault]:
    return kind_of("order.xsd", folder).validator(Xml().decode(text.encode()))


def test_right_json_has_no_faults_and_money_stays_exact(folder: Path) -> None:
    assert of_json(folder, '{"id":"1","items":[{"code":"A","n":1}],"amount":12345678901234.57}') == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{}", ("/id", "JL-V001")),
        ('{"id":1,"items":[{"code":"A"}]}', ("/id", "JL-V005")),
        ('{"id":"SECRET","items":[{"code":"A"}]}', ("/id", "JL-V007")),
        ('{"id":"1","items":[]}', ("/items", "JL-V007")),
        ('{"id":"1","items":[{"code":"A"},{}]}', ("/items/1/code", "JL-V001")),
        ('{"id":"1","items":[{"code":"SECRET"}]}', ("/items/0/code", "JL-V006")),
        ('{"id":"1","items":[{"code":"A","n":0}]}', ("/items/0/n", "JL-V007")),
        ('{"id":"1","items":[{"code":"A"}],"amount":1.005}', ("/amount", "JL-V007")),
        ('{"id":"1","items":[{"code":"A"}],"born":"1990-02-31"}', ("/born", "JL-V005")),
        ('{"id":"1","items":[{"code":"A"}],"x":1}', ("", "JL-V003")),
    ],
)
def test_a_fault_in_json_is_named_by_pointer(folder: Path, text: str, place: tuple[str, str]) -> None:
    found = of_json(folder, text)
    assert place in [(fault.path, fault.code) for fault in found]
    assert "SECRET" not in str(found)


def test_right_xml_has_no_faults_whatever_its_prefix(folder: Path) -> None:
    assert of_xml(folder, '<Order xmlns="urn:o"><Id>1</Id><Item code="A"/></Order>') == []
    assert of_xml(folder, '<p:Order xmlns:p="urn:o"><p:Id>1</p:Id><p:Item code="A"/></p:Order>') == []


@pytest.mark.parametrize(
    ("inner", "place"),
    [
        ('<Id>SECRET</Id><Item code="A"/>', ("/Order/Id", "JL-V007")),
        ('<Id>1</Id><Born>SECRET</Born><Item code="A"/>', ("/Order/Born", "JL-V005")),
        ('<Id>1</Id><Item code="A"/><Item code="SECRET"/>', ("/Order/Item[2]/@code", "JL-V006")),
        ("<Id>1</Id><Item/>", ("/Order/Item", "JL-V001")),
        ('<Id>1</Id><Item code="A" z="SECRET"/>', ("/Order/Item/@z", "JL-V003")),
        ('<Id>1</Id><Item code="A"/><Item code="A"/><Item code="A"/>', ("/Order/Item[3]", "JL-V003")),
        ("<Id>1</Id>", ("/Order", "JL-V001")),
        ('<Item code="A"/>', ("/Order/Item", "JL-V003")),
        ('<Id>1</Id>SECRET<Item code="A"/>', ("/Order", "JL-V003")),
    ],
)
def test_a_fault_in_xml_is_named_by_path(folder: Path, inner: str, place: tuple[str, str]) -> None:
    found = of_xml(folder, f'<Order xmlns="urn:o">{inner}</Order>')
    assert place in [(fault.path, fault.code) for fault in found]
    assert len(found) == 1
    assert "SECRET" not in str(found)


def test_no_more_faults_are_told_than_anybody_reads(folder: Path) -> None:
    assert len(of_json(folder, json.dumps({"id": "1", "items": [{}] * 1000}))) == 100


@pytest.mark.parametrize(
    ("name", "text", "code", "where"),
    [
        ("a.json", '{"type": "strin"}', "JL-C073", "/type"),
        ("a.json", '{\n "type": }', "JL-C073", "a.json:2:10"),
        ("a.json", '{"$schema": "http://json-schema.org/draft-07/schema#"}', "JL-C073", "/$schema"),
        ("a.json", '{"$ref": "gone.json"}', "JL-C073", "gone.json"),
        ("a.json", '{"$ref": "#/$defs/gone"}', "JL-C073", "gone"),
        ("a.json", '{"$ref": "../outside.json"}', "JL-C073", "outside.json"),
        ("a.json", '{"pattern": "("}', "JL-C073", "/pattern"),
        ("a.xsd", "<no", "JL-C073", "a.xsd:1"),
        ("a.xsd", f"<xs:schema {XS}>\n<xs:element name='A' type='Gone'/></xs:schema>", "JL-C073", "a.xsd:2"),
        (
            "a.xsd",
            f"<xs:schema {XS}>\n<xs:include schemaLocation='gone.xsd'/></xs:schema>",
            "JL-C072",
            "a.xsd:2",
        ),
        (
            "a.xsd",
            f"<xs:schema {XS}>\n<xs:include schemaLocation='../../x.xsd'/></xs:schema>",
            "JL-C073",
            "nothing is fetched",
        ),
    ],
)
def test_a_bad_schema_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, code: str, where: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadKind) as said:
        kind_of(name, tmp_path)
    assert said.value.code == code
    assert where in said.value.text


def test_nothing_is_fetched(tmp_path: Path) -> None:
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x"
    texts = {
        "a.json": json.dumps({"$ref": f"{url}.json"}),
        "a.xsd": f"<xs:schema {XS}><xs:import namespace='urn:p' schemaLocation='{url}.xsd'/></xs:schema>",
        "b.xsd": f'<!DOCTYPE x SYSTEM "{url}.dtd"><xs:schema {XS}/>',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with contextlib.suppress(BadKind):  # b.xsd, which asks only for a DTD, is good
            kind_of(name, tmp_path)
    server.shutdown()
    server.server_close()
    assert asked == []
