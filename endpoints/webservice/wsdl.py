"""A WSDL as data: which operations there are, how their bodies look, and what `?wsdl` serves.

WSDL 1.1 (W3C Note of 2001-03-15), read by zeep; nothing is fetched, all files are of the site. zeep is imported only
where a channel names a WSDL: it takes half a second.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from lxml import etree

from schemas.validation.xsd import Schema
from schemas.xml import Element

MAX_FILE = 10_000_000  # bytes
MAX_KNOWN = 100  # WSDLs
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_XS = "{http://www.w3.org/2001/XMLSchema}"
_ADDRESSES = tuple(f"{{http://schemas.xmlsoap.org/wsdl/{soap}/}}address" for soap in ("soap", "soap12"))
_POINTS = {
    f"{_WSDL}import": "location",
    f"{_XS}import": "schemaLocation",
    f"{_XS}include": "schemaLocation",
    f"{_XS}redefine": "schemaLocation",
}


class BadWsdl(Exception):
    """JL-C130 a file is missing or out of reach, JL-C131 it is no WSDL, JL-C132 nothing here reads it."""

    def __init__(self, code: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.hint = code, text, hint


@dataclass(frozen=True, slots=True)
class Part:
    """An argument or a result, its element in the body as `{namespace}name`. `text`: that holds no elements."""

    name: str
    tag: str
    text: bool = True
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """`tag` is the element of a request in the body, `answer` that of its answer."""

    name: str
    rpc: bool
    soap_action: str
    tag: str
    arguments: tuple[Part, ...]
    answer: str
    results: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Contract:
    """What a WSDL says. `versions`: the SOAP versions with a binding, "1.1" and "1.2".

    `schema` judges bodies in document style; None where its types make no schema, and `doubt` then says why.
    `files` are all that were read, by their names from the WSDL's folder; `main` is the WSDL's.
    """

    operations: Mapping[str, Operation]
    versions: frozenset[str]
    addresses: tuple[str, ...]
    files: Mapping[str, bytes]
    main: str
    schema: Schema | None = None
    doubt: str = ""

    def operation_of(self, child: Element) -> Operation | None:
        """Whose request that is: by its element, or where the caller mistook the namespace, by its name alone."""
        local = etree.QName(child).localname
        near = None
        for one in self.operations.values():
            if one.tag == child.tag:
                return one
            if one.tag.rpartition("}")[2] == local:
                near = one
        return near

    def served(self, name: str, address: str) -> bytes | None:
        """A file as `?wsdl` and `?xsd=name` serve it: with this address, its links led there. None: it is not known."""
        body = self.files.get(name)
        if body is None:
            return None
        root = etree.fromstring(body, hardened())
        for element in root.iter(*_ADDRESSES):
            element.set("location", address)
        for element, key in links(root):
            target = _beside(name, element.get(key, ""))
            if target in self.files:
                kind = "wsdl" if element.tag.startswith(_WSDL) else "xsd"
                element.set(key, f"{address}?{kind}={quote(target)}")
        return bytes(etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True))


def load(file: Path, folder: Path, text: bytes | None = None) -> Contract:
    """Reads a WSDL and all that it imports; every file must be in `folder`. Raises BadWsdl.

    `text`: what stands in the WSDL, where there is no such file. Blocks, and takes half a second the first time. A
    hundred channels of one WSDL read it once, while its files stay as they are.
    """
    known = _KNOWN.get((file, folder, text))
    if known is None or not _as_it_was(known, file, text):
        known = _loaded(file, folder, text)
        if len(_KNOWN) >= MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[file, folder, text] = known
    return known


def _as_it_was(known: Contract, file: Path, text: bytes | None) -> bool:
    try:
        return all(
            (file.parent / name).read_bytes() == body
            for name, body in known.files.items()
            if text is None or name != known.main
        )
    except OSError:
        return False


def _loaded(file: Path, folder: Path, text: bytes | None) -> Contract:
    try:
        from zeep.exceptions import Error
        from zeep.settings import Settings
        from zeep.wsdl import Document
    except ImportError:
        what = "a WSDL is read by a package extra that is not installed"
        raise BadWsdl("JL-C132", what, "install jingluo[soap]") from None
    reader = _Files(file.resolve(), folder.resolve(), text)
    try:
        document = Document(str(file.resolve()), reader, settings=Settings(strict=False))
    except BadWsdl:
        raise
    except (Error, etree.LxmlError, ValueError, LookupError, AttributeError, TypeError) as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadWsdl("JL-C131", f"{file.name}: no WSDL 1.1: {what}") from None
    ports = [port for service in document.services.values() for port in service.ports.values()]
    operations: dict[str, Operation] = {}
    versions, addresses = set(), []
    for port in ports:
        kind = type(port.binding).__name__
        if kind not in ("Soap11Binding", "Soap12Binding"):
            continue  # HTTP GET and POST, which nobody speaks
        versions.add("1.2" if kind == "Soap12Binding" else "1.1")
        addresses.append(port.binding_options["address"])
        for one in port.binding.all().values():
            operations.setdefault(one.name, _operation(one))
    if not operations:
        raise BadWsdl("JL-C131", f"{file.name}: no service with a SOAP binding and an operation in it")
    main = file.name
    schema, doubt = _schema(reader.read)
    return Contract(operations, frozenset(versions), tuple(addresses), reader.read, main, schema, doubt)


def _ours(name: str) -> Callable[[], bytes]:
    return (Path(__file__).parent / "known" / name).read_bytes


# Schemas that everybody refers to, and nobody has beside the WSDL.
_OURS = {
    "http://schemas.xmlsoap.org/soap/encoding/": _ours("soap-encoding.xsd"),
    "http://www.w3.org/2001/xml.xsd": _ours("xml.xsd"),
}
_KNOWN: dict[tuple[Path, Path, bytes | None], Contract] = {}


class _Files:
    """What zeep loads by: files of the folder, and nothing else."""

    def __init__(self, main: Path, folder: Path, text: bytes | None) -> None:
        self._main, self._folder, self._text = main, folder, text
        self.read: dict[str, bytes] = {}

    def load(self, url: str) -> bytes:
        if url in _OURS:
            return _OURS[url]()
        if urlsplit(url).scheme in ("http", "https", "ftp"):
            hint = "save it beside the WSDL: `jingluo wsdl save URL` saves all of a service's files"
            raise BadWsdl("JL-C130", f"{url} is not fetched: a WSDL is files of the site", hint)
        path = Path(url.removeprefix("file://")).resolve()
        own = self._text is not None and path == self._main
        body = self._text if own else self._of_disk(path)
        assert body is not None
        self.read[posixpath.relpath(path.as_posix(), self._main.parent.as_posix())] = body
        return body

    def _of_disk(self, path: Path) -> bytes:
        if not path.is_relative_to(self._folder):
            raise BadWsdl("JL-C130", f"{path.name} is outside of the site")
        try:
            with path.open("rb") as file:
                body = file.read(MAX_FILE + 1)
        except OSError as error:
            raise BadWsdl("JL-C130", f"{path.name} cannot be read: {error.strerror}") from None
        if len(body) > MAX_FILE:
            raise BadWsdl("JL-C130", f"{path.name} is larger than {MAX_FILE} bytes")
        return body


def _operation(one: Any) -> Operation:
    rpc = one.style == "rpc"
    request, answer = one.input, one.output
    return Operation(
        name=one.name,
        rpc=rpc,
        soap_action=one.soapaction or "",
        tag=_tag(request),
        arguments=_parts(request),
        answer=_answer_tag(one),
        results=_parts(answer) if answer is not None else (),
    )


def _answer_tag(one: Any) -> str:
    """In rpc style the operation's name and `Response` (WS-I Basic Profile 1.1, R2729)."""
    tag = _tag(one.output) if one.output is not None else ""
    return f"{tag.rpartition('}')[0]}}}{one.name}Response" if one.style == "rpc" and tag[:1] == "{" else tag


def _tag(message: Any) -> str:
    return str(message.body.qname.text) if message.body is not None and message.body.qname else ""


def _parts(message: Any) -> tuple[Part, ...]:
    """Of a body's element that has children; one that is plain text has none."""
    if message.body is None:
        return ()
    elements = getattr(message.body.type, "elements", ())
    return tuple(
        Part(element.name, element.qname.text, _is_text(element.type), element.min_occurs > 0)
        for _, element in elements
        if getattr(element, "qname", None) is not None
    )


def hardened() -> etree.XMLParser:
    """No entities, no DTD, no network."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def links(root: Element) -> Iterator[tuple[Element, str]]:
    """The elements that lead to other files, and their attribute that says where."""
    for tag, key in _POINTS.items():
        for element in root.iter(tag):
            if element.get(key):
                yield element, key


def _is_text(kind: Any) -> bool:
    """Whether a type has no elements. A text with attributes is one too, which zeep calls `_value_1`."""
    inside = getattr(kind, "elements", None)
    if inside is None:
        return True
    return len(inside) == 1 and inside[0][0] == "_value_1" and type(inside[0][1]).__name__ != "Any"


def _beside(name: str, place: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), place))


class _Kept(etree.Resolver):
    """Gives the schema's compiler what was read, and nothing else."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        super().__init__()
        self._texts = texts

    def resolve(self, url: Any, id: Any, context: Any) -> Any:  # type: ignore[override]
        # Its types know two arguments, and lxml gives three.
        return self.resolve_string(self._texts.get(url, b"<none/>"), context, base_url=url)


def _schema(files: Mapping[str, bytes]) -> tuple[Schema | None, str]:
    """One schema of all that the files have; or None, and why there is none."""
    texts: dict[str, bytes] = {}
    homes: dict[str, list[str]] = {}  # namespace -> its schemas
    waiting: list[tuple[str, Element]] = []
    for name, body in files.items():
        root = etree.fromstring(body, hardened())
        inline = [root] if root.tag == f"{_XS}schema" else list(root.iter(f"{_XS}schema"))
        for number, schema in enumerate(inline):
            place = f"jingluo:{name}#{number}"
            included = root.tag == f"{_XS}schema"
            if not included:
                homes.setdefault(schema.get("targetNamespace", ""), []).append(place)
            for element, key in links(schema):
                target = element.get(key, "")
                if target not in _OURS:
                    element.set(key, f"jingluo:{_beside(name, target)}#0")
            waiting.append((place, schema))
    for place, schema in waiting:
        for element in schema.iter(f"{_XS}import"):
            namespace = element.get("namespace", "")
            known = homes.get(namespace) or ([namespace] if namespace in _OURS else [])
            if element.get("schemaLocation") is None and known:
                element.set("schemaLocation", known[0])
        namespace = schema.get("targetNamespace", "")
        if (
            homes.get(namespace, [""])[0] == place
        ):  # those of one namespace are one: of several imports the first counts
            for other in homes[namespace][1:]:
                schema.insert(0, etree.Element(f"{_XS}include", schemaLocation=other))
        texts[place] = etree.tostring(schema)
    whole = etree.Element(f"{_XS}schema", nsmap={"xs": _XS[1:-1]})
    for namespace, places in homes.items():
        made = etree.SubElement(whole, f"{_XS}import" if namespace else f"{_XS}include")
        made.set("schemaLocation", places[0])
        if namespace:
            made.set("namespace", namespace)
    texts |= {url: read() for url, read in _OURS.items()}
    parser = hardened()
    parser.resolvers.add(_Kept(texts))
    try:
        return Schema(etree.fromstring(etree.tostring(whole), parser).getroottree()), ""
    except etree.XMLSchemaParseError as error:
        return None, " ".join(str(error).split())[:300]
