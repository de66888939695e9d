"""XML: lxml without entities, DTD or network; paths are XPath 1.0; built from dicts.

A tree is the root element. Values of a map: `{Root: {"@version": "1", Name: x, Item: [a, b], "#text": t}}`; a
name without a prefix belongs to the default namespace (`"@xmlns"`) of the element around it. `{"#empty": true}`
is an element without content: nothing else says so, for what is empty is not made.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, field_validator

from config import registry
from config.errors import BadMessage
from schemas import charsets
from schemas.base import BadPath, Gather, Path

MAX_BYTES = 100_000_000  # libxml2 adds: 256 levels, 10 MB of text in one node
MAX_PATH = 1_000  # characters
_ROOT = "collection"
NAMESPACES = {
    "v3": "urn:hl7-org:v3",
    "cda": "urn:hl7-org:v3",
    "sdtc": "urn:hl7-org:sdtc",
    "fhir": "http://hl7.org/fhir",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_NO_ELEMENT = re.compile(r"/(?:@[\w:.*-]+|text\(\))$|^(?:string|number|count|concat|boolean)\(.*")
_PREFIX = re.compile(r"[^\W\d][\w.-]*")
_DECLARED = re.compile(r"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")

Element = etree._Element
Prefixes = Mapping[str, str]


class XmlText(BaseModel):
    """The options of `xml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    namespaces: dict[str, str] = Field(default={}, description="prefixes for paths and names: `{hip: urn:x}`")
    charset: str = Field(
        default="", description="what is written; else UTF-8. A document says itself what it is in"
    )

    @field_validator("namespaces")
    @classmethod
    def _usable(cls, namespaces: dict[str, str]) -> dict[str, str]:
        for prefix, uri in namespaces.items():
            if not _PREFIX.fullmatch(prefix) or not uri or prefix[:3].lower() == "xml":
                raise ValueError(f"{prefix!r} cannot be a prefix of {uri!r}; `{{v3: urn:hl7-org:v3}}`")
        return namespaces


class Xml:
    """Format `xml`."""

    name = "xml"
    Options = XmlText

    def __init__(self, options: XmlText | None = None) -> None:
        self.options = options or XmlText()
        self.charset = self.options.charset
        self._namespaces = {**NAMESPACES, **self.options.namespaces}

    def decode(self, body: bytes, charset: str = "") -> Element:
        """Raises BadMessage: JL-M030 not XML, JL-M031 a DTD, JL-M032 too large."""
        if len(body) > MAX_BYTES:
            raise BadMessage("JL-M032", f"larger than {MAX_BYTES} bytes")
        try:
            root = etree.fromstring(_utf8(body, charset), _parser())
        except etree.XMLSyntaxError as error:
            line, column = error.position
            raise BadMessage("JL-M030", f"not XML: {error.msg}", f"line {line} column {column}") from None
        except ValueError as error:
            raise BadMessage("JL-M030", f"not XML: {error}") from None
        if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
            raise BadMessage("JL-M031", "a document type declaration is not accepted")
        return root

    def encode(self, tree: Element, charset: str = "") -> bytes:
        """UTF-8, unless the receiver wants something else; what a charset lacks becomes `&#n;`."""
        charset = charset or self.charset
        known = charsets.codec(charset)
        if charset and not known:
            raise BadMessage("JL-M033", f"no charset is called {charset!r}")
        target = "GB18030" if known == "gb18030" else known or "UTF-8"
        try:
            return bytes(etree.tostring(tree.getroottree(), encoding=target.upper(), xml_declaration=True))  # type: ignore[arg-type]
        except LookupError:
            raise BadMessage("JL-M033", f"XML cannot be written in {charset}") from None

    def path(self, text: str) -> Path:
        """`/Root/Name`, `//v3:id/@root` from the root; `./v3:id/@root` from the item. Raises BadPath."""
        return compile_path(text, self._namespaces)

    def items(self, text: str) -> Callable[[Any], list[Element]]:
        return items_at(text, self._namespaces)

    def gathers(self, text: str) -> Gather:
        """Their roots under one: `results`, or with a prefix that is known, `v3:results`."""

        def root() -> Element:
            return _element(None, text or _ROOT, None, "", self._namespaces)

        def write(trees: list[Any], charset: str) -> bytes:
            whole = root()
            whole.extend(copy.deepcopy(trees))
            return self.encode(whole, charset)

        try:
            root()
        except BadMessage as error:
            raise BadPath(error.text) from None
        return Gather(write)

    def build(self, made: Any, start: Any = None) -> Element:
        """Raises BadMessage (JL-M034 with the path of what cannot be written)."""
        if not isinstance(made, Mapping) or len(made) != 1:
            raise BadMessage("JL-M034", "an XML document has one root element")
        ((name, value),) = made.items()
        prefixes = self._namespaces
        if start is None:
            return _element(None, str(name), value, f"/{name}", prefixes)
        root: Element = copy.deepcopy(start)
        if etree.QName(root).localname != str(name).rpartition(":")[2]:
            raise BadMessage("JL-M034", f"the root element is {etree.QName(root).localname}", f"/{name}")
        _lay(root, value, f"/{name}", prefixes)
        return root

    def sniff(self, tree: Element) -> str:
        return etree.QName(tree).localname


class _Node(etree.ElementBase):
    """An element that was read. It is something in a map even where it has no children, which lxml calls false."""

    def __bool__(self) -> bool:
        return True


_NODES = etree.ElementDefaultClassLookup(element=_Node)


def _parser() -> etree.XMLParser:
    """A parser of its own for each document: lxml's are not for two threads at once."""
    made = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=False)
    made.set_element_class_lookup(_NODES)
    return made


def text_of(body: bytes, charset: str = "") -> str:
    """A document's letters: by its mark, its declaration, the channel's word, or trial where they lie."""
    mark, marked = charsets.byte_order_mark(body)
    if not marked and body[:4] in (b"<\0?\0", b"\0<\0?"):
        marked = "utf-16-le" if body[0] else "utf-16-be"
    if marked:
        text = charsets.decode(body[len(mark) :], [marked]).text
    else:
        match = _DECLARED.match(body[:300].decode("latin-1"))
        # A declaration that can be read byte by byte is in no UTF-16, whatever it says.
        said = match[1] if match and charsets.codec(match[1])[:6] not in ("utf-16", "utf-32") else "utf-8"
        text = charsets.decode(body, [said], charset).text
    return text.lstrip("\ufeff \t\r\n")


def _utf8(body: bytes, charset: str) -> bytes:
    return text_of(body, charset).encode("utf-8", "surrogatepass")


def compile_path(text: str, namespaces: Mapping[str, str]) -> Path:
    """XPath 1.0. A prefix nobody named is found here, not when a message comes."""
    if len(text) > MAX_PATH:
        raise BadPath(f"a path of more than {MAX_PATH} characters")
    if text and text[0] not in "/.":
        raise BadPath(f"{text!r} is no XML path; it begins with / or, inside each, with ./", f"//{text}")
    try:
        find = etree.XPath(text or ".", namespaces=dict(namespaces), smart_strings=False)
        find(etree.Element("nothing"))
    except etree.XPathError as error:
        unknown = re.search(r"([A-Za-z_][\w.-]*):(?!:)", text) if "prefix" in str(error) else None
        near = registry.nearest(unknown[1], namespaces) if unknown else ""
        nearest = text.replace(f"{unknown[1]}:", f"{near}:") if unknown and near else ""
        if re.fullmatch(r"\.\w[\w.]*", text):  # as a path into JSON is written
            nearest = text.replace(".", "/")
        raise BadPath(f"not XPath 1.0: {error}", nearest) from None

    def many(node: Any) -> list[Any]:
        if not isinstance(node, Element):
            return [node] if text in ("", ".") else []
        found = find(node)
        nodes = found if isinstance(found, list) else [found]
        return [item for item in nodes if item != ""]

    def one(node: Any) -> Any:
        return next((value for item in many(node) if (value := _scalar(item)) is not None), None)

    def there(node: Any) -> bool | None:
        return any(map(_holds, many(node))) or None

    return Path(text, one, many, relative=text[:1] != "/", there=there)


def items_at(text: str, namespaces: Mapping[str, str]) -> Callable[[Any], list[Element]]:
    """What makes documents of the elements at a path, each with the namespaces that it is in.

    Raises BadPath where a path leads to no elements; what it gives raises BadMessage (JL-M090) where there are none.
    """
    path = compile_path(text, namespaces)
    if text in ("", ".", "/"):
        raise BadPath(f"{text!r} is the whole document, not its items")
    if _NO_ELEMENT.search(text):
        raise BadPath(f"{text!r} leads to no elements", _NO_ELEMENT.sub("", text))

    def items(tree: Any) -> list[Element]:
        found = path.many(tree)
        if not found:
            raise BadMessage("JL-M090", "there is no such element, and so no item", text)
        if not all(isinstance(node, Element) for node in found):
            raise BadMessage("JL-M090", "what stands there is no element", text)
        return [etree.fromstring(etree.tostring(node, with_tail=False), _parser()) for node in found]

    return items


_TEXT = etree.XPath("string()", smart_strings=False)


def text_within(element: Element) -> str:
    """All text in an element and in those within it, behind them too; of comments nothing (XPath 1.0, section 5.2)."""
    return str(_TEXT(element)) if len(element) else element.text or ""


def _scalar(found: Any) -> Any:
    """An element is its text without the white space around it; a number is int or Decimal."""
    if isinstance(found, Element):
        found = text_within(found)
    if isinstance(found, str):
        return found.strip() or None
    if isinstance(found, float):
        if found != found:  # number() of what is none
            return None
        return int(found) if found.is_integer() else Decimal(repr(found))
    return found if isinstance(found, bool) else None


def _holds(found: Any) -> bool:
    """Whether an element, or one in it, has text or an attribute: HL7 V3 says nearly all by attributes."""
    if _scalar(found) is not None:
        return True
    return isinstance(found, Element) and any(
        value for one in found.iter("*") for value in one.attrib.values()
    )


def _name(name: str, at: str, scope: Mapping[Any, str], known: Prefixes) -> etree.QName:
    """A name with its prefix looked up; the known prefixes need no declaration."""
    prefix, _, local = name.rpartition(":")
    uri = scope.get(prefix or None) or (known.get(prefix) if prefix else None)
    if prefix and not uri:
        raise BadMessage("JL-M034", f"nobody says what the prefix {prefix} stands for", at)
    try:
        return etree.QName(uri, local)
    except ValueError:
        raise BadMessage("JL-M034", f"{local!r} is no name of an element or attribute", at) from None


def _element(parent: Element | None, name: str, value: Any, at: str, known: Prefixes) -> Element:
    """A new element, last in its parent."""
    scope: dict[Any, str] = dict(parent.nsmap) if parent is not None else {}
    declared: dict[Any, str] = {}
    if isinstance(value, Mapping):
        for key, uri in value.items():
            if str(key) == "@xmlns" or str(key).startswith("@xmlns:"):
                declared[str(key).partition(":")[2] or None] = str(uri)
    qname = _name(name, at, {**scope, **declared}, known)
    attributes = [str(key)[1:] for key in value if str(key)[:1] == "@"] if isinstance(value, Mapping) else []
    for prefix in [used.rpartition(":")[0] for used in (name, *attributes)]:
        if prefix in known and prefix not in scope and prefix not in declared:
            declared[prefix] = known[prefix]
    if parent is None:
        made = etree.Element(qname, nsmap=declared)
    else:
        made = etree.SubElement(parent, qname, nsmap=declared)
    _lay(made, value, at, known)
    return made


def _lay(element: Element, value: Any, at: str, known: Prefixes) -> None:
    """Lays a value over an element: named attributes and children change, the others stay."""
    if isinstance(value, Element):
        _become(element, value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if inner is not None:
                _lay_part(element, str(key), inner, f"{at}/{key}", known)
    elif value is not None:
        _clear(element)
        _set_text(element, _text(value, at), at)


def _lay_part(element: Element, key: str, value: Any, at: str, known: Prefixes) -> None:
    if key == "@xmlns" or key.startswith("@xmlns:"):
        return
    if key == "#empty":
        _clear(element)
    elif key == "#text":
        _set_text(element, _text(value, at), at)
    elif key.startswith("@"):
        name = key[1:]
        qname = _name(name, at, element.nsmap if ":" in name else {}, known)
        try:
            element.set(qname, _text(value, at))
        except ValueError:
            raise BadMessage("JL-M034", "a character that XML does not allow", at) from None
    else:
        _lay_children(element, key, value, at, known)


def _lay_children(element: Element, name: str, value: Any, at: str, known: Prefixes) -> None:
    """A list replaces all children of the name, anything else is laid over the first."""
    old = element.findall(_name(name, at, element.nsmap, known).text)
    if not isinstance(value, list | tuple):
        if old:
            _lay(old[0], value, at, known)
        else:
            _element(element, name, value, at, known)
        return
    place = element.index(old[0]) if old else len(element)
    for child in old:
        element.remove(child)
    made = [_element(element, name, item, at, known) for item in value if item is not None]
    for offset, child in enumerate(made):
        element.insert(place + offset, child)


def _become(element: Element, other: Element) -> None:
    """What a path found goes in whole, under the name it is given."""
    _clear(element)
    element.text = other.text
    for name, value in other.attrib.items():
        element.set(name, value)
    element.extend(copy.deepcopy(list(other)))


def _clear(element: Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = None


def _set_text(element: Element, text: str, at: str) -> None:
    try:
        element.text = text
    except ValueError:
        raise BadMessage("JL-M034", "a character that XML does not allow", at) from None


def _text(value: Any, at: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int):
        return str(value)
    raise BadMessage("JL-M034", f"a {type(value).__name__} cannot stand here", at)


registry.format("xml")(Xml())
