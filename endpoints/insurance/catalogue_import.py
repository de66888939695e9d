"""A catalogue's file into the engine's tables: row by row with durable progress, then published whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from config.errors import BadMessage, Unreachable
from endpoints.insurance.catalogues import Catalogues, Layout, Load, Report, newest
from endpoints.insurance.lines import RowFault, Value, rows
from endpoints.insurance.zipped import LIMITS, Limits, text_of

BATCH = 4_000  # rows that become durable together: what a crash costs is reading them again


def nobody(_fault: RowFault) -> None:
    """Hears of faults where nobody asked."""


def nobody_at(_load: Load, _share: float) -> None:
    """Hears of progress where nobody asked."""


@dataclass(frozen=True)
class Way:
    """How an import goes. `owner` is one for each run of a process."""

    store: Catalogues
    now_ms: Callable[[], int]
    owner: str
    faults: int = 0  # rows of a file that may be left out; one more and the file is refused
    stop: Callable[[], bool] = lambda: False  # asked after each batch
    tell: Callable[[Load, float], None] = (
        nobody_at  # after each batch: how much of this file was read, from 0 to 1
    )
    fault: Callable[[RowFault], None] = nobody
    batch: int = BATCH
    limits: Limits = LIMITS


def owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def again(kind: str) -> Unreachable:
    return Unreachable(
        "JL-N112", f"catalogue {kind}: not done yet, it goes on where it is 尚未完成，将继续", after_s=1
    )


def import_file(way: Way, layout: Layout, file: Path, *, full: bool = False) -> Report:
    """A file that the hospital has: rows are added to what is there, or with `full` take its place.

    Called again after a crash with the same file it goes on. Raises BadMessage (JL-N100 to JL-N104), and Unreachable
    JL-N112 where `stop` said so.
    """
    made = digest(file)
    began = Load(layout.kind, way.owner, way.now_ms(), full=full, file=str(file.resolve()), digest=made)
    load = way.store.begin(layout, began)
    if (load.digest, load.full, load.paged) != (made, full, False):
        way.store.abandon(layout, load)
        load = way.store.begin(layout, began)
    load = fill(way, layout, load)
    return way.store.publish(layout, load, way.now_ms())


def fill(way: Way, layout: Layout, load: Load) -> Load:
    """All rows of `load.file` that are not there yet. A file that is refused leaves nothing behind."""
    filling = _Filling(way, layout, load)
    try:
        with text_of(Path(load.file), way.limits) as text:
            for row in rows(
                text, len(layout.columns), skip=load.lines, faulty=filling.faulty, limits=way.limits
            ):
                if filling.take(row.number, row.values):
                    way.tell(filling.load, text.share)
    except BadMessage:
        way.store.abandon(layout, filling.load)
        raise
    return filling.end()


class _Filling:
    def __init__(self, way: Way, layout: Layout, load: Load) -> None:
        self.load = load
        self._way, self._layout = way, layout
        self._rid, self._ver = layout.at("rid"), layout.at("ver")
        self._batch: list[Sequence[Value]] = []
        self._faults, self._line = load.faults, load.lines
        self._ver_before: Value = None
        self._reached = load.reached

    def take(self, line: int, values: Sequence[Value]) -> bool:
        """True where a batch became durable with it."""
        self._line = line
        if not values[self._rid]:
            self.faulty(RowFault(line, "JL-N104", "no rid 缺少唯一记录号"))
            return False
        if self._ver >= 0 and (ver := values[self._ver]) != self._ver_before:
            self._ver_before = ver
            self._reached = newest(ver or "", self._reached)
        self._batch.append(values)
        if len(self._batch) < self._way.batch:
            return False
        self._write()
        if self._way.stop():
            self._way.store.leave(self.load)
            raise again(self._layout.kind)
        return True

    def faulty(self, fault: RowFault) -> None:
        self._faults += 1
        self._line = fault.number
        self._way.fault(fault)
        if self._faults > self._way.faults:
            raise BadMessage(fault.code, fault.text, path=f"row {fault.number}")

    def end(self) -> Load:
        self._write()
        return self.load

    def _write(self) -> None:
        done = self.load.rows + len(self._batch)
        load = replace(self.load, lines=self._line, rows=done, faults=self._faults, reached=self._reached)
        if load == self.load:
            return
        self._way.store.append(self._layout, load, self._batch)
        self.load, self._batch = load, []


def digest(file: Path) -> str:
    """SHA-256, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
