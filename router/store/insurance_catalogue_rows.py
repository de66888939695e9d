"""Many rows at once: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from endpoints.insurance.lines import NULL, Value


def add(connection: Connection, table: Table, first: int, rows: Sequence[Sequence[Value]]) -> None:
    """`rows` have as many values as the table has columns between its number and `extra`, and what is more."""
    count = len(table.columns) - 2
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        _copy(driver, table.name, first, rows, count)
        return
    marks = ", ".join("?" * (count + 2))
    made = ((number, *map(_clean, row[:count]), _extra(row, count)) for number, row in enumerate(rows, first))
    driver.executemany(f"INSERT INTO {table.name} VALUES ({marks})", made)


def _copy(driver: Any, table: str, first: int, rows: Sequence[Sequence[Value]], count: int) -> None:
    lines = []
    for number, row in enumerate(rows, first):
        values = [NULL if value is None else value for value in row[:count]]
        values.append(_extra(row, count) or NULL)
        line = "\t".join(values)
        if "\\" in line or "\n" in line or "\r" in line or "\0" in line or line.count("\t") != count:
            line = "\t".join(map(_escaped, values))
        lines.append(f"{number}\t{line}\n")
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (NULL '{NULL}')") as copy:
        copy.write("".join(lines).encode("utf-8", "replace"))


def _extra(row: Sequence[Value], count: int) -> Value:
    """What a later version of the interface appended."""
    if len(row) == count:
        return None
    return "\t".join(NULL if value is None else value for value in row[count:])


def _clean(value: Value) -> Value:
    """Without what PostgreSQL cannot hold: both databases are to answer alike."""
    if value is None or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _escaped(value: str) -> str:
    value = value.replace("\0", "").replace("\\", "\\\\")
    return value.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
