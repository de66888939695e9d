"""YAML 1.2 to plain data that remembers line and column.

`read(path)` gives a `Document`: `data` is plain dict, list, str, int, float, bool, None, and `place(at)` says
where the value at a way of keys and indexes stands, so that any later complaint (`Problem`) can name its
line. The nodes come from libyaml through ruamel.yaml (52 KB in 30 ms); scalars are resolved here by the YAML
1.2 core schema, so `NO` stays text and `12:30` is not 750. Duplicate keys, tabs, and what only YAML 1.1 would
read otherwise are findings.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from config.errors import ConfigError, Finding, Problem

At = tuple[str | int, ...]

MAX_FILE = 2_000_000  # bytes: a hand-written file is never larger
MAX_DEPTH = 100
MAX_NODES = 200_000  # after aliases are followed: nine lines of `&b [*a, *a, ...]` would be a billion
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TRAP_BOOL = re.compile(r"(?i:yes|no|on|off|y|n)")
_TRAP_NUMBER = re.compile(r"0[0-9]+|[0-9]+(:[0-5]?[0-9])+")
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class _TooLarge(Exception):
    def __init__(self, what: str, mark: Any, hint: str = "") -> None:
        super().__init__(what)
        self.place = (mark.line + 1, mark.column + 1)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as data. `problems` holds what can be said of the text alone."""

    file: str
    data: Any
    problems: tuple[Problem, ...] = ()
    _values: Mapping[At, tuple[int, int]] = field(default_factory=dict)
    _keys: Mapping[At, tuple[int, int]] = field(default_factory=dict)

    def place(self, at: At, on_key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value at `at`, or of its nearest parent that is in the text."""
        if on_key and at in self._keys:
            return self._keys[at]
        while at and at not in self._values:
            at = at[:-1]
        return self._values.get(at, (1, 1))

    def finding(self, problem: Problem) -> Finding:
        line, column = self.place(problem.at, problem.on_key)
        return Finding(self.file, line, column, problem.code, problem.message, problem.hint, problem.severity)

    def findings(self, problems: Iterable[Problem]) -> list[Finding]:
        return sorted({self.finding(p) for p in problems})


def read(path: Path, shown_as: str = "", env: Mapping[str, str] | None = None) -> Document:
    """Reads a file. Raises ConfigError (JL-C001 cannot be read, JL-C002 not UTF-8, JL-C003 not YAML)."""
    name = shown_as or str(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError([Finding(name, 1, 1, "JL-C001", f"larger than {MAX_FILE} bytes")])
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([Finding(name, 1, 1, "JL-C001", f"cannot be read: {error.strerror}")]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save the file as UTF-8"
        raise ConfigError([Finding(name, line, 1, "JL-C002", "not UTF-8 text", hint)]) from None
    return parse(text, name, env)


def parse(text: str, name: str = "<text>", env: Mapping[str, str] | None = None) -> Document:
    """Text to a Document. `env` (default: the process's) answers `${NAME}` and `${NAME:default}`."""
    reader = _Reader(os.environ if env is None else env)
    try:
        node = _compose(text)
        data = reader.value(node, ()) if node is not None else None
    except _TooLarge as error:
        raise ConfigError(
            [Finding(name, *error.place, "JL-C008", f"too large: {error}", error.hint)]
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = "indent with spaces, never with tabs" if "\t" in _line(text, line) else ""
        said = " ".join(str(error.problem or error.context).split())
        raise ConfigError([Finding(name, line, column, "JL-C003", f"not YAML: {said}", hint)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise ConfigError([Finding(name, 1, 1, "JL-C003", f"not YAML: {said}")]) from None
    return Document(name, data, tuple(reader.problems), reader.values, reader.keys)


def _compose(text: str) -> Node | None:
    """libyaml is quick but reads YAML 1.1 (it refuses `[12:30]`): what it refuses, the slow reader judges."""
    if _may_be_deep(text):
        _refuse_deep(text)
    try:
        node: Node | None = YAML(typ="safe", pure=False).compose(text)
    except YAMLError:
        node = YAML(typ="safe", pure=True).compose(text)
    return node


def _may_be_deep(text: str) -> bool:
    """A cheap look: only brackets, or a very long line, can nest deep in a small file."""
    return text.count("[") + text.count("{") > 1000 or any(len(line) > 2000 for line in text.split("\n"))


def _refuse_deep(text: str) -> None:
    """The composer recurses on the C stack and would take the process down; the parser's events do not."""
    depth = 0
    with contextlib.suppress(YAMLError):  # the composer stops at the same place and says why
        for event in YAML(typ="safe", pure=False).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _TooLarge(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)


def _line(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1] if line <= len(lines) else ""


class _Reader:
    """Walks composed nodes into data, noting places and problems on the way."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.values: dict[At, tuple[int, int]] = {}
        self.keys: dict[At, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def value(self, node: Node, at: At) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooLarge(
                f"more than {MAX_NODES} values", node.start_mark, "an alias (*name) repeats all of its anchor"
            )
        if len(at) > MAX_DEPTH:
            raise _TooLarge(f"nested deeper than {MAX_DEPTH} levels", node.start_mark)
        self.values[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, at)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*at, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)  # the composer makes no other
        return self._scalar(node, at)

    def _mapping(self, node: MappingNode, at: At) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                self.values.setdefault((*at, "?"), place)
                self.problems.append(Problem((*at, "?"), "JL-C005", "a key must be plain text"))
                continue
            key = key_node.value if key_node.style else _plain(key_node.value)
            here = (*at, key)
            if key in made:
                first = self.keys[here][0]
                self.values[(*here, "again")] = place
                self.problems.append(
                    Problem(
                        (*here, "again"), "JL-C004", f"the key {key!r} stands twice", f"first on line {first}"
                    )
                )
                continue
            self.keys[here] = place
            made[key] = self.value(value_node, here)
        return made

    def _scalar(self, node: ScalarNode, at: At) -> Any:
        text: str = node.value
        if "${" in text:
            text = self._environment(text, at)
            return text if node.style or text == "" else _plain(text)
        if node.style:  # quoted, | or >: text is text
            return text
        if _TRAP_BOOL.fullmatch(text):
            hint = "write true or false, or put it in quotes"
            self.problems.append(
                Problem(at, "JL-C006", f"{text} is text here, not a truth value", hint, "warning")
            )
        elif _TRAP_NUMBER.fullmatch(text):
            hint = f'write "{text}" if the text is meant'
            self.problems.append(
                Problem(at, "JL-C006", f"{text} reads as different numbers elsewhere", hint, "warning")
            )
        return _plain(text)

    def _environment(self, text: str, at: At) -> str:
        def answer(match: re.Match[str]) -> str:
            name, default = match[1], match[2]
            if name in self.env:
                return self.env[name]
            if default is None:
                hint = f"set it, or give a default: ${{{name}:value}}"
                self.problems.append(Problem(at, "JL-C007", f"the environment has no {name}", hint))
            return default or ""

        return _ENV.sub(answer, text)


def _plain(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema; a number with a leading zero stays text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not _TRAP_NUMBER.fullmatch(text):
        return float(text)
    return text
