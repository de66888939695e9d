"""Maps, fragments and tables by name: the site's own folders first, then those that the product ships.

A map is `<folder>/<name>.yaml`, a fragment `<folder>/types/<name>.yaml`, a table `<folder>/<name>.csv` or
`.yaml`, or the same in a folder of that. Everything is read once; what is wrong with a file is a finding of that file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.errors import ConfigError, Finding, Problem
from config.registry import nearest
from config.text import Document, read
from transforms.coverage import Watch
from transforms.mapping import Compiler, Map
from transforms.tables import Table, read_table

_TABLES = (".csv", ".yaml")
SHIPPED_MAPS = Path(__file__).parent / "maps"


class Library:
    """What texts may name. `findings` grows as files are read and maps compiled."""

    def __init__(
        self, maps: Sequence[Path], tables: Sequence[Path], coverage: Watch | None = None, runs: bool = True
    ) -> None:
        """With `coverage`, maps note which of their lines gave something; that makes them slower.

        Without `runs`, maps are checked only: nobody is going to run one.
        """
        self.coverage = coverage
        self.runs = runs
        self._map_files = _by_name(maps, ".yaml")
        self._fragment_files = _by_name([folder / "types" for folder in maps], ".yaml")
        self._table_files = _by_name(
            [place for folder in tables for place in table_folders(folder)], *_TABLES
        )
        self._documents: dict[Path, Document | None] = {}
        self._maps: dict[str, Map | None] = {}
        self._tables: dict[str, Table | None] = {}
        self._used: dict[str, frozenset[Path]] = {}
        self._names: dict[str, frozenset[str]] = {}  # of fragments
        self._findings: dict[Finding, None] = {}

    @property
    def findings(self) -> list[Finding]:
        return sorted(self._findings)

    def with_tables(self, changed: Mapping[str, Mapping[str, str]]) -> Library:
        """The same with other rows in some tables, for one test."""
        other = Library((), (), self.coverage)
        other._map_files, other._fragment_files = self._map_files, self._fragment_files
        other._table_files, other._documents = self._table_files, self._documents
        for name, rows in changed.items():
            table = self.table(name)
            if table is not None:
                other._tables[name] = replace(table, columns={table.answers: rows})
        return other

    def map_file(self, name: str) -> Path:
        return self._map_files[name]

    def table_file(self, name: str) -> Path:
        return self._table_files[name]

    def map_names(self) -> list[str]:
        return sorted(self._map_files)

    def fragment_names(self) -> list[str]:
        return sorted(self._fragment_files)

    def table_names(self) -> list[str]:
        return sorted(self._table_files)

    def map(self, name: str, problems: list[Problem], at: tuple[str | int, ...] = ()) -> Map | None:
        """A map, compiled; None with a problem at the place that names it, where there is none or it has
        mistakes.
        """
        if name not in self._map_files:
            near = nearest(name, self._map_files)
            hint = f"did you mean {near}?" if near else ""
            problems.append(Problem(at, "JL-C106", f"no map is called {name!r}", hint))
            return None
        if name not in self._maps:
            self._maps[name] = self._compile(name)
        found = self._maps[name]
        if found is None:
            problems.append(
                Problem(at, "JL-C106", f"the map {name} has mistakes", f"see {self._map_files[name]}")
            )
        return found

    def _compile(self, name: str) -> Map | None:
        path = self._map_files[name]
        document = self._read(path)
        if document is None:
            return None
        compiler = Compiler(self)
        problems: list[Problem] = []
        if isinstance(document.data, dict) and document.data.get("map") != name:
            problems.append(Problem(("map",), "JL-C117", f"the map is called {name!r} by its file"))
        found = compiler.map(document.data, problems, (), document)
        self.complain(document, problems)
        self._used[name] = frozenset({path, *compiler.files})
        return None if any(problem.severity == "error" for problem in problems) else found

    def document(self, name: str) -> Document | None:
        """A map's text, for its title and its tests."""
        return self._read(self._map_files[name]) if name in self._map_files else None

    def fragment(self, name: str) -> Document | None:
        return self._read(self._fragment_files[name]) if name in self._fragment_files else None

    def names_in(self, name: str) -> frozenset[str]:
        """What a fragment, or one that it uses, may call by a name that `let` gave."""
        if name not in self._names:
            self._names[name] = frozenset()  # of one that uses itself, which is refused
            document = self.fragment(name)
            names, used = _mentioned(document.data) if document else (set[str](), set[str]())
            self._names[name] = frozenset(names.union(*map(self.names_in, used)))
        return self._names[name]

    def table(self, name: str) -> Table | None:
        if name not in self._tables:
            self._tables[name] = self._read_table(name)
        return self._tables[name]

    def used(self, name: str) -> frozenset[Path]:
        """The files that decide what a compiled map does: itself, its fragments, its tables."""
        return self._used.get(name, frozenset())

    def lies_in(self, name: str, folders: Collection[Path]) -> bool:
        """Whether the map or the table of a name lies in one of these folders, or in a folder of it."""
        files = (self._map_files.get(name), self._table_files.get(name))
        return any(not {file.parent, file.parent.parent}.isdisjoint(folders) for file in files if file)

    def read_all(self, folders: Collection[Path]) -> None:
        """Everything that lies in these folders, whether somebody uses it or not."""
        for name in self._map_files:
            if self.lies_in(name, folders):
                self.map(name, [])
        for name, path in self._fragment_files.items():
            if path.parent.parent in folders:
                self.fragment(name)
        for name in self._table_files:
            if self.lies_in(name, folders):
                self.table(name)

    def note_hidden(self, folders: Collection[Path]) -> None:
        """Finds the tables of these folders that are not read, for another has their name."""
        for folder in folders:
            self.note(self._hidden(folder))

    def _hidden(self, folder: Path) -> Iterator[Finding]:
        """A table's file that is not read: another in the same folder, or in a folder of it, has its name."""
        for path in _files(table_folders(folder), _TABLES):
            read = self._table_files[path.stem]
            if path != read and read.is_relative_to(folder):
                hint = f"that one is read: {read.relative_to(folder)}"
                yield Finding(str(path), 1, 1, "JL-C114", f"another file is the table {path.stem!r}", hint)

    def complain(self, document: Document, problems: Iterable[Problem]) -> None:
        self.note(document.findings(problems))

    def note(self, findings: Iterable[Finding]) -> None:
        self._findings.update(dict.fromkeys(findings))

    def _read(self, path: Path) -> Document | None:
        if path not in self._documents:
            try:
                document = read(path)
                self._documents[path] = document
                self.complain(document, document.problems)
            except ConfigError as error:
                self._documents[path] = None
                self.note(error.findings)
        return self._documents[path]

    def _read_table(self, name: str) -> Table | None:
        if name not in self._table_files:
            return None
        try:
            table, findings = read_table(self._table_files[name])
        except ConfigError as error:
            self.note(error.findings)
            return None
        self.note(findings)
        return table


_NAME = re.compile(r"\$(\w+)")


def _mentioned(data: Any) -> tuple[set[str], set[str]]:
    """The names in a text, those of its `let` too, and the fragments that it uses."""
    names, used, waiting = set[str](), set[str](), [data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            names.update(_NAME.findall(node))
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += [*node, *node.values()]
            names.update(map(str, node["let"]) if isinstance(node.get("let"), dict) else ())
            used.update([node["use"]] if isinstance(node.get("use"), str) else ())
    return names, used


def table_folders(folder: Path) -> list[Path]:
    """Where the tables of a folder lie: in it, and in the folders of it."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [folder, *inner]


def _files(folders: Sequence[Path], suffixes: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.suffix in suffixes:
                yield path


def _by_name(folders: Sequence[Path], *suffixes: str) -> dict[str, Path]:
    """Files by their name without suffix; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for path in _files(folders, suffixes):
        found.setdefault(path.stem, path)
    return found
