"""One operation as its caller knows it: the request that a message becomes, and what its answer holds."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from lxml import etree

from config.errors import BadMessage, Problem, Refused
from config.models import did_you_mean
from config.registry import nearest
from endpoints.webservice.envelope import VERSIONS
from endpoints.webservice.payload import of_text
from endpoints.webservice.wsdl import Operation
from schemas import charsets
from schemas.envelope import ENVELOPE
from schemas.hl7.message import decode_text
from schemas.json import Json
from schemas.message import Message
from schemas.xml import Element, Xml, text_of, text_within

BODY = "$body"
Value = str | bool | int | float
Arguments = Mapping[str, Value] | Literal["$body"]
Form = Literal["text", "cdata", "xml", "base64"]

_XML, _JSON = Xml(), Json()
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class Result(NamedTuple):
    """What an answer holds. `format` is '' where its beginning does not say."""

    body: bytes
    format: str


def problems_of(operation: Operation, arguments: Arguments) -> Iterator[Problem]:
    """What does not fit the operation (JL-C141); `at` begins within the options."""
    known = [part.name for part in operation.arguments]
    if isinstance(arguments, str):
        return
    if not arguments and len(known) > 1:
        what = f"{operation.name} has several arguments, and nothing says which of them is the message"
        yield Problem(
            ("arguments",), "JL-C141", what, f"`arguments: {{{known[-1]}: $body}}`; it has {', '.join(known)}"
        )
    for name, value in arguments.items():
        at = ("arguments", name)
        if name not in known:
            what = f"{operation.name} has no argument {name!r}"
            yield Problem(at, "JL-C141", what, did_you_mean(nearest(name, known), known), on_key=True)
        if isinstance(value, str) and value.startswith("$") and _reader(value) is None:
            names = [BODY, *(f"$@{part}" for part in ENVELOPE)]
            hint = did_you_mean(nearest(value, names), [*names, "$@header.NAME"])
            yield Problem(at, "JL-C141", f"{value!r} is nothing of a message", hint)
    for part in operation.arguments:
        if not part.text and (arguments.get(part.name) == BODY or (not arguments and len(known) == 1)):
            what = (
                f"the argument {part.name!r} of {operation.name} has parts, and a message cannot be its text"
            )
            hint = "`arguments: $body`, where a map makes the operation's element with all that is in it"
            yield Problem(("arguments",), "JL-C141", what, hint)
        if arguments and part.needed and part.name not in arguments:
            what = f"the argument {part.name!r} of {operation.name} is missing"
            yield Problem(("arguments",), "JL-C141", what, f"it has {', '.join(known)}", on_key=True)


class Call:
    """Makes requests of messages in `format`. `charset` is what the whole request will be written in."""

    def __init__(
        self, operation: Operation, arguments: Arguments, form: Form, format: str, charset: str
    ) -> None:
        self._operation = operation
        self._form: Form = form
        self._format = format
        self._charset = charset
        self._whole = arguments == BODY
        given = {} if isinstance(arguments, str) else dict(arguments)
        if not given and operation.arguments:
            given = {operation.arguments[0].name: BODY}
        self._values = [(part, given[part.name]) for part in operation.arguments if part.name in given]

    def request(self, message: Message) -> Element:
        """The element in the envelope's body. Raises Refused (JL-E423)."""
        try:
            return self._whole_request(message) if self._whole else self._made(message)
        except (BadMessage, ValueError) as error:  # of lxml: a character that XML does not have
            text = error.text if isinstance(error, BadMessage) else str(error)
            raise Refused("JL-E423", f"the message does not fit {self._operation.name}: {text}") from None

    def _made(self, message: Message) -> Element:
        root = self._root()
        if not self._operation.arguments:  # its element is the argument
            self._put_body(root, message)
        for part, value in self._values:
            element = etree.SubElement(root, part.tag)
            read = _reader(value)
            if value == BODY:
                self._put_body(element, message)
            else:
                element.text = read(message) if read is not None else _plain(value)
        return root

    def _whole_request(self, message: Message) -> Element:
        if self._format == "xml":
            root = _XML.decode(message.body, message.charset)
            if root.tag != self._operation.tag:
                raise ValueError(f"its root is {root.tag}, and the operation's {self._operation.tag}")
            return root
        fields = _JSON.decode(message.body)
        if not isinstance(fields, dict):
            raise ValueError("arguments are a JSON object, or XML")
        known = {part.name: part for part in self._operation.arguments}
        for name in fields:
            if name not in known:
                raise ValueError(f"it has no argument {name!r}")
        root = self._root()
        for name, part in known.items():
            for value in _listed(fields.get(name)):
                etree.SubElement(root, part.tag).text = _plain(value)
        return root

    def _root(self) -> Element:
        namespace = etree.QName(self._operation.tag).namespace
        return etree.Element(self._operation.tag, nsmap={"m": namespace} if namespace else None)

    def _put_body(self, element: Element, message: Message) -> None:
        if self._form == "base64":
            element.text = base64.b64encode(message.body).decode()
        elif self._form == "xml":
            element.append(_XML.decode(message.body, message.charset))
        else:
            text = letters_of(message.body, self._format, message.charset)
            element.text = etree.CDATA(text) if self._form == "cdata" and self._keeps(text) else text

    def _keeps(self, text: str) -> bool:
        """Whether CDATA brings it there as it is: XML reads CR as LF in it, and it has no `&#n;`."""
        if "\r" in text:
            return False
        try:
            text.encode(self._charset)  # the real GBK, which lacks rare names
        except (UnicodeError, LookupError):
            return False
        return True


def letters_of(body: bytes, format: str, charset: str) -> str:
    """A message as text, read as its format is."""
    if format == "xml":
        return text_of(body, charset)
    if format == "hl7v2":
        return decode_text(body, charset).text
    return charsets.decode(body, ["utf-8"] if format in ("json", "fhir") else [], charset).text


def result_of(
    child: Element, operation: Operation, name: str = "", form: Literal["text", "base64"] = "text"
) -> Result:
    """What stands in an answer's element: its only result, or that called `name`, whatever namespaces it has.

    A result that is text is that text; one that has elements is XML, and so are several. Raises ValueError where it
    is no Base64.
    """
    element, text = _found(child, operation, name)
    inner = [one for one in element if isinstance(one.tag, str)]
    if inner:
        alone = inner[0] if text and len(inner) == 1 else element
        return Result(_document(alone), "xml")
    said = text_within(element) if element.get(_NIL) not in ("true", "1") else ""
    if form == "base64":
        return Result(base64.b64decode("".join(said.split()), validate=True), "")
    return Result(of_text(said).body, format_of(said))


def _found(child: Element, operation: Operation, name: str) -> tuple[Element, bool]:
    """The result's element, and whether the WSDL says that it is text."""
    inner = [one for one in child if isinstance(one.tag, str)]
    wanted = name or (etree.QName(inner[0]).localname if len(inner) == 1 else "")
    named = [one for one in inner if etree.QName(one).localname == wanted]
    if not named:
        return (etree.Element("nothing"), True) if name else (child, not operation.results)
    part = next((part for part in operation.results if part.name == wanted), None)
    return named[0], part.text if part is not None else True


def _document(element: Element) -> bytes:
    """Without the envelope's own prefix; others may stand in a value, as in `xsi:type`."""
    alone = copy.deepcopy(element)
    kept = [prefix for prefix, uri in alone.nsmap.items() if prefix and uri not in VERSIONS]
    etree.cleanup_namespaces(alone, keep_ns_prefixes=kept)
    return etree.tostring(alone, encoding="UTF-8", with_tail=False)


def format_of(text: str) -> str:
    """By its beginning; '' where that does not say."""
    begins = text.lstrip("\ufeff \t\r\n")[:4]
    if begins.startswith("<"):
        return "xml"
    if begins.startswith(("{", "[")):
        return "json"
    return "hl7v2" if begins.startswith("MSH") else ""


def _reader(value: Value) -> Callable[[Message], str] | None:
    """What reads a value that is of the message; None for one that stands in YAML, or means nothing."""
    if not isinstance(value, str) or not value.startswith("$"):
        return None
    if value == BODY:
        return lambda message: ""
    if value.startswith("$@header."):
        name = value.removeprefix("$@header.").lower()
        return lambda message: message.headers.get(name, "")
    return ENVELOPE.get(value[2:]) if value.startswith("$@") else None


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("an argument in JSON is a plain value; send what has parts as XML")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
