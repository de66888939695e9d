"""The tables of this folder as values. CSV, because people read and edit them in a spreadsheet as well.

A table of a transaction says only what differs from `elements.csv`, where each data element stands once; `-` is
nothing where the element has something. A row that names a node begins it: `> data` goes in, `< setldetail[]` comes
out as a list, `/` is the root.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from schemas.nhsa.model import Field, Node, Type

FOLDER = Path(__file__).parent


class Element(NamedTuple):
    """A data element (数据元), as most tables print it."""

    name_zh: str
    type: str
    codes: str


def rows(path: Path) -> list[list[str]]:
    """All but the header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


@cache
def elements() -> dict[str, Element]:
    return {name: Element(*rest) for name, *rest in rows(FOLDER / "elements.csv")}


def nodes(path: Path) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """What goes in and what comes out; nothing where there is no such table."""
    begun: list[tuple[str, bool, list[Field]]] = []
    for row in rows(path) if path.is_file() else ():
        if row[0]:
            begun.append((row[0], row[2] == "Y", []))
        else:
            begun[-1][2].append(_field(row))
    return tuple(_nodes(begun, "> ")), tuple(_nodes(begun, "< "))


def _nodes(begun: list[tuple[str, bool, list[Field]]], side: str) -> Iterator[Node]:
    for head, required, fields in begun:
        if head.startswith(side):
            name = head.removeprefix(side)
            many = name.endswith("[]")
            yield Node(name.removesuffix("[]").replace("/", ""), many, tuple(fields), required)


_NONE = Element("", "", "")


def _field(row: list[str]) -> Field:
    _, name, required, type, name_zh, codes, status, aliases, note = row
    usual = elements().get(name, _NONE)
    kind, length, decimals, guessed = _type(_own(type, usual.type))
    return Field(
        name,
        _own(name_zh, usual.name_zh),
        kind,
        length,
        decimals,
        required == "Y",
        _own(codes, usual.codes),
        "later" if status == "later" else "local" if status == "local" else "",
        note,
        tuple(aliases.split()),
        guessed,
    )


def _own(value: str, usual: str) -> str:
    return "" if value == "-" else value or usual


@cache
def _type(text: str) -> tuple[Type, int, int, bool]:
    """`number 16,2`, `text 30`, `date`, `text?` where it is a guess."""
    kind, _, size = text.partition(" ")
    length, _, decimals = size.partition(",")
    return cast(Type, kind.removesuffix("?")), int(length or 0), int(decimals or 0), kind.endswith("?")
