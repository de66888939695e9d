"""YAML 1.2 to plain data that remembers line and column.

`read(path)` gives a `Document`: `data` is plain dict, list, str, int, float, bool, None, and `place(at)` says
where the value at a way of keys and indexes stands, so that any later complaint (`Problem`) can name its
line. The events come from libyaml through ruamel.yaml (52 KB in 30 ms); scalars are resolved here by the YAML
1.2 core schema, so `NO` stays text and `12:30` is not 750. Duplicate keys, tabs, and what only YAML 1.1 would
read otherwise are findings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from config.errors import ConfigError, Finding, Problem

At = tuple[str | int, ...]
Place = tuple[int, int]

MAX_FILE = 2_000_000  # bytes: a hand-written file is never larger
MAX_DEPTH = 100
MAX_VALUES = 200_000  # aliases followed: nine lines of `&b [*a, *a, ...]` would be a billion
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TRAP_BOOL = re.compile(r"(?i:yes|no|on|off|y|n)")
_TRAP_NUMBER = re.compile(r"0[0-9]+|[0-9]+(:[0-5]?[0-9])+")
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class _TooLarge(Exception):
    def __init__(self, what: str, event: Any, hint: str = "") -> None:
        super().__init__(what)
        self.place = _place(event)
        self.hint = hint


def _place(event: Any) -> Place:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as data. `problems` holds what can be said of the text alone."""

    file: str
    data: Any
    problems: tuple[Problem, ...] = ()
    doubled: tuple[tuple[At, Any], ...] = ()  # the second value of a key that stands twice, and its place
    _values: Mapping[At, Place] = field(default_factory=dict)
    _keys: Mapping[At, Place] = field(default_factory=dict)

    def place(self, at: At, on_key: bool = False) -> Place:
        """Line and column, from 1, of the value at `at`, or of its nearest parent that is in the text."""
        if on_key and at in self._keys:
            return self._keys[at]
        while at and at not in self._values:
            at = at[:-1]
        return self._values.get(at, (1, 1))

    def finding(self, problem: Problem) -> Finding:
        if problem.elsewhere is not None:
            return problem.elsewhere
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
    answers = os.environ if env is None else env
    try:
        try:
            reader = _Reader(text, answers, pure=False)
        except YAMLError:  # libyaml reads YAML 1.1 (it refuses `[12:30]`): the slow parser is the judge
            reader = _Reader(text, answers, pure=True)
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
    return Document(
        name, reader.data, tuple(reader.problems), tuple(reader.doubled), reader.values, reader.keys
    )


def _line(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1] if line <= len(lines) else ""


class _Reader:
    """The parser's events into data, noting places and problems on the way.

    Not by nodes: the composer recurses on the C stack, so that 200,000 brackets would end the process, and
    resolves tags that nobody asks for. An alias shares its anchor's data, and counts as much.
    """

    def __init__(self, text: str, env: Mapping[str, str], pure: bool) -> None:
        self.env = env
        self.values: dict[At, Place] = {}
        self.keys: dict[At, Place] = {}
        self.problems: list[Problem] = []
        self.doubled: list[tuple[At, Any]] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # the data, and how many values it holds
        self._count = 0
        self._events = iter(YAML(typ="safe", pure=pure).parse(text))
        self.data = self._document()

    def _document(self) -> Any:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), StreamEndEvent):
            return None
        data = self._value(next(self._events), ())
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise ComposerError(None, None, "a file is one document", after.start_mark)
        return data

    def _value(self, event: Any, at: At) -> Any:
        self.values[at] = _place(event)
        if len(at) > MAX_DEPTH:
            raise _TooLarge(f"nested deeper than {MAX_DEPTH} levels", event)
        before = self._count
        self._add(1, event)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise ComposerError(None, None, f"*{event.anchor} has no anchor before it", event.start_mark)
            data, size = self._anchors[event.anchor]
            self._add(size, event)
            return data
        if isinstance(event, MappingStartEvent):
            data = self._mapping(at)
        elif isinstance(event, SequenceStartEvent):
            data = self._sequence(at)
        else:
            data = self._scalar(event, at)
        if event.anchor:
            self._anchors[event.anchor] = (data, self._count - before)
        return data

    def _add(self, values: int, event: Any) -> None:
        self._count += values
        if self._count > MAX_VALUES:
            hint = "an alias (*name) repeats all of its anchor"
            raise _TooLarge(f"more than {MAX_VALUES} values", event, hint)

    def _sequence(self, at: At) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            made.append(self._value(event, (*at, len(made))))
        return made

    def _mapping(self, at: At) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        times: dict[Any, int] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self.problems.append(Problem((*at, "?"), "JL-C005", "a key must be plain text"))
                self._value(event, (*at, "?"))
                self._value(next(self._events), (*at, "?", ":"))
                continue
            key = event.value if event.style else _plain(event.value)
            here: At = (*at, key)
            if key in made:
                hint = f"first on line {self.keys[here][0]}"
                times[key] = times.get(key, 1) + 1
                here = (*here, -times[key])  # no index of a list is negative
                self.keys[here] = _place(event)
                what = f"the key {key!r} stands twice"
                self.problems.append(Problem(here, "JL-C004", what, hint, on_key=True))
                self.doubled.append((here, self._value(next(self._events), here)))
                continue
            self.keys[here] = _place(event)
            made[key] = self._value(next(self._events), here)
        return made

    def _scalar(self, event: ScalarEvent, at: At) -> Any:
        text: str = event.value
        if "${" in text:
            text = self._environment(text, at)
            return text if event.style or text == "" else _plain(text)
        if event.style:  # quoted, | or >: text is text
            return text
        if _TRAP_BOOL.fullmatch(text):
            hint = "write true or false, or put it in quotes"
            what = f"{text} is text here, not a truth value"
            self.problems.append(Problem(at, "JL-C006", what, hint, "warning"))
        elif _TRAP_NUMBER.fullmatch(text):
            hint = f'write "{text}" if the text is meant'
            what = f"{text} reads as different numbers elsewhere"
            self.problems.append(Problem(at, "JL-C006", what, hint, "warning"))
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
