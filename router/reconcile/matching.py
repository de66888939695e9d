"""Two books, row against row: the keys decide, a time never does. Pure.

Passes: the exact key with its amount, the key alone, the other party's number; what is left may be like another by
amount, time and terminal, which is a suggestion for people and nothing more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from msgspec import Struct

from schemas.statements.row import Row

NEAR_MS = 5 * 60_000
_SUGGESTED = 3  # of one row


class Pair(Struct, frozen=True):
    """The same money in two books."""

    theirs: Row
    ours: Row
    by: str  # key | key only | channel id


class Matched(Struct, frozen=True):
    pairs: list[Pair]
    theirs: list[Row]  # what only the other party has
    ours: list[Row]  # what only we have


def match(theirs: Sequence[Row], ours: Sequence[Row]) -> Matched:
    pairs: list[Pair] = []
    left_theirs, left_ours = list(theirs), list(ours)
    passes: tuple[tuple[str, Callable[[Row], Hashable]], ...] = (
        ("key", lambda row: (row.kind, row.number, row.fen) if row.number else None),
        ("key only", lambda row: (row.kind, row.number) if row.number else None),
        ("channel id", lambda row: (row.kind, row.channel_no) if row.channel_no else None),
    )
    for name, key in passes:
        if left_theirs and left_ours:
            left_theirs, left_ours = _passed(left_theirs, left_ours, key, name, pairs)
    return Matched(pairs, left_theirs, left_ours)


def _passed(
    theirs: list[Row], ours: list[Row], key: Callable[[Row], Hashable], by: str, pairs: list[Pair]
) -> tuple[list[Row], list[Row]]:
    """What is left. Each row is matched once: of two alike, one stays."""
    waiting: dict[Hashable, list[Row]] = defaultdict(list)
    for row in reversed(ours):
        if (found := key(row)) is not None:
            waiting[found].append(row)
    left: list[Row] = []
    taken: set[int] = set()
    for row in theirs:
        found = key(row)
        if found is not None and (rows := waiting.get(found)):
            mine = rows.pop()
            taken.add(id(mine))
            pairs.append(Pair(row, mine, by))
        else:
            left.append(row)
    return left, [row for row in ours if id(row) not in taken]


def suggestions(row: Row, among: Iterable[Row]) -> list[Row]:
    """Rows of the other book that it may be, nearest first: of the same kind and amount, within five minutes, at the
    same terminal where both name one."""
    near = [
        one
        for one in among
        if one.kind == row.kind
        and one.fen == row.fen
        and abs(one.at_ms - row.at_ms) <= NEAR_MS
        and (not one.terminal or not row.terminal or one.terminal == row.terminal)
    ]
    return sorted(near, key=lambda one: abs(one.at_ms - row.at_ms))[:_SUGGESTED]
