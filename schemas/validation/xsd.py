"""Validates XML by an XSD of the site's: lxml, no network, no entities."""

from __future__ import annotations

import copy
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from schemas.validation.base import (
    CODE,
    MAX_FAULTS,
    MISSING,
    REFERENCE,
    RULE,
    SIZE,
    TYPE,
    UNKNOWN,
    BadKind,
    Fault,
)

Element = etree._Element
_XS = "{http://www.w3.org/2001/XMLSchema}"
_POINTS = (f"{_XS}import", f"{_XS}include", f"{_XS}redefine", f"{_XS}override")
_MAX_FILES = 500
_EXPECTED = re.compile(r"Expected is (?:one of )?\( (.{1,400}?) \)")
_ATTRIBUTE = re.compile(r"Element '[^']{1,500}', attribute '([^']{1,200})'")
_NAMESPACE = re.compile(r"\{[^}]*\}")

# By what libxml2 calls the rule that is broken. Its own texts quote the value, which may be a patient's.
_WORDS = {
    "SCHEMAV_CVC_ELT_1": ("the schema has no such element here", UNKNOWN),
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": ("the attribute {} is not foreseen", UNKNOWN),
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2": ("the attribute {} is not foreseen", UNKNOWN),
    "SCHEMAV_CVC_COMPLEX_TYPE_4": ("the attribute {} is missing", MISSING),
    "SCHEMAV_CVC_ENUMERATION_VALID": ("must be one of the schema's codes", CODE),
    "SCHEMAV_CVC_PATTERN_VALID": ("does not match the schema's pattern", TYPE),
    "SCHEMAV_CVC_COMPLEX_TYPE_2_1": ("must be empty", UNKNOWN),
    "SCHEMAV_CVC_COMPLEX_TYPE_2_2": ("must hold no elements", UNKNOWN),
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": ("must hold no text", UNKNOWN),
    "SCHEMAV_CVC_TYPE_3_1_2": ("must hold no elements", UNKNOWN),
    "SCHEMAV_CVC_ELT_3_1": ("must not be nil", TYPE),
    "SCHEMAV_CVC_IDC": ("breaks a key of the schema", REFERENCE),
}
_SIZES = ("LENGTH", "INCLUSIVE", "EXCLUSIVE", "DIGITS")


class Schema:
    """A schema whose parts are all at hand."""

    def __init__(self, document: etree._ElementTree) -> None:
        """Raises XMLSchemaParseError."""
        self._document = document
        # A schema's log is one for all its validations: every thread has its own.
        self._own = threading.local()
        self._compiled()

    def __call__(self, tree: Element) -> list[Fault]:
        schema = self._compiled()
        if schema.validate(tree):
            return []
        if tree.getparent() is not None:  # a part is looked at again as a whole: paths begin with it
            tree = copy.deepcopy(tree)
            schema.validate(tree)
        document = tree.getroottree()
        names = {prefix: uri for element in tree.iter("*") for prefix, uri in element.nsmap.items() if prefix}
        faults: dict[tuple[str, str], Fault] = {}
        log: Any = schema.error_log  # whose types know nothing of its entries
        for error in log:
            message = _said(error, "message")
            text, code = _words(error.type_name, message)
            named = _ATTRIBUTE.match(message) if code != MISSING else None
            path = _path(document, _said(error, "path"), names) + (f"/@{_local(named[1])}" if named else "")
            # Of one value libxml2 says the facet and the type: the first says more.
            known = faults.get((path, "")) if code == TYPE else None
            if known is None:
                faults.setdefault((path, text), Fault(path, text, code))
                faults.setdefault((path, ""), Fault(path, text, code))
            if len(faults) >= 2 * MAX_FAULTS:
                break
        return [fault for (_, text), fault in faults.items() if text]

    def _compiled(self) -> etree.XMLSchema:
        schema: etree.XMLSchema | None = getattr(self._own, "schema", None)
        if schema is None:
            schema = self._own.schema = etree.XMLSchema(self._document)
        return schema


class Xsd(Schema):
    """A schema's file with all that it includes and imports."""

    def __init__(self, file: Path, folder: Path) -> None:
        """Raises BadKind: JL-C072 where a file is missing, JL-C073 with the line for a bad schema."""
        self._folder = folder.resolve()
        self.files: list[Path] = []
        try:
            super().__init__(self._gathered(file.resolve(), file.name))
        except etree.XMLSchemaParseError as error:
            first = error.error_log[0] if len(error.error_log) else None
            where = f"{Path(first.filename).name}:{first.line}" if first and first.filename else file.name
            what = (first.message if first else str(error)).replace(
                "{http://www.w3.org/2001/XMLSchema}", "xs:"
            )
            raise BadKind("JL-C073", f"{where}: {what[:300]}") from None

    def _gathered(self, file: Path, shown: str) -> etree._ElementTree:
        """The schema's document, after every file that it names was found to be one of the folder."""
        document: etree._ElementTree | None = None
        waiting = [(file, shown)]
        while waiting:
            path, said = waiting.pop()
            if path in self.files:
                continue
            self.files.append(path)
            if len(self.files) > _MAX_FILES:
                raise BadKind("JL-C073", f"{shown}: more than {_MAX_FILES} files")
            read = _read(path, said)
            document = document if document is not None else read
            for element in read.iter(*_POINTS):
                place = element.get("schemaLocation")
                if place is None:
                    continue
                here = f"{path.name}:{element.sourceline}"
                target = (path.parent / place).resolve()
                if urlsplit(place).scheme or not target.is_relative_to(self._folder):
                    what = f"{here}: {place} is no file of {self._folder.name}/, and nothing is fetched"
                    raise BadKind("JL-C073", what)
                waiting.append((target, f"{here}: {place}"))
        assert document is not None
        return document


def _read(path: Path, said: str) -> etree._ElementTree:
    # A parser of its own: what it resolves, lxml's schema parser resolves by it too.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.parse(str(path), parser)
    except OSError:
        raise BadKind("JL-C072", f"{said} cannot be read") from None
    except etree.XMLSyntaxError as error:
        raise BadKind("JL-C073", f"{path.name}:{error.position[0]}: not XML: {error.msg}") from None


def _said(error: Any, what: str) -> str:
    """libxml2 cuts what is long by bytes, perhaps in the midst of a letter: then lxml cannot say it."""
    try:
        return getattr(error, what) or ""
    except UnicodeDecodeError:
        return ""


def _words(kind: str, message: str) -> tuple[str, str]:
    if kind == "SCHEMAV_ELEMENT_CONTENT":
        match = _EXPECTED.search(message)
        expected = _local(match[1]) if match else ""
        if "Missing child" in message:
            return f"{expected or 'an element'} is missing", MISSING
        return "is not expected here" + (f", but {expected}" if expected else ""), UNKNOWN
    if kind in _WORDS:
        text, code = _WORDS[kind]
        named = re.search(r"attribute '([^']{1,200})'", message)
        return text.format(_local(named[1]) if named else ""), code
    if any(size in kind for size in _SIZES):
        limit = re.findall(r"'([0-9.+-]{1,30})'\)?\.?$", message)
        return f"is beyond the schema's limit{f' of {limit[0]}' if limit else ''}", SIZE
    if "DATATYPE" in kind:
        named = re.search(r"type '([^']{1,100})'", message)
        return f"is no value of type {_local(named[1])}" if named else "is of another type", TYPE
    return "breaks the schema", RULE


def _local(name: str) -> str:
    return _NAMESPACE.sub("", name)


def _path(document: etree._ElementTree, found: str, names: dict[str, str]) -> str:
    """libxml2 writes `/*/*[2]` where a namespace has no prefix: a path of names says more."""
    try:
        nodes = document.xpath(found, namespaces=names) if found else []
    except etree.XPathError:
        return found
    if not isinstance(nodes, list) or not nodes or not isinstance(nodes[0], Element):
        return found
    steps: list[str] = []
    element: Element | None = nodes[0]
    while element is not None:
        name = etree.QName(element).localname
        parent = element.getparent()
        like = [] if parent is None else [child for child in parent if child.tag == element.tag]
        steps.append(f"{name}[{like.index(element) + 1}]" if len(like) > 1 else name)
        element = parent
    return "/" + "/".join(reversed(steps))
