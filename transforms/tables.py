"""Code tables: what one party calls a thing to what the other calls it.

A table is a CSV file (`code,value[,display ...]`, `#` lines for the source and for `# default: x`, `#
error: true`) or a YAML file with `table:`, `source:`, `default:`, `error:` and `rows:`. The first row of a
CSV names its columns.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import ConfigError, Finding, Problem
from config.registry import nearest
from config.text import read

MAX_FILE = 5_000_000  # bytes
MAX_ROWS = 200_000
_KEYS = ("table", "source", "title", "default", "error", "rows")


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
    lines = _lines(path)
    findings: list[Finding] = []
    said: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            key, _, text = line[1:].partition(":")
            said[key.strip()] = text.strip()
            continue
        cells = next(csv.reader([line]), [])
        if not cells:
            continue
        if not names:
            names = cells
            columns = {name: {} for name in names[1:]}
            if names[:2] != ["code", "value"]:
                raise _broken(path, number, "the first row must name the columns: code,value[,display]")
            continue
        if len(cells) != len(names):
            text = f"{len(cells)} cells, but there are {len(names)} columns"
            findings.append(Finding(str(path), number, 1, "JL-C114", text))
        elif cells[0] in columns["value"]:
            findings.append(Finding(str(path), number, 1, "JL-C114", f"the code {cells[0]!r} stands twice"))
        else:
            for name, cell in zip(names[1:], cells[1:], strict=True):
                if cell:
                    columns[name][cells[0]] = cell
    if not names:
        raise _broken(path, 1, "the table is empty; its first row is code,value")
    return Table(path.stem, columns, said.get("default"), said.get("error") == "true", path), findings


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


def _broken(path: Path, line: int, text: str) -> ConfigError:
    return ConfigError([Finding(str(path), line, 1, "JL-C114", text)])


def _read_yaml(path: Path) -> tuple[Table, list[Finding]]:
    document = read(path)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("rows"), dict):
        raise _broken(path, 1, "a table has `table:` (its name) and `rows:` (code: value)")
    problems = [*document.problems, *(_unknown(key) for key in data if key not in _KEYS)]
    if data.get("table") != path.stem:
        problems.append(Problem(("table",), "JL-C114", f"the table is called {path.stem!r} by its file"))
    columns = _columns(data["rows"], problems)
    default = data.get("default")
    table = Table(
        path.stem, columns, None if default is None else str(default), data.get("error") is True, path
    )
    return table, document.findings(problems)


def _unknown(key: Any) -> Problem:
    near = nearest(str(key), _KEYS)
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
