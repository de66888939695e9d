"""Code tables: what one party calls a thing to what the other calls it.

A table is a CSV file (`code,value[,display ...]`, `#` lines for the source and for `# default: x`, `#
error: true`) or a YAML file with `table:`, `source:`, `default:`, `error:` and `rows:`. The first row of a
CSV names its columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import ConfigError, Finding, Problem
from config.registry import nearest
from config.text import read

MAX_FILE = 5_000_000  # bytes
MAX_ROWS = 200_000
_SAID = ("source", "title", "default", "error")
_HEAD = "code,value[,display]"
_DEFAULT = "default: ..."
KEYS = ("table", "source", "title", "default", "error", "rows")


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` holds a dict of code to text for each column after the code; `value` is the one used by
    default.
    """

    name: str
    columns: Mapping[str, Mapping[str, str]]
    default: str | None = None
    error: bool = False
    file: Path = field(default_factory=Path)

    @property
    def rows(self) -> Mapping[str, str]:
        return self.columns["value"]


def read_table(path: Path) -> tuple[Table, list[Finding]]:
    """Raises ConfigError where the file cannot be read at all; lesser mistakes (JL-C114) are findings."""
    return _read_csv(path) if path.suffix == ".csv" else _read_yaml(path)


def _read_csv(path: Path) -> tuple[Table, list[Finding]]:
    reader = _Csv(path)
    for number, line in enumerate(_lines(path), 1):
        if line.startswith("#"):
            reader.say(number, line)
        elif line.strip():
            reader.row(number, line)
    if not reader.names:
        raise _broken(path, 1, "the table is empty; its first row is code,value")
    if not reader.lines and not reader.findings:
        reader.find(
            reader.begins, 1, "the table has no rows", "write a code and its value under the first row"
        )
    said = reader.said
    table = Table(path.stem, reader.columns, said.get("default"), said.get("error") == "true", path)
    return table, reader.findings


class _Csv:
    """A table's lines, one after the other, and what is wrong with any of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self.said: dict[str, str] = {}  # in `#` lines
        self.names: list[str] = []
        self.begins = 1  # the line of the names
        self.columns: dict[str, dict[str, str]] = {}
        self.lines: dict[str, int] = {}  # of each code

    def find(self, line: int, column: int, text: str, hint: str = "") -> None:
        self.findings.append(Finding(str(self.path), line, column, "JL-C114", text, hint))

    def say(self, number: int, line: str) -> None:
        key, mark, text = (part.strip() for part in line[1:].partition(":"))
        near = nearest(key, _SAID)
        if mark and key not in _SAID and near:
            self.find(number, 1, f"a table says no {key!r} of itself", f"did you mean {near}?")
        elif key == "error" and text not in ("true", "false"):
            self.find(number, 1, f"error cannot be {text!r}", "write true or false")
        self.said[key] = text

    def row(self, number: int, line: str) -> None:
        if line.count('"') % 2:
            self.find(number, 1, "a quote stays open", 'a quote inside a cell is written twice: ""')
            return
        cells = next(csv.reader([line]), [])
        if self.names:
            self._cells(number, cells)
        else:
            self._names(number, line, cells)

    def _names(self, number: int, line: str, cells: list[str]) -> None:
        if cells[:2] != ["code", "value"]:
            raise _broken(
                self.path, number, f"the first row must name the columns: {_HEAD}", _head_hint(line, cells)
            )
        self.names, self.begins = cells, number
        self.columns = {name: {} for name in cells[1:]}
        column = 1
        for place, name in enumerate(cells):
            if not name.strip():
                self.find(number, column, "a column without a name")
            elif name in cells[:place]:
                self.find(number, column, f"the column {name!r} stands twice")
            column += len(name) + 1

    def _cells(self, number: int, cells: list[str]) -> None:
        code = cells[0]
        if len(cells) != len(self.names):
            hint = "a cell with a comma is written in quotes"
            if len(cells) == 1 and (";" in code or "\t" in code):
                hint = "cells are parted by commas"
            self.find(number, 1, f"{len(cells)} cells, but there are {len(self.names)} columns", hint)
        elif not code:
            self.find(
                number, 1, "a row without its code", f"for what is not there write a line `# {_DEFAULT}`"
            )
        elif cells != [cell.strip() for cell in cells]:
            self.find(
                number,
                1,
                f"a space before or after a cell of {code.strip()!r}",
                "it would be part of the text",
            )
        elif code in self.lines:
            self.find(number, 1, f"the code {code!r} stands twice", f"first on line {self.lines[code]}")
        elif not cells[1]:
            self.find(number, 1, f"the code {code!r} has no value", "take the row out, or write the value")
        else:
            self.lines[code] = number
            for name, cell in zip(self.names[1:], cells[1:], strict=True):
                if cell:
                    self.columns[name][code] = cell


def _head_hint(line: str, cells: list[str]) -> str:
    small = [cell.strip().lower() for cell in cells]
    if small[:2] == ["code", "value"]:
        return "in small letters, without spaces"
    if len(cells) == 1 and re.match(r"\s*code\s*[;\t|]", line, re.IGNORECASE):
        return "cells are parted by commas"
    near = [nearest(cell, ("code", "value")) for cell in small[:2]]
    return "did you mean code,value?" if near == ["code", "value"] else "write it above the rows"


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise _broken(path, 1, f"larger than {MAX_FILE} bytes")
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(
            [Finding(str(path), 1, 1, "JL-C001", f"cannot be read: {error.strerror}")]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([Finding(str(path), 1, 1, "JL-C002", "not UTF-8 text")]) from None
    if len(lines) > MAX_ROWS:
        raise _broken(path, MAX_ROWS, f"more than {MAX_ROWS} rows")
    return lines


def _broken(path: Path, line: int, text: str, hint: str = "") -> ConfigError:
    return ConfigError([Finding(str(path), line, 1, "JL-C114", text, hint)])


def _read_yaml(path: Path) -> tuple[Table, list[Finding]]:
    document = read(path)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("rows"), dict):
        raise _broken(path, 1, "a table has `table:` (its name) and `rows:` (code: value)")
    problems = [*document.problems, *(_unknown(key) for key in data if key not in KEYS)]
    if data.get("table") != path.stem:
        problems.append(Problem(("table",), "JL-C114", f"the table is called {path.stem!r} by its file"))
    columns = _columns(data["rows"], problems)
    default = data.get("default")
    table = Table(
        path.stem, columns, None if default is None else str(default), data.get("error") is True, path
    )
    return table, document.findings(problems)


def _unknown(key: Any) -> Problem:
    near = nearest(str(key), KEYS)
    return Problem(
        (key,), "JL-C114", f"a table has no {key!r}", f"did you mean {near}?" if near else "", on_key=True
    )


def _columns(rows: Mapping[Any, Any], problems: list[Problem]) -> dict[str, dict[str, str]]:
    """A row is `code: value` or `code: {value: ..., display: ...}`."""
    columns: dict[str, dict[str, str]] = {"value": {}}
    for code, row in rows.items():
        cells = row if isinstance(row, dict) else {"value": row}
        for name, cell in cells.items():
            if isinstance(cell, dict | list):
                problems.append(Problem(("rows", code), "JL-C114", "a cell must be plain text"))
            elif cell is not None:
                columns.setdefault(str(name), {})[str(code)] = str(cell)
    return columns
