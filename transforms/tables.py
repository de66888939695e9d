"""Code tables: what one party calls a thing to what the others call it.

A table is a CSV file: its first row names the columns, `code` first, and `#` lines before it say what the table is
(`# source: GB/T 2261.1-2003`). Or a YAML file with the same words as keys, and the rows under `rows:`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import ConfigError, Finding, Problem
from config.registry import nearest
from config.text import Document, read

MAX_FILE = 5_000_000  # bytes
MAX_ROWS = 200_000
KEYS = ("table", "title", "source", "oid", "doubt", "default", "error", "rows", "tests")
CODE = "code"  # the column that a table is asked by
_VALUE = "value"  # the column of a row in YAML that is a text alone
_OFTEN = ("source", "doubt", "test")  # `#` lines that may stand several times
_SAID = ("title", "oid", "default", "error", *_OFTEN)
_HEAD = "code,value[,display]"
_DEFAULT = "default: ..."


@dataclass(frozen=True, slots=True)
class Asked:
    """A test of a table as it is written, and its place: `F to name -> 女性`."""

    text: str
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class About:
    """What a table says of itself. `doubts`: what of it is not sure, or was mended."""

    title: str = ""
    sources: tuple[str, ...] = ()
    oid: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` holds a dict of code to text for each column after the code; the first of them answers where
    nobody names another.
    """

    name: str
    columns: Mapping[str, Mapping[str, str]]
    default: str | None = None
    error: bool = False
    file: Path = field(default_factory=Path)
    about: About = About()
    tests: tuple[Asked, ...] = ()

    @property
    def answers(self) -> str:
        """The name of the column that answers."""
        return next(iter(self.columns), _VALUE)

    @property
    def codes(self) -> Mapping[str, str]:
        """Every code, to itself, in the order of the file."""
        return {code: code for column in self.columns.values() for code in column}

    def column(self, name: str) -> Mapping[str, str]:
        """Code to text; empty where there is no such column. `code` is one."""
        return self.codes if name == CODE else self.columns.get(name, {})

    def between(self, asked: str, answers: str) -> Mapping[str, str]:
        """The texts of one column to those of another; the first row that has both counts."""
        said = self.column(answers)
        if asked == CODE:
            return said
        found: dict[str, str] = {}
        for code, text in self.column(asked).items():
            if code in said:
                found.setdefault(text, said[code])
        return found


def read_table(path: Path) -> tuple[Table, list[Finding]]:
    """Raises ConfigError where the file cannot be read at all; lesser mistakes (JL-C114, JL-C118) are findings."""
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
    said = {key: [text for _, text in lines] for key, lines in reader.said.items()}
    if not said.get("source"):
        reader.findings.append(Finding(str(path), 1, 1, "JL-C118", *_UNSOURCED, severity="warning"))
    default = said["default"][0] if "default" in said else None
    tests = tuple(Asked(text, line) for line, text in reader.said.get("test", ()))
    error = said.get("error") == ["true"]
    return Table(path.stem, reader.columns, default, error, path, _about(said), tests), reader.findings


_UNSOURCED = ("nobody says where the codes come from", "say it: source: the ward list of the HIS, 2026")


def _about(said: Mapping[str, list[str]]) -> About:
    title, oid = ("".join(said.get(key, [])) for key in ("title", "oid"))
    return About(title, tuple(said.get("source", ())), oid, tuple(said.get("doubt", ())))


class _Csv:
    """A table's lines, one after the other, and what is wrong with any of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self.said: dict[str, list[tuple[int, str]]] = {}  # in `#` lines, with their numbers
        self.names: list[str] = []
        self.begins = 1  # the line of the names
        self.columns: dict[str, dict[str, str]] = {}
        self.lines: dict[str, int] = {}  # of each code

    def find(self, line: int, column: int, text: str, hint: str = "") -> None:
        self.findings.append(Finding(str(self.path), line, column, "JL-C114", text, hint))

    def say(self, number: int, line: str) -> None:
        key, mark, text = (part.strip() for part in line[1:].partition(":"))
        if key not in _SAID:
            near = nearest(key, _SAID) if mark else ""
            if near:
                self.find(number, 1, f"a table says no {key!r} of itself", f"did you mean {near}?")
            return
        if key == "error" and text not in ("true", "false"):
            self.find(number, 1, f"error cannot be {text!r}", "write true or false")
        elif key in self.said and key not in _OFTEN:
            self.find(number, 1, f"{key} stands twice", f"first on line {self.said[key][0][0]}")
            return
        self.said.setdefault(key, []).append((number, text))

    def row(self, number: int, line: str) -> None:
        if '"' not in line:
            cells = line.split(",")
        elif line.count('"') % 2:
            self.find(number, 1, "a quote stays open", 'a quote inside a cell is written twice: ""')
            return
        else:
            cells = next(csv.reader([line]), [])
        if self.names:
            self._cells(number, cells)
        else:
            self._names(number, line, cells)

    def _names(self, number: int, line: str, cells: list[str]) -> None:
        if cells[0] != CODE or len(cells) == 1:
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
    if small[0] == CODE and len(small) > 1:
        return "in small letters, without spaces"
    if len(cells) == 1 and re.match(r"\s*code\s*[;\t|]", line, re.IGNORECASE):
        return "cells are parted by commas"
    return "did you mean code?" if nearest(small[0], (CODE,)) else "write it above the rows"


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
    said = {key: _texts(data, key, problems) for key in ("title", "source", "oid", "doubt", "tests")}
    if not said["source"]:
        problems.append(Problem((), "JL-C118", *_UNSOURCED, severity="warning"))
    default = data.get("default")
    default = None if default is None else str(default)
    tests = _asked(said["tests"], document)
    table = Table(path.stem, columns, default, data.get("error") is True, path, _about(said), tests)
    return table, document.findings(problems)


def _unknown(key: Any) -> Problem:
    near = nearest(str(key), KEYS)
    return Problem(
        (key,), "JL-C114", f"a table has no {key!r}", f"did you mean {near}?" if near else "", on_key=True
    )


def _texts(data: Mapping[str, Any], key: str, problems: list[Problem]) -> list[str]:
    """A text, or where there may be several a list of texts. `tests` is always a list."""
    said = data.get(key)
    if said is None:
        return []
    several = key in ("source", "doubt", "tests")
    if several and isinstance(said, list) and all(isinstance(text, str) for text in said):
        return said
    if isinstance(said, str) and key != "tests":
        return [said]
    wanted = "a list of texts: [F -> female]" if key == "tests" else "text"
    problems.append(Problem((key,), "JL-C114", f"{key} must be {wanted}"))
    return []


def _asked(texts: Iterable[str], document: Document) -> tuple[Asked, ...]:
    return tuple(Asked(text, *document.place(("tests", number))) for number, text in enumerate(texts))


def _columns(rows: Mapping[Any, Any], problems: list[Problem]) -> dict[str, dict[str, str]]:
    """A row is `code: {fhir: ..., name: ...}`, or `code: text` of the first column that a row names."""
    first = next((next(iter(row)) for row in rows.values() if isinstance(row, dict) and row), _VALUE)
    columns: dict[str, dict[str, str]] = {str(first): {}}
    for code, row in rows.items():
        cells = row if isinstance(row, dict) else {first: row}
        for name, cell in cells.items():
            if isinstance(cell, dict | list):
                problems.append(Problem(("rows", code), "JL-C114", "a cell must be plain text"))
            elif cell is not None:
                columns.setdefault(str(name), {})[str(code)] = str(cell)
    return columns
