"""The transactions, code lists and file columns of the insurance platform by name.

`transaction("2207")`, `transactions()`, `code_list("insutype")`, `columns("1301")`, `envelope()`. What is asked for is
read from the CSV files of this folder once, when it is first asked for.
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Any, cast

from config.registry import nearest
from schemas.nhsa.model import Centre, CodeList, Column, Nature, Node, Sure, Transaction, Undoing
from schemas.nhsa.reading import FOLDER, nodes, rows


class Unknown(LookupError):
    """A name that the tables do not have. `nearest` is what was perhaps meant; ''."""

    def __init__(self, what: str, name: str, nearest: str = "") -> None:
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"there is no {what} {name[:60]!r}{hint}")
        self.nearest = nearest


class UnknownTransaction(Unknown):
    pass


class UnknownList(Unknown):
    pass


@cache
def transaction(name: str) -> Transaction:
    """By the name that people use: 2207, 2203A, MP-6201, D001, EC-QUERY. Raises UnknownTransaction."""
    row = _index().get(name)
    if row is None:
        raise UnknownTransaction("transaction", name, nearest(name, _index()))
    input, output = nodes(FOLDER / "transactions" / f"{name}.csv")
    return Transaction(
        name=name,
        code=row["code"],
        centre=cast(Centre, row["centre"]),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        group=row["group"],
        nature=cast(Nature, row["nature"]),
        inbound=row["inbound"] == "Y",
        path=row["path"],
        sure=cast(Sure, row["sure"]),
        open=row["open"] == "Y",
        input=input,
        output=output,
        undoing=Undoing(row["repeatable"] == "Y", tuple(row["probes"].split()), row["undo"], row["reverse"]),
        notes=_notes().get(name, ()),
        version=row["version"],
        sources={key: _sources()[key] for key in row["sources"].split()},
        institution=cast(Any, row["institution"]),
        daily=row["daily"] == "Y",
        needs=tuple(row["needs"].split()),
    )


@cache
def transactions() -> tuple[Transaction, ...]:
    """All, the baseline list of 115 first, in the order of the published list."""
    return tuple(transaction(name) for name in _index())


def names() -> tuple[str, ...]:
    """Of all transactions, without reading their tables."""
    return tuple(_index())


@cache
def code_list(name: str) -> CodeList:
    """A dictionary (字典) by its name. Raises UnknownList."""
    lists = _lists()
    if name not in lists:
        raise UnknownList("code list", name, nearest(name, lists))
    name_zh, sure, closed, note = lists[name]
    mine = [(code, word, where) for of, code, word, where in _codes() if of == name]
    return CodeList(
        name,
        name_zh,
        cast(Any, sure),
        closed == "Y",
        {code: word for code, word, where in mine if not where},
        tuple(one for one in mine if one[2]),
        note,
    )


def code_lists() -> tuple[CodeList, ...]:
    return tuple(code_list(name) for name in _lists())


@cache
def columns(name: str) -> tuple[Column, ...]:
    """Of a TXT file, by position: a catalogue (`1301`), `3202-upload`, `3202-result`. Raises Unknown."""
    mine = [rest for of, *rest in _columns() if of == name]
    if not mine:
        raise Unknown("file", name, nearest(name, {of for of, *_ in _columns()}))
    return tuple(Column(n, *rest) for n, rest in enumerate(mine))


@cache
def envelope() -> tuple[Node, Node]:
    """The outer message: of a request (infno, msgid, ..., input) and of an answer (infcode, ..., output)."""
    (request,), (answer,) = nodes(FOLDER / "envelope.csv")
    return request, answer


@cache
def _index() -> dict[str, dict[str, str]]:
    with (FOLDER / "transactions.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@cache
def _notes() -> dict[str, tuple[str, ...]]:
    notes: dict[str, list[str]] = {}
    for of, note in rows(FOLDER / "notes.csv"):
        for name in of.split():
            notes.setdefault(name, []).append(note)
    return {name: tuple(said) for name, said in notes.items()}


@cache
def _sources() -> dict[str, str]:
    return dict(rows(FOLDER / "sources.csv"))


@cache
def _lists() -> dict[str, tuple[str, str, str, str]]:
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows(FOLDER / "lists.csv")}


@cache
def _codes() -> list[list[str]]:
    return rows(FOLDER / "codes.csv")


@cache
def _columns() -> list[list[str]]:
    return rows(FOLDER / "columns.csv")
