r"""What a test says of a message: values by path, a condition that holds, or the whole of it.

```yaml
{$PID-3.1: P0001, $NK1: null}                        # what stands where; null: nothing
{holds: {$PID-7: {before: 2008-01-01}}}              # a condition, as in `when`
{$: "MSH|^~\\&|...", except: [$MSH-7]}               # the whole message, but for some places
{file: samples/a01.json, except: [$.entry[].id]}     # the same from a file, which `--update` writes
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from config.errors import BadMessage, Problem
from config.registry import nearest
from config.text import At
from schemas.base import Format
from schemas.choice import as_bytes, spoken
from transforms.compare import Difference, differences, left_out, of_values, same
from transforms.conditions import compile_when
from transforms.expression import Tables, begin, compile_expression, is_expression, open_scope
from transforms.pipes import text_of
from transforms.samples import Samples

KEYS = ("file", "except", "holds")
_LITERAL = ("json", "fhir")  # formats whose trees are plain values; in the others all is text


@dataclass(frozen=True, slots=True)
class Content:
    """What a message must say. `values`: path as written, its reader, what must be there."""

    format: Format
    values: tuple[tuple[str, Callable[[Any], Any], Any], ...] = ()
    holds: tuple[Any, Callable[[Any], bool]] | None = None  # as written, and compiled
    whole: Any = None  # a tree
    file: str = ""
    missing: str = ""  # why the file cannot be read
    left_out: re.Pattern[str] | None = None

    def differences(self, body: bytes, charset: str = "") -> list[Difference]:
        """Where a message is otherwise; nothing where it is as wanted."""
        try:
            tree = self.format.decode(body, charset)
        except BadMessage as error:
            return [Difference("$", f"a message of format {self.format.name}", str(error))]
        found = [diff for path, read, wanted in self.values for diff in self._value(path, wanted, read(tree))]
        if self.holds is not None and not self.holds[1](tree):
            found.append(Difference("holds", self.holds[0], False))
        return [*found, *self._whole(tree)]

    def outdated(self, body: bytes, charset: str = "") -> bool:
        """Whether the file that a message is expected in is not this message."""
        if not self.file:
            return False
        try:
            return bool(self._whole(self.format.decode(body, charset)))
        except BadMessage:
            return False

    def _value(self, path: str, wanted: Any, got: Any) -> list[Difference]:
        if (
            self.format.name not in _LITERAL
            and isinstance(got, str)
            and isinstance(wanted, str | int | float)
        ):
            wanted, got = text_of(wanted), str(got)
        if same(wanted, got):
            return []
        if isinstance(wanted, Mapping | list) and type(wanted) is type(got):
            return list(of_values(wanted, got, path))
        return [Difference(path, wanted, got)]

    def _whole(self, tree: Any) -> list[Difference]:
        if self.missing:
            return [Difference(self.file, "a file with the message (jingluo test --update)", self.missing)]
        if self.whole is None:
            return []
        found = differences(self.format, self.whole, tree)
        return [diff for diff in found if self.left_out is None or not self.left_out.match(diff.path)]


def compile_content(
    spec: Mapping[Any, Any],
    format: str | Format,
    tables: Tables,
    samples: Samples,
    problems: list[Problem],
    at: At,
) -> Content | None:
    """None where nobody knows the format. Mistakes are added to `problems`; what has none is compiled."""
    scope = open_scope(format, tables, problems, at)
    if scope is None:
        return None
    values: list[tuple[str, Callable[[Any], Any], Any]] = []
    made = Content(scope.format)
    for key, wanted in spec.items():
        here = (*at, key)
        if key == "$":
            made = _of_text(made, wanted, problems, here)
        elif is_expression(key):
            before = len(problems)
            expression = compile_expression(key, scope, here)
            problems[before:] = [replace(problem, on_key=True) for problem in problems[before:]]
            if expression is not None:
                values.append((key, _reader(expression.closure()), wanted))
        elif key == "file":
            made = _of_file(made, wanted, samples, problems, here)
        elif key == "except":
            made = replace(made, left_out=_except(wanted, problems, here))
        elif key == "holds":
            test = compile_when(wanted, scope.format, tables, problems, here, envelope=())
            made = replace(made, holds=(wanted, test) if test else None)
        else:
            near = nearest(str(key), KEYS)
            hint = f"did you mean {near!r}?" if near else f"a path begins with $; or one of {', '.join(KEYS)}"
            problems.append(Problem(here, "JL-C010", f"unknown key {str(key)!r}", hint, on_key=True))
    return replace(made, values=tuple(values))


def _reader(call: Callable[[Any, list[Any]], Any]) -> Callable[[Any], Any]:
    def read(tree: Any) -> Any:
        try:
            found = call(tree, begin(tree))
        except BadMessage as error:
            return str(error)
        return None if found is None or found == "" or found == [] else found

    return read


def _of_text(made: Content, wanted: Any, problems: list[Problem], at: At) -> Content:
    """The whole message, as text or, of JSON, as it stands in the YAML."""
    if not isinstance(wanted, str) and made.format.name not in ("hl7v2", "xml"):
        return replace(made, whole=wanted)
    try:
        return replace(made, whole=_read(made.format, as_bytes(made.format, str(wanted).strip())))
    except BadMessage as error:
        problems.append(Problem(at, "JL-C012", f"not a message of format {made.format.name}: {error.text}"))
        return made


def _read(format: Format, body: bytes) -> Any:
    return format.decode(body, spoken(format))


def _of_file(made: Content, name: Any, samples: Samples, problems: list[Problem], at: At) -> Content:
    body = read_sample(name, samples, problems, at)
    if body is None:
        return replace(made, file=str(name), missing="no such file")
    try:
        return replace(made, file=name, whole=_read(made.format, body))
    except BadMessage as error:
        problems.append(
            Problem(at, "JL-C083", f"{name} is not a message of format {made.format.name}: {error.text}")
        )
        return replace(made, file=name, missing=error.text)


def read_sample(name: Any, samples: Samples, problems: list[Problem], at: At) -> bytes | None:
    """A test's file; None, and a problem, where it cannot be read. Where it only is not there, that is a warning."""
    if not isinstance(name, str) or not name:
        problems.append(Problem(at, "JL-C012", "file must be the name of a file"))
        return None
    try:
        return samples.read(name)
    except ValueError as error:
        problems.append(Problem(at, "JL-C083", f"{name}: {error}"))
    except OSError as error:
        what = f"{name} cannot be read: {error.strerror}"
        hint = "names of files are relative to the site; `jingluo test --update` writes what is expected"
        problems.append(Problem(at, "JL-C083", what, hint, "warning"))
    return None


def _except(paths: Any, problems: list[Problem], at: At) -> re.Pattern[str] | None:
    listed = paths if isinstance(paths, list) else [paths]
    for number, path in enumerate(listed):
        if not is_expression(path):
            here = (*at, number) if isinstance(paths, list) else at
            problems.append(Problem(here, "JL-C100", f"{path!r} is no path", "a path begins with $"))
            return None
    return left_out(listed)


def as_file(form: Format, body: bytes) -> bytes:
    """A message as a file that people read: a line a segment, JSON and XML indented."""
    if form.name == "hl7v2":
        return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if form.name in _LITERAL:
        return msgspec.json.format(form.encode(form.decode(body)), indent=2) + b"\n"
    return body if body.endswith(b"\n") else body + b"\n"
