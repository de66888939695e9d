"""Catalogues from the centre: a version, a file, its rows, until nothing newer comes; and the paged ones page by page.

What is done is durable, so that an update that is called again goes on in the midst of a file, or at a page.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from config.errors import BadMessage, JingluoError, Refused
from endpoints.insurance.catalogue_import import Way, digest, fill
from endpoints.insurance.catalogue_pages import PAGE, read_pages
from endpoints.insurance.catalogues import NOTHING_YET, Layout, Load, Report, order
from endpoints.insurance.files import (
    CATALOGUE_FILES,
    Centre,
    FileNumber,
    download,
    file_number,
    nothing,
    settled,
)

MOST_FILES = 1_000  # of one catalogue in a row
_BEAT_S = 30  # while a file comes, others are told so often that somebody is at it

T = TypeVar("T")


async def update(
    way: Way,
    centre: Centre,
    layout: Layout,
    folder: Path,
    *,
    full: bool = False,
    page: int = PAGE,
    given: Mapping[str, Any] | None = None,
) -> list[Report]:
    """Everything newer of one catalogue, or with `full` all of it in the place of what is there. A report a publishing.

    `folder` holds a file while it is read. `given` are further fields of a paged question, such as insu_admdvs. Raises
    Unreachable (JL-N112 goes on when called again, JL-N110 somebody else is at it), Refused and BadMessage. Cancelled,
    it keeps what is done.
    """
    halt = threading.Event()
    way = dataclasses.replace(way, stop=_either(way.stop, halt))
    updating = _Updating(way, centre, layout, folder, halt, full)
    began = await updating.thread(updating.begin)
    if layout.paged:
        try:
            done = await read_pages(way, centre, layout, began, updating.thread, page, given or {})
        except asyncio.CancelledError:
            await updating.thread(lambda: way.store.leave(began))
            raise
        return await updating.end(done)
    return await updating.files(began)


def _either(stop: Callable[[], bool], halt: threading.Event) -> Callable[[], bool]:
    return lambda: halt.is_set() or stop()


class _Updating:
    def __init__(
        self, way: Way, centre: Centre, layout: Layout, folder: Path, halt: threading.Event, full: bool
    ) -> None:
        self._way, self._centre, self._layout, self._folder = way, centre, layout, folder
        self._halt, self._full = halt, full

    async def thread(self, work: Callable[[], T]) -> T:
        """Cancelled, it lets the work end at its next batch: nobody is left writing behind our back."""
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._halt.set()
            with suppress(JingluoError):
                await running
            raise

    def begin(self) -> Load:
        """Ours, or one that was interrupted where it can be gone on with."""
        store, layout = self._way.store, self._layout
        load = store.begin(layout, self._fresh())
        lost = load.file and not (Path(load.file).is_file() and digest(Path(load.file)) == load.digest)
        if lost or (load.full, load.paged) != (self._full, layout.paged):
            store.abandon(layout, load)
            load = store.begin(layout, self._fresh())
        return load

    def _fresh(self) -> Load:
        known = "" if self._full else self._way.store.state(self._layout.kind).ver
        return Load(
            self._layout.kind,
            self._way.owner,
            self._way.now_ms(),
            ver=known or ("" if self._layout.paged else NOTHING_YET),
            full=self._full,
            paged=self._layout.paged,
        )

    async def files(self, load: Load) -> list[Report]:
        reports: list[Report] = []
        for _ in range(MOST_FILES):
            if not load.file:
                newer = await self._ask(load)
                if newer is None:
                    return reports + await self.end(load)
                load = await self._fetch(load, newer)
            at = load
            load = await self.thread(lambda: self._fill(at))  # noqa: B023 it is awaited here
            more = order(load.reached) > order(load.ver)
            if not self._full:
                reports.append(await self.publish(load))
                if not more:
                    return reports
                load = await self.thread(self.begin)
            elif more:
                nxt = replace(load, ver=load.reached, file="", digest="", lines=0, part=load.part + 1)
                load = await self.thread(lambda: self._way.store.turn(self._layout, nxt))  # noqa: B023
            else:
                return [await self.publish(load)]
        raise Refused(
            "JL-N113", f"catalogue {load.kind}: {MOST_FILES} files in a row, and the centre has ever more"
        )

    def _fill(self, load: Load) -> Load:
        """A file that we fetched is not needed any more; one that was given by hand is not ours."""
        load = fill(self._way, self._layout, load)
        if self._folder in Path(load.file).parents:
            Path(load.file).unlink(missing_ok=True)
        return load

    async def end(self, load: Load) -> list[Report]:
        """Nothing newer: what came is published. Where nothing came, what is there stays, with `full` too."""
        if load.rows:
            return [await self.publish(load)]
        await self.thread(lambda: self._way.store.abandon(self._layout, load))
        return []

    async def publish(self, load: Load) -> Report:
        return await self.thread(lambda: self._way.store.publish(self._layout, load, self._way.now_ms()))

    async def _ask(self, load: Load) -> FileNumber | None:
        async with self._leaving(load):
            answer = await self._centre.call(self._layout.kind, {"data": {"ver": load.ver}})
            return None if nothing(answer) else file_number(settled(answer, self._layout.kind))

    async def _fetch(self, load: Load, number: FileNumber) -> Load:
        to = self._folder / f"{self._layout.kind}.zip"
        async with self._leaving(load), self._held(load):
            now_s = self._way.now_ms() / 1000
            await download(self._centre, number, to, now_s, owner=CATALOGUE_FILES, limits=self._way.limits)
        got = replace(
            load,
            file=str(to),
            digest=await self.thread(lambda: digest(to)),
            lines=0,
            total=load.total + number.rows,
        )
        return await self.thread(lambda: self._way.store.turn(self._layout, got))

    @asynccontextmanager
    async def _leaving(self, load: Load) -> AsyncIterator[None]:
        """What goes wrong at the centre leaves the load to whoever comes next, where there is something of it."""
        store = self._way.store
        try:
            yield
        except BaseException:
            with suppress(JingluoError):
                if load.rows or load.part:
                    await self.thread(lambda: store.leave(load))
                else:
                    await self.thread(lambda: store.abandon(self._layout, load))
            raise

    @asynccontextmanager
    async def _held(self, load: Load) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(_BEAT_S)
                await asyncio.to_thread(self._way.store.turn, self._layout, load)

        beating = asyncio.ensure_future(beat())
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError, JingluoError):
                await beating


def refused_file(error: BadMessage, layout: Layout) -> Refused:
    """A file of the centre's that is not as the interface says: another try fetches the same."""
    return Refused(error.code, f"catalogue {layout.kind}: {error.text}")
