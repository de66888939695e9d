"""The canonical form of a YAML file: order of keys, indentation, quotes, what stands on one line. Comments stay.

Scalars are not read but kept as they are written, so that nothing changes its meaning on the way: only where keys
stand, how deep, and in which quotes. What is made must read the same as what was there, or nothing is made.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, ScalarString, SingleQuotedScalarString

from config.errors import ConfigError
from config.text import parse

# How the keys of a mapping follow one another: key to the order inside it; `*` is any key.
Order = Mapping[str, Any]

WIDE = 120  # columns: what is longer in braces is written in lines
SHORT = 80  # columns, and so many members: what is shorter in lines is written in braces
MEMBERS = 3
_LEAF = re.compile(r"[^\s{}\[\],#&*!|>'\"%@`?:-][^{}\[\],#:\n]*|-?[0-9.]+")


class Unformattable(ValueError):
    """Why a file stays as it is."""


class _AsWritten(VersionedResolver):
    """No scalar is anything but text: `0123`, `NO` and `2.50` go out as they came in."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and value != "" and implicit[0]:
            return self.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)


def canonical(text: str, order: Order | None = None) -> str:
    """The same file in canonical form. Raises ConfigError where it is not YAML, and Unformattable."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    before = parse(text, env={})
    if before.problems and any(problem.code in ("JL-C004", "JL-C005") for problem in before.problems):
        raise Unformattable("a key stands twice, or is no text")
    if before.data is None:
        return text
    made = _once(text, order or {})
    for _ in range(3):  # a mapping that came into braces may bring its parent there
        again = _once(made, order or {})
        if again == made:
            break
        made = again
    _same(text, made, before.data)
    return made


def _once(text: str, order: Order) -> str:
    try:
        data = _yaml().load(_ordered(text, order))
    except (YAMLError, ValueError, RecursionError) as error:
        raise Unformattable(" ".join(str(error).split())) from None
    _tidy(data, 0, order)
    out = io.StringIO()
    _yaml().dump(data, out)
    lines = [line if line.strip() else "" for line in out.getvalue().split("\n")]
    return "\n".join(lines).rstrip("\n") + "\n"


def _same(text: str, made: str, data: Any) -> None:
    """Raises Unformattable where anything but the form has changed."""
    try:
        after = parse(made, env={}).data
    except ConfigError as error:
        raise Unformattable(f"it would not be read any more: {error.findings[0]}") from None
    if after != data or repr(_sorted(after)) != repr(_sorted(data)):
        raise Unformattable("its meaning would change")
    if Counter(_comments(made)) != Counter(_comments(text)) or made.count("#") != text.count("#"):
        raise Unformattable("a comment would be lost")


def _sorted(value: Any) -> Any:
    """The order of keys is form; the kind of a number is not."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(inner)) for key, inner in value.items())
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def _comments(text: str) -> Iterator[str]:
    """Those that have a line of their own."""
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            yield line.strip()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Resolver = _AsWritten
    yaml.preserve_quotes = True
    yaml.width = 100_000
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


# The order of keys. In lines, they move with the comments above them.


def _ordered(text: str, order: Order) -> str:
    data = _yaml().load(text)
    lines = text.split("\n")
    if order and isinstance(data, CommentedMap) and "&" not in text:
        _move(lines, data, order, 0, len(lines))
    return "\n".join(lines)


def _move(lines: list[str], data: CommentedMap, order: Order, begin: int, end: int) -> None:
    """Puts the keys of a mapping in lines into their order, first inside its members; `begin` to `end` are them."""
    if data.fa.flow_style() or not data:
        return
    keys = list(data)
    starts = [_start(lines, data.lc.key(key), begin if n else -1) for n, key in enumerate(keys)]
    ends = [*starts[1:], end]
    for key, first, last in zip(keys, starts, ends, strict=True):
        inner = order.get(key, order.get("*"))
        if inner and isinstance(data[key], CommentedMap):
            _move(lines, data[key], inner, first + 1, last)
    wanted = sorted(range(len(keys)), key=lambda n: _place(keys[n], order))
    if wanted != list(range(len(keys))):
        while ends[-1] > starts[-1] and not lines[ends[-1] - 1].strip():
            ends[-1] -= 1  # blank lines at the end stay there
        lines[starts[0] : ends[-1]] = [line for n in wanted for line in lines[starts[n] : ends[n]]]


def _start(lines: list[str], place: tuple[int, int], above: int) -> int:
    """The first line of a key: that of the comments above it. Those above a mapping's first key are the mapping's."""
    line, column = place
    while above >= 0 and line > above:
        said = lines[line - 1].strip()
        indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
        if said and not (said.startswith("#") and indent <= column):
            break
        line -= 1
    return line


def _place(key: Any, order: Order) -> int:
    known = list(order)
    return known.index(key) if key in known else len(known)


# What stands in braces and what in lines; quotes.


def _tidy(data: Any, column: int, order: Order) -> None:
    """`column` is where the members of a mapping or a list in lines begin."""
    if isinstance(data, CommentedMap):
        if data.fa.flow_style():
            _order_flow(data, order)
        for key, value in data.items():
            data[key] = _quoted(value)
            lead = column + len(str(key)) + 2
            inner = order.get(key, order.get("*")) or {}
            _brace(data[key], lead, bool(data.fa.flow_style()) or key in data.ca.items)
            _tidy(data[key], column + 2, inner)
    elif isinstance(data, CommentedSeq):
        for number, value in enumerate(data):
            data[number] = _quoted(value)
            _brace(data[number], column + 4, True)
            _tidy(data[number], column + 4, {})


def _quoted(value: Any) -> Any:
    """Double quotes, where single ones say nothing else."""
    plain = isinstance(value, SingleQuotedScalarString) and not re.search(
        r'[\\"\n]|[^\x20-\x7e\u00a1-\ud7ff]', value
    )
    return DoubleQuotedScalarString(value) if plain else value


def _brace(value: Any, lead: int, fixed: bool) -> None:
    """A mapping or a list on one line that is too long comes into lines; a short mapping in lines onto one."""
    if not isinstance(value, CommentedMap | CommentedSeq) or not value:
        return
    if value.fa.flow_style():
        if lead + len(_flow(value)) > WIDE and not _commented(value):
            value.fa.set_block_style()
    elif isinstance(value, CommentedMap) and not fixed and not _commented(value):
        leaves = all(_leaf(key) and _leaf(inner) for key, inner in value.items())
        if leaves and len(value) <= MEMBERS and lead + len(_flow(value)) <= SHORT:
            value.fa.set_flow_style()


def _leaf(value: Any) -> bool:
    """A scalar that reads the same in braces."""
    if isinstance(value, DoubleQuotedScalarString):
        return "\n" not in value
    return isinstance(value, str) and not isinstance(value, ScalarString) and bool(_LEAF.fullmatch(value))


def _flow(value: Any) -> str:
    """As it stands on one line, near enough to know how long that is."""
    if value is not None and getattr(value, "anchor", None) and value.anchor.value:
        return f"*{value.anchor.value}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = "" if value is None else str(value)
    return f'"{text}"' if isinstance(value, ScalarString) else text


def _commented(value: Any) -> bool:
    if not isinstance(value, CommentedMap | CommentedSeq):
        return False
    if value.ca.comment or value.ca.items:
        return True
    return any(map(_commented, value.values() if isinstance(value, Mapping) else value))


def _order_flow(data: CommentedMap, order: Order) -> None:
    keys = list(data)
    if order and not data.ca.items and "*" not in order:
        for key in sorted(keys, key=lambda key: _place(key, order)):
            data.move_to_end(key)
