"""Code tables on a terminal: the list of all, or one with its rows and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len

from channels.loader import shown
from config.settings import Settings
from transforms.library import Library
from transforms.tables import CODE, Table


def find(settings: Settings, name: str) -> tuple[list[Table], list[str]]:
    """The tables of a site, its own and the shipped ones: the one of this name, those whose names begin so, or those
    that speak of it in any case of letters. And the names of all.
    """
    library = Library((), settings.tables)
    names = library.table_names()
    chosen = [one for one in names if one == name] or [one for one in names if one.startswith(name)]
    tables = [table for one in chosen or names if (table := library.table(one)) is not None]
    return (tables if chosen else [table for table in tables if _speaks(table, name.lower())]), names


def _speaks(table: Table, word: str) -> bool:
    said = [table.name, table.about.title, *table.about.sources, table.about.oid]
    cells = (cell for column in table.columns.values() for cell in column.values())
    return any(word in text.lower() for text in said) or any(word in cell.lower() for cell in cells)


def listed(tables: list[Table]) -> Iterator[str]:
    """Two lines a table: its name, size, columns and title; its sources."""
    width = max(len(table.name) for table in tables)
    for table in tables:
        size = len(table.codes)
        columns = ", ".join(table.columns)
        yield f"{table.name:{width}} {size:5} {columns}; {table.about.title}".rstrip("; ")
        yield f"{'':{width}}       {'; '.join(table.about.sources) or 'no source 无来源'}"


def whole(table: Table, settings: Settings) -> Iterator[str]:
    about = table.about
    yield f"{table.name}: {about.title}" if about.title else table.name
    yield from (f"  source: {source}" for source in about.sources)
    if about.oid:
        yield f"  oid: {about.oid}"
    yield from (f"  doubt: {doubt}" for doubt in about.doubts)
    yield f"  a code that it does not hold: {_otherwise(table)}"
    yield f"  {shown(table.file, settings.site)}\n"
    rows = [[code, *(column.get(code, "") for column in table.columns.values())] for code in table.codes]
    yield from _aligned([[CODE, *table.columns], *rows])
    yield ""
    yield from (f"  test: {test.text}" for test in table.tests)
    yield f"{len(rows)} codes, {len(table.tests)} tests"


def _otherwise(table: Table) -> str:
    if table.error:
        return "the message is refused"
    return "nothing" if table.default is None else table.default


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(padded)}".rstrip()


def facts(table: Table, settings: Settings, rows: bool) -> dict[str, Any]:
    """For tools; with `rows` the cells too, by column and code."""
    about = table.about
    made = {
        "name": table.name,
        "title": about.title,
        "sources": list(about.sources),
        "oid": about.oid,
        "doubts": list(about.doubts),
        "default": table.default,
        "error": table.error,
        "codes": len(table.codes),
        "columns": list(table.columns),
        "tests": [test.text for test in table.tests],
        "file": shown(table.file, settings.site),
    }
    return {**made, "rows": table.columns} if rows else made
