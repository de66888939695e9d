"""What a catalogue of the platform is (1301–1319), and what the engine remembers of it: the rows are the router's.

All of it blocks: call it from a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from endpoints.insurance.lines import Value

if TYPE_CHECKING:
    from endpoints.insurance.mapping import Mappings

What = Literal["new", "changed", "ended"]
NOTHING_YET = "0"  # the version that an empty store asks for


class Layout(Struct, frozen=True):
    """A catalogue. `columns` by position; all have `rid` (唯一记录号) and `vali_flag` (有效标志), files also `ver`."""

    kind: str  # the transaction: 1301
    name_zh: str
    columns: tuple[str, ...]
    code: str  # the column that people and messages name an item by
    labels: tuple[str, ...]  # the columns of its names, the one that people read first
    paged: bool = False  # JSON pages, and not a file
    aliases: tuple[tuple[str, str], ...] = ()  # another spelling in JSON, and the column

    def at(self, column: str) -> int:
        """-1 where there is no such column."""
        return self.columns.index(column) if column in self.columns else -1


class Load(Struct, frozen=True):
    """An import that has begun: what is done of it is durable with the rows themselves."""

    kind: str
    owner: str  # the process that goes on with it; another takes over once this one was silent
    began_ms: int
    ver: str = ""  # the version that was asked for; of pages the time, updt_time
    reached: str = ""  # the newest that was read
    full: bool = False  # what is there is replaced, not added to
    paged: bool = False
    part: int = 0  # of several files in a row, or the page
    file: str = ""  # the zip on this machine's disk; empty between two files
    digest: str = ""  # its SHA-256: another file under its name is not gone on with
    lines: int = 0  # of the file that are done
    rows: int = 0  # that wait to be published, over all parts
    faults: int = 0
    total: int = 0  # that the centre said there are; 0 unknown


class State(Struct, frozen=True):
    """Of one catalogue: what readers see, and what goes on."""

    kind: str
    ver: str = ""
    rows: int = 0
    published_ms: int = 0  # 0 never
    load: Load | None = None


class Report(Struct, frozen=True):
    """What publishing changed. By code; rows that say the same as before are `same`."""

    kind: str
    ver: str
    rows: int  # read and taken
    new: int = 0
    changed: int = 0
    ended: int = 0  # vali_flag is 0 now, or with `full` no longer there
    same: int = 0
    faults: int = 0  # rows that were left out
    now: int = 0  # rows that readers see


class Change(Struct, frozen=True):
    kind: str
    what: What
    code: str
    name: str
    at_ms: int


class Catalogues(Protocol):
    """All methods raise Unreachable where the database is away (JL-J010), or there is none (JL-J002)."""

    def state(self, kind: str) -> State: ...

    def begin(self, layout: Layout, load: Load) -> Load:
        """A load that was interrupted is returned as it stands, now its own; else this one begins, with no rows.

        Raises Unreachable (JL-N110) while another process is at it, as do all below where another took over.
        """

    def turn(self, layout: Layout, load: Load) -> Load:
        """Keeps what `load` says now: the next file, the next page."""

    def append(self, layout: Layout, load: Load, rows: Sequence[Sequence[Value]]) -> None:
        """These rows and what `load` says of progress, or neither. Values are as many as columns, and what is more."""

    def leave(self, load: Load) -> None:
        """It is not over, but whoever comes may go on with it at once."""

    def publish(self, layout: Layout, load: Load, now_ms: int) -> Report:
        """From now on readers see it, whole; before, nothing of it. The load is over."""

    def abandon(self, layout: Layout, load: Load) -> None:
        """The load is over, its rows are gone."""

    def of_code(self, layout: Layout, code: str, limit: int = 1_000) -> Sequence[Mapping[str, Value]]:
        """All records of an item, the newest first; what a file had more of is `extra`."""

    def search(self, layout: Layout, text: str, limit: int) -> Sequence[Mapping[str, Value]]:
        """Of which the code begins with it, or the name (or its pinyin letters) holds it."""

    def known(self, layout: Layout, codes: Sequence[str]) -> Mapping[str, bool]:
        """Of those that there are: whether the item is valid (vali_flag not 0)."""

    def changes(self, layout: Layout, since_ms: int, limit: int) -> Iterator[Change]:
        """Newest first. Of a first import nothing is said: all of it is new."""


class Tables(Catalogues, Protocol):
    """All that the router lends of these."""

    @property
    def mappings(self) -> Mappings: ...

    @property
    def folder(self) -> Path:
        """Where a file lies while it is read: the engine's own."""


@lru_cache(maxsize=64)
def order(ver: str) -> tuple[tuple[str, int], ...]:
    """By which a version is newer: numbers count as numbers. `F001_20260101_B` is after `F001_20251231_C`."""
    return tuple(
        (text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", ver) if text or digits
    )


def newest(one: str, other: str) -> str:
    return one if order(one) >= order(other) else other
