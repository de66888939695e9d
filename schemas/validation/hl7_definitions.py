"""HL7 v2 as hl7apy's tables define it, one version: what stands in a field, and which segments make a message.

Only the tables are used: hl7apy's own parser and validator need milliseconds a message, refuse half of what real
systems send, and name no exact place. They have no lengths, so none are checked but those of the primitive types.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from config.registry import nearest
from schemas.validation.base import CODE, TYPE, BadKind, listed

_PATTERNS = {"xxx": "[A-Z]{2,3}", "nnnn": "[0-9]+", "nnn": "[0-9]+", "zzz": ".*", "<integer>": "[0-9]+"}
_OPEN = re.compile(
    r"\.\.|_ | _|^_$|varies|\?\?|[a-z] [a-z]|<day"
)  # what a table says that lists not all of it
_GROWS = ("HL70396",)  # coding systems are added without a version
_TIME = r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?"
_ZONE = r"([+-](0\d|1[0-4])[0-5]\d)?"
_DATE = r"\d{4}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])"
_TYPES = {
    "DT": (re.compile(rf"{_DATE})?)?"), "a date (YYYY[MM[DD]])"),
    "TM": (re.compile(_TIME + _ZONE), "a time (HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ])"),
    "DTM": (
        re.compile(rf"{_DATE}({_TIME})?)?)?{_ZONE}"),
        "a time stamp (YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ])",
    ),
    "NM": (re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)"), "a number"),
    "SI": (re.compile(r"\d{1,4}"), "a sequence number of one to four digits"),
}
_TYPES["TS"] = _TYPES["DTM"]  # before 2.5 a primitive

Fits = Callable[[str], bool]


class Rule(NamedTuple):
    """A field, a component or a sub-component. `most` -1: any number; `parts` are empty for a primitive."""

    number: int
    name: str
    least: int
    most: int
    kind: str  # data type
    parts: tuple[Rule, ...]
    fits: Fits | None  # None: any text
    code: str  # of the fault where it does not fit
    wrong: str  # what is then said
    needs: int = 0  # the number of the last part that must be there


class Part(NamedTuple):
    """A segment of a message's structure, or a group; a group's parts in order, or one of them (`choice`)."""

    name: str
    least: int
    most: int
    parts: tuple[Part, ...]
    choice: bool
    first: frozenset[str]  # segments that it may begin with
    members: frozenset[str]  # all that can be in it


class Definitions:
    """One version of HL7 v2. Everything is made when it is first asked for, and kept."""

    def __init__(self, version: str, elements: dict[str, Any]) -> None:
        self.version = version
        self._segments = elements["Segment"]
        self._messages = elements["Message"]
        self._types = elements["Datatypes_Structs"]
        self._tables = elements.get("Table", {})
        self.segment = cache(self._segment)
        self.structure = cache(self._structure)
        self.type = cache(self._type)

    def knows(self, segment: str) -> bool:
        return segment in self._segments

    def _segment(self, name: str) -> tuple[Rule, ...] | None:
        """The fields in order; None where the tables do not have them."""
        shape = self._segments.get(name, ())
        if len(shape) < 2 or shape[0] != "sequence":
            return None
        return tuple(self._rule(item) for item in shape[1] if item[1] is not None)

    def _rule(self, item: Any) -> Rule:
        """`("PID_3", (leaf or sequence, parts, data type, name, table, length), (least, most), ...)`."""
        name, shape, (least, most), what = item[:4]
        number, said = int(name.rpartition("_")[2]), str(shape[3]).replace("_", " ").lower()
        if what == "CMP" and self.version < "2.5":  # nobody said of a component that it must be there
            least = 0
        if name == "OBX_4":  # conditional in every version (chapter 7.4.2), required in some of the tables
            least = 0
        if name == "OBX_2":
            return Rule(number, said, least, most, "ID", (), self._is_type, CODE, "is no data type")
        return self._of_type(number, said, least, most, shape[2], shape[1] or (), shape[4])

    def _of_type(
        self, number: int, said: str, least: int, most: int, kind: str, parts: Any, table: str | None
    ) -> Rule:
        if parts and kind != "varies":
            inner = tuple(self._rule(part) for part in parts)
            needs = max((part.number for part in inner if part.least), default=0)
            return Rule(number, said, least, most, kind, inner, None, "", "", needs)
        if kind == "ID" and table and table in self._tables and table not in _GROWS:
            title, codes = self._tables[table]
            wrong = f"is not in table {table[3:]} ({title}): {listed(codes)}"
            return Rule(number, said, least, most, kind, (), _among(tuple(codes)), CODE, wrong)
        if kind in _TYPES:
            return Rule(number, said, least, most, kind, (), _fits(kind), TYPE, f"is not {_TYPES[kind][1]}")
        return Rule(number, said, least, most, kind, (), None, "", "")

    def _type(self, kind: str) -> Rule | None:
        """What a value of a data type must be, as OBX-2 names one; None where the version has no such type."""
        if kind in self._types:
            return self._of_type(0, kind, 0, 1, kind, self._types[kind], None)
        return self._of_type(0, kind, 0, 1, kind, (), None) if kind in _PRIMITIVES else None

    def _is_type(self, kind: str) -> bool:
        return kind in self._types or kind in _PRIMITIVES

    def has_structure(self, name: str) -> bool:
        return name in self._messages

    def _structure(self, name: str) -> Part:
        return _part((name, self._messages[name], (1, 1), "GRP"))


_PRIMITIVES = ("ST", "TX", "FT", "ID", "IS", "GTS", "PN", "TN", *_TYPES)


def _part(item: Any) -> Part:
    name, shape, (least, most), what = item[:4]
    if what != "GRP":
        own = frozenset({name})
        return Part(name, least, most, (), False, own, own)
    parts = tuple(map(_part, shape[1]))
    choice = shape[0] == "choice"
    first: set[str] = set()
    for part in parts:
        first |= part.first
        if part.least and not choice:
            break
    members = frozenset().union(*(part.members for part in parts))
    return Part(name, least, most, parts, choice, frozenset(first), members)


@cache
def _fits(kind: str) -> Fits:
    match = _TYPES[kind][0].fullmatch
    if kind not in ("DT", "DTM", "TS"):
        return lambda text: match(text) is not None
    return lambda text: match(text) is not None and (len(text) < 8 or _in_calendar(text))


def _in_calendar(text: str) -> bool:
    if not text[:8].isdigit():  # a zone follows the month
        return True
    try:
        date(int(text[:4]) or 4, int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return True


@cache
def _among(codes: tuple[str, ...]) -> Fits | None:
    """None where the table leaves it open."""
    if not codes or any(_OPEN.search(code) for code in codes):
        return None
    plain = frozenset(part.split(" (")[0].strip() for code in codes for part in code.split(","))
    patterns: list[re.Pattern[str]] = []
    for code in plain:
        mark = next((mark for mark in _PATTERNS if mark in code), "")
        if mark:
            before, _, after = code.partition(mark)
            patterns.append(re.compile(re.escape(before) + _PATTERNS[mark] + re.escape(after)))
    if not patterns:
        return plain.__contains__
    return lambda text: text in plain or any(pattern.fullmatch(text) for pattern in patterns)


def versions() -> list[str]:
    """Raises BadKind (JL-C071) without the extra."""
    try:
        from hl7apy import SUPPORTED_LIBRARIES
    except ImportError as error:
        what = f"validating HL7 v2 needs the package extra jingluo[conformance]: {error}"
        raise BadKind("JL-C071", what) from None
    return sorted(SUPPORTED_LIBRARIES)


@cache
def definitions(version: str) -> Definitions:
    """Raises BadKind (JL-C070, JL-C071)."""
    known = versions()
    if version not in known:
        near = nearest(version, known)
        hint = f"did you mean hl7v2/{near}?" if near else f"one of {', '.join(known)}"
        raise BadKind("JL-C070", f"there is no HL7 v2 version {version!r}", hint)
    from hl7apy import load_library

    return Definitions(version, load_library(version).ELEMENTS)
