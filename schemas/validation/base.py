"""What validators find and what they are.

A fault never quotes the value: it may be a patient's, and faults stand in the journal and in answers. Codes are the
same whatever a message is validated by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from config.errors import BadMessage
from schemas.base import Format

MISSING = "JL-V001"  # what must be there is not
MANY = "JL-V002"  # more of it than allowed
UNKNOWN = "JL-V003"  # the definition has no such thing here
PLACE = "JL-V004"  # known, but not at this place
TYPE = "JL-V005"  # the value is of another type: no date, no number
CODE = "JL-V006"  # not one of the allowed codes
SIZE = "JL-V007"  # too long, too short, too large, too small
REFERENCE = "JL-V008"  # it points at what is not there
RULE = "JL-V009"  # breaks another rule of the definition
KIND = "JL-V010"  # the definition has no messages of this kind

CODES = (MISSING, MANY, UNKNOWN, PLACE, TYPE, CODE, SIZE, REFERENCE, RULE, KIND)

MAX_FAULTS = 100  # of one message
_TOLD = 5  # that an answer and the journal name
_TOLD_TEXT = 300  # characters of each


class Fault(NamedTuple):
    """One thing that is wrong. `path` is an HL7 path (`PID-3[2].1`), a JSON pointer (`/entry/0`) or an XPath."""

    path: str
    text: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


NOT_WHOLE = Fault(
    "", "too large to be validated (limits.whole)", SIZE
)  # noted of it, where only a part was read

Validator = Callable[[Any], list[Fault]]  # of a decoded message; at most MAX_FAULTS


class Kind(NamedTuple):
    """What `validate: {as: ...}` comes to: the validator, the formats it can read, the files it was made of."""

    name: str
    formats: tuple[str, ...]
    validator: Validator
    files: tuple[Path, ...] = ()


class BadKind(Exception):
    """A name that nothing is validated by, or a schema with mistakes. `hint` says what was perhaps meant."""

    def __init__(self, code: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Validation:
    """What a channel's messages are validated by, and what becomes of those that have faults."""

    kind: Kind
    refuses: bool  # else they are only noted
    besides: frozenset[str] = frozenset()  # codes, and paths with all below them, of which nothing is said
    format: Format | None = None  # of what is validated

    def __call__(self, tree: Any) -> list[Fault]:
        """What is to be noted. Raises BadMessage where that is to be refused; its path is that of the first fault."""
        faults = self.kind.validator(tree)
        if faults and self.besides:
            faults = [fault for fault in faults if not self._apart(fault)]
        if faults and self.refuses:
            raise refusal(faults)
        return faults

    def of_body(self, body: bytes, charset: str = "", *, own: bool = False) -> list[Fault]:
        """As of a tree. Raises BadMessage also for what cannot be read. `own`: the format wrote it itself."""
        assert self.format is not None
        read = getattr(self.format, "reread", self.format.decode) if own else self.format.decode
        return self(read(body, charset))

    def _apart(self, fault: Fault) -> bool:
        if fault.code in self.besides:
            return True
        path = _NUMBER.sub(_numberless, fault.path)
        return any(path == one or path.startswith((f"{one}/", f"{one}.", f"{one}-")) for one in self.besides)


# What counts in a path: `OBX[2]-5[1]` is an `OBX-5`, `/entry/3/resource` an `/entry/*/resource`.
_NUMBER = re.compile(r"\[\d+\]|/\d+(?=/|$)")


def not_excepted(one: str) -> str:
    """What is wrong with an entry of `except`, which then leaves nothing out; ''.

    >>> not_excepted("OBX[2]-5")
    'a path has no numbers of repetitions here: OBX-5'
    """
    if one[:2] == "JL" and one not in CODES:
        return f"no fault has the code {one}"
    if _NUMBER.search(one):
        return f"a path has no numbers of repetitions here: {_NUMBER.sub(_numberless, one)}"
    return "" if one.strip() else "nothing is named"


def _numberless(match: re.Match[str]) -> str:
    return "" if match[0][0] == "[" else "/*"


def refusal(faults: list[Fault]) -> BadMessage:
    """The first faults as the reason of a refusal."""
    error = BadMessage(faults[0].code, told(faults))
    error.path = faults[0].path
    error.faults = tuple(faults)
    return error


def told(faults: list[Fault]) -> str:
    """The first of them in one line, and how many there are more.

    >>> told([Fault("PID-3", "is missing", MISSING)] * 7)
    'PID-3: is missing; PID-3: is missing; PID-3: is missing; PID-3: is missing; PID-3: is missing; and 2 more'
    """
    first = [str(fault)[:_TOLD_TEXT] for fault in faults[:_TOLD]]
    more = len(faults) - len(first)
    least = "at least " if len(faults) >= MAX_FAULTS else ""
    return "; ".join([*first, *([f"and {least}{more} more"] if more else [])])


def listed(codes: Iterable[str], limit: int = 12) -> str:
    """Codes for people: all of a short list, the first of a long one.

    >>> listed("abc", 2)
    'a, b, ...'
    """
    every = [str(code) for code in codes]
    return ", ".join(every[:limit]) + (", ..." if len(every) > limit else "")
