"""What dead letters have in common: a reason without what is of one message only.

Taken out are quoted values, everything with a digit in it, HL7's data (`a^b`), and the message's own searchable values.
So 500 letters of one cause are one line, and no patient stands in it. What stays is a place such as PID-3.1. A name
that a receiver writes without quotes, and by which the message is not searched, cannot be told from any other word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from msgspec import Struct

from router.search import Dead, DeadLetters

GONE = "…"
MAX_CAUSE = 160  # characters
_KEY_DIGITS = 8
_SHORT = 2  # characters: what is no longer than that stands in any word

_QUOTED = re.compile(
    r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”|‘[^’]*’|「[^」]*」|『[^』]*』|《[^》]*》|【[^】]*】"
)
_PLACE = r"\$?(?<![A-Za-z0-9])[A-Z]{2}[A-Z0-9]-\d{1,2}(?:\.\d{1,2}){0,2}(?![\w.-])"
_WORD = r"[A-Za-z0-9_./:@+%&~|^\\-]"
# A place is matched first, and stays; then words that have a digit, and data with HL7's separators in whatever script.
_PART = re.compile(rf"(?P<place>{_PLACE})|{_WORD}*\d{_WORD}*|[^\s,;()]*[\^|~][^\s,;()]*")
_MANY = re.compile(rf"{GONE}(?:[\s,]*{GONE})+")
_BLANKS = re.compile(r"\s+")


class Letter(Struct, frozen=True):
    """A delivery that was given up."""

    id: str  # the message's
    channel: str
    destination: str
    code: str
    cause: str
    at_ms: int

    @property
    def key(self) -> str:
        """Of its group: the same for all letters of one cause, today and tomorrow."""
        return key_of(self.channel, self.destination, self.code, self.cause)


def cause_of(reason: str, values: Iterable[str] = ()) -> str:
    """`values` are the message's searchable ones.

    >>> cause_of("no patient 'P0001' in ward 12: see PID-3.1", ["P0001"])
    'no patient … in ward … see PID-3.1'
    """
    for value in sorted((value for value in values if len(value) >= _SHORT), key=len, reverse=True):
        reason = reason.replace(value, GONE)
    reason = _QUOTED.sub(GONE, reason)
    reason = _PART.sub(lambda found: found["place"] or GONE, reason)
    reason = _BLANKS.sub(" ", _MANY.sub(GONE, reason)).strip()
    return reason if len(reason) <= MAX_CAUSE else reason[: MAX_CAUSE - 1] + GONE


def key_of(channel: str, destination: str, code: str, cause: str) -> str:
    """What `--cause` takes."""
    whole = "\0".join((channel, destination, code, cause))
    return hashlib.sha256(whole.encode()).hexdigest()[:_KEY_DIGITS]


def grouped(letters: Iterator[Letter], look: int) -> DeadLetters:
    """`letters` come newest first; of them, so many."""
    groups: dict[str, Dead] = {}
    looked = 0
    for letter in letters:
        if looked == look:
            return DeadLetters(_sorted(groups), looked, whole=False)
        looked += 1
        key, at_ms = letter.key, letter.at_ms
        if (known := groups.get(key)) is not None:
            groups[key] = replace(
                known,
                count=known.count + 1,
                oldest_ms=min(known.oldest_ms, at_ms),
                newest_ms=max(known.newest_ms, at_ms),
            )
        else:
            way = (letter.channel, letter.destination, letter.code, letter.cause)
            groups[key] = Dead(key, *way, count=1, oldest_ms=at_ms, newest_ms=at_ms, example=letter.id)
    return DeadLetters(_sorted(groups), looked, whole=True)


def _sorted(groups: dict[str, Dead]) -> tuple[Dead, ...]:
    return tuple(sorted(groups.values(), key=lambda d: (-d.count, d.channel, d.destination, d.code, d.cause)))
