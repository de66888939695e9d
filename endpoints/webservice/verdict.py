"""Whether an answer is a yes. SOAP does not say: a receiver's convention does, or conditions that a channel names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from config.errors import BadMessage, Refused, Unreachable
from endpoints.webservice.client import Result
from schemas.base import BadPath, Path
from schemas.json import Json
from schemas.message import Receipt
from schemas.xml import Xml

Conditions = Mapping[str, tuple[str, ...]]  # path in the result -> the values that it may have

_XML, _JSON = Xml(), Json()
_MAX_TEXT = 200  # characters of a receiver's own words


class Convention(NamedTuple):
    """Paths in the result. What is neither `yes` nor `again` is a no for good."""

    code: str
    yes: frozenset[str]
    again: frozenset[str]
    text: str


Name = Literal["plain", "hip", "call"]
# hip: HL7 V3 as hospital platforms speak it (WS/T 846): MCCI_IN000002UV01, acknowledgement/@typeCode of table
# AcknowledgementType: AE may go well later, AR never. call: the front-end service's Response with a ResultCode.
CONVENTIONS: Mapping[Name, Convention] = {
    "hip": Convention(
        "//*[local-name()='acknowledgement']/@typeCode",
        frozenset(("AA", "CA")),
        frozenset(("AE", "CE")),
        "//*[local-name()='acknowledgementDetail']/*[local-name()='text']/@value"
        "|//*[local-name()='acknowledgementDetail']/*[local-name()='text']",
    ),
    "call": Convention(
        "//*[local-name()='ResultCode']",
        frozenset(("0", "00", "0000")),
        frozenset(),
        "//*[local-name()='ResultContent' or local-name()='ResultMsg']",
    ),
}


def path_of(text: str) -> Path:
    """`$/...` of XML, `$.` of JSON. Raises BadPath."""
    if text.startswith("$/"):
        return _XML.path(text[1:])
    if text.startswith("$."):
        return _JSON.path(text[1:])
    raise BadPath(f"{text!r} is no path into an answer", "begin it with $/ for XML, with $. for JSON")


class Judge:
    """`yes`: all must hold. `again`: a no that may go well later, where all of these hold."""

    def __init__(self, convention: Name, yes: Conditions, again: Conditions) -> None:
        self._convention = CONVENTIONS.get(convention)
        if self._convention is not None:
            self._code, self._text = _XML.path(self._convention.code), _XML.path(self._convention.text)
        self._yes = [(text, path_of(text), values) for text, values in yes.items()]
        self._again = [(text, path_of(text), values) for text, values in again.items()]

    def judge(self, code: str, result: Result) -> Receipt:
        """Raises Refused (JL-E422) for a no, Unreachable (JL-E421) where the convention's answer is none."""
        said = self._by_convention(code, result) if self._convention is not None else code
        for text, path, values in self._yes:
            found = _value(path, text, result)
            if found not in values:
                raise self._no(f"{text} is {found[:_MAX_TEXT]!r}" if found else f"{text} is missing", result)
        return Receipt(said, result.body, result.format)

    def _by_convention(self, code: str, result: Result) -> str:
        assert self._convention is not None
        said = _value(self._code, "$/", result).strip()
        if not said:
            text = "the answer does not say whether it is a yes"
            raise Unreachable("JL-E421", text, maybe_done=True)
        if said not in self._convention.yes:
            words = " ".join(_value(self._text, "$/", result).split())[:_MAX_TEXT]
            raise self._no(f"{said} {words}".strip(), result, again=said in self._convention.again)
        return said

    def _no(self, text: str, result: Result, again: bool = False) -> Refused:
        later = bool(self._again) and all(
            _value(path, at, result) in known for at, path, known in self._again
        )
        return Refused("JL-E422", text, retry=again or later, answer=result.body)


def _value(path: Path, text: str, result: Result) -> str:
    """'' where nothing is there, and where the result is of another format."""
    reader: Xml | Json = _XML if text.startswith("$/") else _JSON
    try:
        found = path.one(reader.decode(result.body))
    except BadMessage:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int) or hasattr(found, "as_tuple") else ""
