"""Validates HL7 v2 messages by the tables of a version: structure, cardinality, data types, codes.

Messages are read by the engine's own parser; 0.1 to 0.3 ms an ADT. A user-defined table (data type IS) is a
suggestion, and a segment of a site's own (Z) may be anything: of both nothing is said.
"""

from __future__ import annotations

from collections import Counter

from schemas.hl7.message import NULL, Hl7Message
from schemas.hl7.nodes import HEADERS
from schemas.validation.base import CODE, KIND, MANY, MAX_FAULTS, MISSING, TYPE, UNKNOWN, Fault
from schemas.validation.hl7_definitions import Definitions, Part, Rule, definitions, versions
from schemas.validation.hl7_events import STRUCTURES
from schemas.validation.hl7_structure import segment_faults

_VALUE = 5  # OBX-5, whose type is in OBX-2


class Hl7Validator:
    """By one version; without one by that of MSH-12, which must then be a known one."""

    def __init__(self, version: str = "") -> None:
        """Raises BadKind."""
        self._known = frozenset(versions())
        self._definitions = definitions(version) if version else None

    def __call__(self, tree: Hl7Message) -> list[Fault]:
        by = self._definitions or self._by_message(tree)
        if by is None:
            return [Fault("MSH-12", f"is no version of HL7 v2: {', '.join(sorted(self._known))}", KIND)]
        rows = [tree.row(place) for place in range(len(tree.lines))]
        times = Counter(row[0] for row in rows)
        seen: Counter[str] = Counter()
        segments: list[tuple[str, str]] = []
        faults: list[Fault] = []
        check = _Fields(by, tree, faults)
        for row in rows:
            name = row[0]
            seen[name] += 1
            path = f"{name}[{seen[name]}]" if times[name] > 1 else name
            if name[0] != "Z":
                segments.append((name, path))
                if len(faults) < MAX_FAULTS:
                    check.segment(name, path, row)
        if not any(fault.path.startswith("MSH-9.") and fault.code == CODE for fault in faults):
            faults[:0] = _kind_faults(by, tree)
        structure = _structure(by, tree)
        if structure is not None:
            faults[:0] = segment_faults(structure, segments)
        return faults[:MAX_FAULTS]

    def _by_message(self, tree: Hl7Message) -> Definitions | None:
        row = tree.first("MSH")
        version = row[11].split(tree.marks.component)[0] if len(row) > 11 else ""
        return definitions(version) if version in self._known else None


def _names(by: Definitions, tree: Hl7Message) -> tuple[str, str]:
    """The structure that MSH-9.3 names, and that of the event; both '' for a message of the site's own."""
    row = tree.first("MSH")
    kind, event, said, *_ = [*(row[8] if len(row) > 8 else "").split(tree.marks.component), "", "", ""]
    if not kind or kind[0] == "Z" or event[:1] == "Z":
        return "", ""
    own = f"{kind}_{event}"
    return said, own if by.has_structure(own) else STRUCTURES.get(own, kind)


def _structure(by: Definitions, tree: Hl7Message) -> Part | None:
    return next((by.structure(name) for name in _names(by, tree) if by.has_structure(name)), None)


def _kind_faults(by: Definitions, tree: Hl7Message) -> list[Fault]:
    said, usual = _names(by, tree)
    if said and not by.has_structure(said):
        return [Fault("MSH-9.3", f"{by.version} has no structure of this name", KIND)]
    if usual and not said and not by.has_structure(usual):
        return [Fault("MSH-9", f"{by.version} has no such message", KIND)]
    return []


class _Fields:
    """What stands in the segments of one message."""

    def __init__(self, by: Definitions, tree: Hl7Message, faults: list[Fault]) -> None:
        self._by = by
        self._marks = (tree.marks.component, tree.marks.sub)
        self._repetition = tree.marks.repetition
        self._faults = faults

    def segment(self, name: str, path: str, row: list[str]) -> None:
        rules = self._by.segment(name)
        if not rules:
            return
        fields = ["", *row] if name in HEADERS else row
        count = len(fields)
        for rule in rules:
            text = fields[rule.number] if rule.number < count else ""
            if name in HEADERS and rule.number <= 2:
                continue  # the delimiters
            if not text:
                if rule.least:
                    self._fault(f"{path}-{rule.number}", f"{rule.name} is missing", MISSING)
            elif rule.parts or not self._plain(rule, text):
                self._field(rule, text, f"{path}-{rule.number}", fields)
        for number in range(rules[-1].number + 1, count):
            if fields[number]:
                what = f"{self._by.version} has {rules[-1].number} fields in {name}"
                self._fault(f"{path}-{number}", what, UNKNOWN)

    def _plain(self, rule: Rule, text: str) -> bool:
        """A primitive with nothing wrong, the usual case: told without making a path."""
        if rule.kind == "varies" or rule.most == 0 or self._marks[0] in text or self._repetition in text:
            return False
        return rule.fits is None or rule.fits(text)

    def _field(self, rule: Rule, text: str, path: str, fields: list[str]) -> None:
        if rule.most == 0:  # withdrawn, and taken from older systems as ever
            return
        repetitions = text.split(self._repetition) if self._repetition in text else [text]
        if 0 < rule.most < len(repetitions):
            what = f"{rule.name} stands {len(repetitions)} times, at most {rule.most}"
            self._fault(f"{path}[{rule.most + 1}]", what, MANY)
        if rule.kind == "varies":
            known = self._by.type(fields[2]) if path.startswith("OBX") and rule.number == _VALUE else None
            if known is None:
                return
            rule = known._replace(name=rule.name)
        for number, repetition in enumerate(repetitions, 1):
            if len(self._faults) >= MAX_FAULTS:
                return
            if repetition and repetition != NULL:
                at = path if len(repetitions) == 1 else f"{path}[{number}]"
                if rule.parts:
                    self._parts(rule, repetition, at, 0)
                else:
                    self._primitive(rule, repetition, at, self._marks[0])

    def _parts(self, rule: Rule, text: str, path: str, depth: int) -> None:
        """`depth` 0: a repetition's components, 1: a component's sub-components."""
        mark, within = self._marks[depth], self._marks[1]
        parts = text.split(mark)
        for inner, part in zip(rule.parts, parts, strict=False):
            if not part:
                if inner.least:
                    self._fault(f"{path}.{inner.number}", f"{inner.name} is missing", MISSING)
            elif part == NULL:
                continue
            elif inner.parts and depth == 0:
                self._parts(inner, part, f"{path}.{inner.number}", 1)
            else:
                while inner.parts:  # there is no fourth level: its first part stands for it
                    inner = inner.parts[0]
                if (depth == 0 and within in part) or (inner.fits is not None and not inner.fits(part)):
                    self._primitive(inner, part, f"{path}.{inner.number}", within)
        for inner in rule.parts[len(parts) : rule.needs]:
            if inner.least:
                self._fault(f"{path}.{inner.number}", f"{inner.name} is missing", MISSING)
        for number in range(len(rule.parts) + 1, len(parts) + 1):
            if parts[number - 1]:
                self._fault(
                    f"{path}.{number}", f"{rule.name} ({rule.kind}) has {len(rule.parts)} parts", UNKNOWN
                )

    def _primitive(self, rule: Rule, text: str, path: str, mark: str) -> None:
        if mark in text:
            self._fault(f"{path}.2", f"{rule.name} ({rule.kind}) has no parts", TYPE)
        elif rule.fits is not None and not rule.fits(text):
            self._fault(path, f"{rule.name} {rule.wrong}", rule.code)

    def _fault(self, path: str, text: str, code: str) -> None:
        self._faults.append(Fault(path, text, code))
