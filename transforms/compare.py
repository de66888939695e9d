"""Two messages of one format, and where they differ: by what they say, not by how it is written.

HL7 v2 by segment, field and component, whatever the marks and line ends; JSON and FHIR whatever the order of keys,
numbers by value; XML whatever the prefixes, the order of attributes and the white space around texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from lxml import etree

from schemas.base import Format
from schemas.hl7.message import Hl7Message

_SHOWN = 200  # characters of a value
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is written as a map would read it; None stands for nothing."""

    path: str
    wanted: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.path}: expected {_shown(self.wanted)}, got {_shown(self.got)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def differences(form: Format, wanted: Any, got: Any) -> Iterator[Difference]:
    """Two trees of one format. Nothing: they say the same."""
    if isinstance(wanted, Hl7Message) and isinstance(got, Hl7Message):
        yield from _of_hl7(wanted, got)
    elif isinstance(wanted, etree._Element) and isinstance(got, etree._Element):
        yield from _of_elements(wanted, got, f"$/{_tag(wanted)}")
    elif isinstance(wanted, dict | list) and isinstance(got, dict | list):
        yield from of_values(wanted, got, "$")
    elif form.encode(wanted) != form.encode(got):
        yield Difference(
            "$", form.encode(wanted).decode("utf-8", "replace"), form.encode(got).decode("utf-8", "replace")
        )


# JSON and FHIR.


def of_values(wanted: Any, got: Any, path: str) -> Iterator[Difference]:
    """Two values of JSON: the innermost places where they differ."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for key in {**wanted, **got}:
            yield from of_values(wanted.get(key), got.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(got, list):
        for at in range(max(len(wanted), len(got))):
            one, other = (items[at] if at < len(items) else None for items in (wanted, got))
            yield from of_values(one, other, f"{path}[{at}]")
    elif not same(wanted, got):
        yield Difference(path, wanted, got)


def same(wanted: Any, got: Any) -> bool:
    """Equal by value: numbers whatever their type, and truth is no number."""
    if isinstance(wanted, Mapping | list) or isinstance(got, Mapping | list):
        return type(wanted) is type(got) and not any(True for _ in of_values(wanted, got, ""))
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, float):
        wanted = Decimal(repr(wanted))
    return bool(wanted == got)


# HL7 v2.


def _of_hl7(wanted: Hl7Message, got: Hl7Message) -> Iterator[Difference]:
    """Segments by their names: one that is missing or too many does not shift all that follow it."""
    rows, others = ([tree.row(at) for at in range(len(tree.lines))] for tree in (wanted, got))
    names, other_names = [row[0] for row in rows], [row[0] for row in others]
    seen, other_seen = Counter[str](), Counter[str]()
    matcher = SequenceMatcher(None, names, other_names, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        for at in range(a, b):
            path = _segment_path(names, at, seen)
            if what == "equal":
                _segment_path(other_names, c + at - a, other_seen)
                yield from _of_rows(wanted, rows[at], got, others[c + at - a], path)
            else:
                yield Difference(path, wanted.lines[at], None)
        for at in range(c, d) if what != "equal" else ():
            yield Difference(_segment_path(other_names, at, other_seen), None, got.lines[at])


def _segment_path(names: list[str], at: int, seen: Counter[str]) -> str:
    name = names[at]
    seen[name] += 1
    return f"${name}[{seen[name]}]" if names.count(name) > 1 else f"${name}"


def _of_rows(
    wanted: Hl7Message, row: Sequence[str], got: Hl7Message, other: Sequence[str], path: str
) -> Iterator[Difference]:
    """Fields, their repetitions, components and sub-components, each as text."""
    shift = 1 if row[0] in ("MSH", "BHS", "FHS") else 0
    for at in range(1 + shift, max(len(row), len(other))):
        one, two = (cells[at] if at < len(cells) else "" for cells in (row, other))
        if one != two or wanted.marks != got.marks:
            yield from _of_parts(wanted, one, got, two, f"{path}-{at + shift}", 0)


_LEVELS = ("repetition", "component", "sub")


def _of_parts(
    wanted: Hl7Message, one: str, got: Hl7Message, two: str, path: str, level: int
) -> Iterator[Difference]:
    if level == len(_LEVELS):
        if (text := wanted.unescape(one)) != (other := got.unescape(two)):
            yield Difference(path, text or None, other or None)
        return
    parts, others = (
        text.split(getattr(tree.marks, _LEVELS[level])) for tree, text in ((wanted, one), (got, two))
    )
    for at in range(max(len(parts), len(others))):
        a, b = (items[at] if at < len(items) else "" for items in (parts, others))
        several = max(len(parts), len(others)) > 1 or (level == 1 and wanted.marks.sub in one + two)
        step = (f"[{at + 1}]" if level == 0 else f".{at + 1}") if several else ""
        yield from _of_parts(wanted, a, got, b, path + step, level + 1)


# XML.


def _of_elements(wanted: Any, got: Any, path: str) -> Iterator[Difference]:
    if wanted.tag != got.tag:
        yield Difference(path, wanted.tag, got.tag)  # with the namespace, in braces
        return
    for name in {**wanted.attrib, **got.attrib}:
        if wanted.get(name) != got.get(name):
            shown = etree.QName(name).localname
            yield Difference(f"{path}/@{shown}", wanted.get(name), got.get(name))
    if (text := _text(wanted)) != (other := _text(got)):
        yield Difference(path, text, other)
    children, others = ([child for child in tree if isinstance(child.tag, str)] for tree in (wanted, got))
    tags, other_tags = [child.tag for child in children], [child.tag for child in others]
    for what, a, b, c, d in SequenceMatcher(None, tags, other_tags, autojunk=False).get_opcodes():
        for at in range(a, b):
            here = _child_path(path, children, at)
            if what == "equal":
                yield from _of_elements(children[at], others[c + at - a], here)
            else:
                yield Difference(here, _written(children[at]), None)
        if what != "equal":
            for at in range(c, d):
                yield Difference(_child_path(path, others, at), None, _written(others[at]))


def _child_path(path: str, children: list[Any], at: int) -> str:
    tag = children[at].tag
    number = 1 + sum(child.tag == tag for child in children[:at])
    several = sum(child.tag == tag for child in children) > 1
    return f"{path}/{_tag(children[at])}[{number}]" if several else f"{path}/{_tag(children[at])}"


def _tag(element: Any) -> str:
    return (
        f"{element.prefix}:{etree.QName(element).localname}"
        if element.prefix
        else etree.QName(element).localname
    )


def _text(element: Any) -> str | None:
    """The texts that are its own, without the white space around them."""
    texts = [element.text, *(child.tail for child in element)]
    return " ".join(text.strip() for text in texts if text and text.strip()) or None


def _written(element: Any) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


# What a comparison leaves out.


def left_out(paths: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern for the paths of differences that do not count: those at a path of `paths`, and below it.

    `[]` is any number, and so is none: `$OBX-14` and `$OBX[]-14` are of every OBX, `$.entry[].fullUrl` of every
    entry; `$//id` is an element of that name wherever it stands.
    """
    if not paths:
        return None
    return re.compile("|".join(map(_pattern, paths)))


def _pattern(path: str) -> str:
    hl7 = re.fullmatch(r"(\$[A-Z][A-Z0-9]{2})(\[\d*\])?(.*)", path)
    if hl7 and not hl7[2]:
        path = f"{hl7[1]}[]{hl7[3]}"
    parts = re.split(r"(\[\d*\]|//|/)", path)
    made = ""
    for part in parts:
        if part == "[]":
            made += r"(?:\[\d+\])?" if hl7 else r"\[\d+\]"
        elif part == "//":
            made += "/(?:.*/)?"
        elif part == "/":
            made += r"(?:\[\d+\])?/" if made != r"\$" else "/"
        else:
            made += re.escape(part)
    return rf"{made}(?:\[\d+\])?(?![\w-])"
