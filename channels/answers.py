"""What the journal finds a message by in a destination's answer: `index: {setl_id: $.output.setlinfo.setl_id}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Problem
from config.registry import destinations, formats
from config.text import At
from schemas.base import Format

# Columns that the journal has of every message.
RESERVED = (
    "id",
    "channel",
    "state",
    "kind",
    "source",
    "format",
    "received",
    "code",
    "reason",
    "parent",
    "body",
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

# Takes the tree, and the message that it is the answer to.
Read = Callable[..., str | None]


@dataclass(frozen=True, slots=True)
class Findable:
    """The searchable values of a destination's answers."""

    format: Format
    reads: Mapping[str, Read]

    def __call__(self, answer: bytes, message: Any) -> dict[str, str]:
        """By name; of an answer without any bytes there are none. Raises BadMessage where it cannot be read."""
        if not answer:
            return {}
        tree = self.format.decode(answer)
        found = {name: read(tree, message) for name, read in self.reads.items()}
        return {name: value for name, value in found.items() if value}


def answered_in(kind: str, mapped: Format | None, sent: Format | None) -> Format | None:
    """The format of a destination's answers: what the reply's map reads, what its kind says, what it is sent."""
    if mapped is not None:
        return mapped
    name = getattr(destinations.get(kind), "answers_in", "")
    found: Format | None = formats.get(name) if name else sent
    return found


def name_problems(index: Iterable[str], at: At) -> list[Problem]:
    """What is wrong with the names of searchable values."""
    found = []
    for name in index:
        if name in RESERVED:
            what = f"the journal has a column {name!r} of its own"
            found.append(Problem((*at, name), "JL-C035", what, on_key=True))
        elif not _NAME.fullmatch(name):
            what = f"{name!r} cannot name an index: small letters, digits and _"
            found.append(Problem((*at, name), "JL-C035", what, on_key=True))
    return found


def compile_findable(
    index: Mapping[str, str],
    kind: str,
    format: Format | None,
    read: Callable[[str, At], Read | None],
    problems: list[Problem],
    at: At,
) -> Findable | None:
    """`read` compiles an expression in that format. None where anything is wrong."""
    problems += name_problems(index, at)
    if getattr(destinations.get(kind), "answers_in", None) == "":
        what = f"a destination of kind {kind} gives no answer that could be read"
        hint = "give the other channel's destination this `index`" if kind == "channel" else ""
        problems.append(Problem(at, "JL-C059", what, hint, on_key=True))
        return None
    reads = {name: read(path, (*at, name)) for name, path in index.items()}
    good = {name: made for name, made in reads.items() if made is not None}
    return Findable(format, good) if format is not None and len(good) == len(reads) else None
