"""XML: letters, what is refused, XPath, building."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.xml import Xml, XmlText

XML = Xml()
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
V3 = XML.decode(
    b'<A xmlns="urn:hl7-org:v3"><patient><id root="1.2" extension="P1"/><id root="1.3" extension="P2"/>'
    b"<name> Li <b>Si</b> </name><empty/><n>1.50</n></patient></A>"
)


def text(tree: Any) -> str:
    return XML.encode(tree).decode().partition("?>\n")[2]


def test_the_registry_gives_the_format_ready_to_use() -> None:
    assert registry.formats.get("xml").name == "xml"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("", "utf-8"),
        ("GBK", "gbk"),
        ("GB2312", "gb18030"),
        ("gb18030", "gb18030"),
        ("UTF-16", "utf-16"),
        ("UTF-8", "gb18030"),
        ("GB2312", "utf-8-sig"),
        ("GB2312", "utf-8"),
        ("UTF-16", "utf-8"),
    ],
)
def test_chinese_is_read_as_declared_or_as_it_is(declared: str, codec: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    tree = XML.decode(f"{head}\n<姓名>镕基</姓名>".encode(codec))
    assert (XML.sniff(tree), XML.path("/姓名").one(tree)) == ("姓名", "镕基")


@pytest.mark.parametrize("charset", ["", "UTF-8", "GBK", "GB18030", "UTF-16", "ASCII", "8859/1"])
def test_every_charset_is_written_with_its_declaration(charset: str) -> None:
    body = XML.encode(XML.build({"a": "张𠮷"}), charset)
    assert XML.path("/a").one(XML.decode(body)) == "张𠮷"


def test_a_charset_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadMessage, match="JL-M033"):
        XML.encode(V3, "Klingon")


BOMB = b'<!DOCTYPE a [<!ENTITY x "ha">' + b"".join(
    b'<!ENTITY x%d "%s">' % (n, b"&x%s;" % (b"%d" % (n - 1) if n else b"") * 10) for n in range(12)
)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "JL-M030"),
        (b"   ", "JL-M030"),
        (b"<a>", "JL-M030"),
        (b"<a></b>", "JL-M030"),
        (b"<a/><b/>", "JL-M030"),
        (b"<a>\x00</a>", "JL-M030"),
        (b"<a>&unknown;</a>", "JL-M030"),
        (b"<a:b/>", ""),
        (b"<a>" * 5000 + b"</a>" * 5000, "JL-M030"),
        (b"<!DOCTYPE a><a/>", "JL-M031"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "JL-M031"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "JL-M031"),
        (BOMB + b"]><a>&x11;</a>", ""),
        (BOMB + b']><a b="&x11;"/>', ""),
    ],
)
def test_what_is_no_plain_xml_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadMessage) as caught:
        XML.decode(body)
    assert caught.value.code == code or (not code and caught.value.code in ("JL-M030", "JL-M031"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("//v3:patient/v3:id/@extension", "P1"),
        ("/v3:A/v3:patient/v3:id[2]/@root", "1.3"),
        ("//v3:name", "Li Si"),
        ("//v3:name/text()", "Li"),
        ("//v3:empty", None),
        ("//v3:nothing/@x", None),
        ("//patient", None),
        ("//*[local-name()='n']", "1.50"),
    ],
)
def test_a_path_gives_the_first_text_or_none(path: str, value: Any) -> None:
    assert XML.path(path).one(V3) == value


def test_the_items_of_each_take_relative_paths() -> None:
    ids = XML.path("//v3:id").many(V3)
    relative = XML.path("./@extension")
    assert [relative.one(item) for item in ids] == ["P1", "P2"]
    assert XML.path("//v3:id/@root").many(V3) == ["1.2", "1.3"]
    assert [XML.path("").one(item) for item in XML.path("//v3:n").many(V3)] == ["1.50"]
    assert relative.relative
    assert not XML.path("/a").relative


def test_a_channel_names_its_own_namespaces() -> None:
    tree = XML.decode(b'<q:a xmlns:q="urn:q">1</q:a>')
    assert Xml(XmlText(namespaces={"q": "urn:q"})).path("/q:a").one(tree) == "1"
    with pytest.raises(BadPath):
        XML.path("/q:a")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("Root/Name", "//Root/Name"), ("/a[", ""), ("//sopa:id", "//soap:id"), ("//nope(1)", "")],
)
def test_a_wrong_path_is_refused(wrong: str, nearest: str) -> None:
    with pytest.raises(BadPath) as caught:
        XML.path(wrong)
    assert caught.value.nearest == nearest


def test_a_shape_becomes_a_document() -> None:
    shape = {
        "PatientInfo": {
            "@xmlns": "urn:x",
            "@version": 1,
            "Name": "<张>",
            "Item": [1, {"@a": True, "#text": Decimal("1.50")}, None],
            "None": None,
            "v3:id": {"@root": "1", "@xsi:type": "II"},
        }
    }
    tree = XML.decode(XML.encode(XML.build(shape)))
    named = Xml(XmlText(namespaces={"p": "urn:x"}))
    assert named.path("/p:PatientInfo/@version").one(tree) == "1"
    assert named.path("//p:Item").many(tree)[1].get("a") == "true"
    found = [
        named.path(path).one(tree) for path in ("//p:Name", "//p:Item[2]", "//v3:id/@xsi:type", "//p:None")
    ]
    assert found == ["<张>", "1.50", "II", None]


def test_an_element_that_a_receiver_wants_without_content_is_made_so() -> None:
    shape = {"a": {"@xmlns": "urn:x", "code": {"#empty": True}, "b": {"@c": 1, "#empty": True}}}
    assert text(XML.build(shape)) == '<a xmlns="urn:x"><code/><b c="1"/></a>'
    start = XML.decode(b'<a><b x="1">old<c/></b></a>')
    assert text(XML.build({"a": {"b": {"#empty": True}}}, start)) == '<a><b x="1"/></a>'


def test_laid_over_a_document_only_what_is_named_changes() -> None:
    start = XML.decode(b'<a x="1" y="2"><b>1</b><c><d>1</d><e/></c><i>1</i><i>2</i><z/></a>')
    made = XML.build({"a": {"@x": 9, "b": "new", "c": {"d": 5}, "i": ["A", "B", "C"], "n": "added"}}, start)
    assert text(made) == (
        '<a x="9" y="2"><b>new</b><c><d>5</d><e/></c><i>A</i><i>B</i><i>C</i><z/><n>added</n></a>'
    )
    assert XML.path("/a/b").one(start) == "1"


def test_an_element_that_a_path_found_goes_in_whole() -> None:
    (patient,) = XML.path("//v3:patient").many(V3)
    assert XML.path("/R/v3:id[2]/@extension").one(XML.build({"R": patient})) == "P2"


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ({}, ""),
        ({"a": 1, "b": 2}, ""),
        ("text", ""),
        ({"a b": 1}, "/a b"),
        ({"a": {"@1": 1}}, "/a/@1"),
        ({"a": {"b": "\x01"}}, "/a/b"),
        ({"a": {"@b": "\x01"}}, "/a/@b"),
        ({"a": {"q:b": 1}}, "/a/q:b"),
        ({"a": 1.5}, "/a"),
    ],
)
def test_a_shape_that_is_no_document_is_refused_with_its_place(shape: Any, path: str) -> None:
    with pytest.raises(BadMessage) as caught:
        XML.build(shape)
    assert (caught.value.code, caught.value.path) == ("JL-M034", path)


def test_a_shape_with_another_root_cannot_be_laid_over() -> None:
    with pytest.raises(BadMessage, match="JL-M034"):
        XML.build({"b": 1}, XML.decode(b"<a/>"))


SCRAPS = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<a b='1'/>", "<!DOCTYPE a>", "<?xml version='1.0'?>", "&amp;", "<![CDATA[", "张"]
    )
)


@given(st.binary(max_size=60) | SCRAPS.map("".join).map(str.encode))
def test_any_bytes_give_a_tree_or_a_refusal(body: bytes) -> None:
    try:
        tree = XML.decode(body)
    except BadMessage:
        return
    assert XML.sniff(XML.decode(XML.encode(tree))) == XML.sniff(tree)


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=10)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), WORDS))
def test_what_is_built_and_written_is_read_again(fields: dict[str, str]) -> None:
    tree = XML.decode(XML.encode(XML.build({"r": fields}), "GB18030"))
    assert {name: XML.path(f"/r/{name}").one(tree) for name in fields} == fields


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the repository")
def test_documents_of_the_corpus_are_read_unless_they_have_a_dtd_or_are_fragments() -> None:
    """Many C-CDA examples are cut out of a document and use prefixes (xsi, sdtc) that nothing declares."""
    reasons = {"Namespace prefix": 0, "document type": 0, "Premature end": 0, "": 0}
    for folder in ("cda/ccda-examples", "pairs/ms-cda-fhir", "mpl/mirth-xml", "mpl/hapi-v2xml"):
        for file in (CORPUS / folder).glob("*.xml"):
            try:
                tree = XML.decode(file.read_bytes())
            except BadMessage as error:
                reasons[next(reason for reason in reasons if reason in error.text)] += 1
                continue
            reasons[""] += 1
            assert XML.sniff(XML.decode(XML.encode(tree))) == XML.sniff(tree)
    assert reasons == {"Namespace prefix": 116, "document type": 2, "Premature end": 1, "": 163}


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("Hb <b>13.2</b> g/dl", "Hb 13.2 g/dl"),
        ("a<br/>b", "ab"),
        ("13<!-- corrected -->.2", "13.2"),
        ("<![CDATA[1]]><?x y?><![CDATA[2]]>", "12"),
    ],
)
def test_the_text_of_an_element_is_all_of_it(inside: str, text: str) -> None:
    tree = Xml().decode(f"<r><n>{inside}</n> behind</r>".encode())
    assert str(Xml().path("//n").one(tree)) == text
