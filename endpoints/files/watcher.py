"""Which files of a folder may be taken now: those that are meant, whole, and nobody else's, in order."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from endpoints.files.folder import Choose, Entry, Folder, claimed
from endpoints.files.names import marker_of, meant, safe_part
from endpoints.files.options import SourceOptions

log = structlog.get_logger()

KEPT_APART = ("done", "failed")
_WATCHED = 10  # batches of files that are looked at while they settle
_MOST_BY_TIME = 10_000  # files of one level whose times are compared
_MOST_FOLDERS = 1000


class Watcher:
    """Looks at a folder again and again. `owner` is what our claims are called by."""

    def __init__(
        self, options: SourceOptions, folder: Folder, owner: str, name: str, now: Callable[[], float]
    ) -> None:
        self._options = options
        self._folder = folder
        self.owner = owner
        self._name = name
        self._now = now
        self._told: set[str] = set()  # what the log has been told already
        self.settling: dict[Entry, float] = {}  # since when it looks like this, loop time
        self.mine: set[Entry] = set()  # claimed by us, and not given to the engine yet
        self.markers: dict[str, str] = {}  # file -> what says that it is whole

    async def due(self) -> list[Entry]:
        """Files that may be taken: a `batch` at most. Raises OSError."""
        self.markers = {}
        found = await self._find()
        now = asyncio.get_running_loop().time()
        known = self.settling
        self.settling = {seen: known.get(seen, now) for seen in found}
        self.mine.intersection_update(self.settling)
        ready = [seen for seen in found if seen in known and self._ready(seen, now - known[seen])]
        return [*(seen for seen in found if seen in self.mine), *ready][: self._options.batch]

    def is_mine(self, seen: Entry) -> bool:
        return claimed(seen.taken)[0] == self.owner

    def _ready(self, seen: Entry, stood_s: float) -> bool:
        """`stood_s`: since when it looks the same."""
        if seen in self.mine:
            return False  # it has been ready since it was claimed
        if seen.taken and not self.is_mine(seen):
            return stood_s >= self._options.reclaim
        if self._options.age and self._now() - seen.changed_ns / 1e9 < self._options.age:
            return False
        return stood_s >= self._options.settle

    async def _find(self) -> list[Entry]:
        """Those to be looked at, in the order in which they will be taken."""
        found: list[Entry] = []
        levels, seen_levels = [("", 0)], 0
        while levels and seen_levels < _MOST_FOLDERS:
            sub, depth = levels.pop(0)
            seen_levels += 1
            files, folders = await self._folder.look(sub, self._choose(sub))
            found += files
            if self._options.recursive and depth < self._options.depth:
                levels += [
                    (f"{sub}/{one}".lstrip("/"), depth + 1) for one in sorted(self._into(sub, folders))
                ]
        if levels:
            self._tell("file.too_many_folders", most=_MOST_FOLDERS)
        entries = [self._named(seen) for seen in found]
        if self._options.order == "time":
            entries.sort(key=lambda seen: (not seen.taken, seen.changed_ns, seen.name))
        else:
            entries.sort(key=lambda seen: (not seen.taken, seen.name))
        return entries[: _WATCHED * self._options.batch]

    def _named(self, seen: Entry) -> Entry:
        owner, name = claimed(seen.name)
        return replace(seen, name=name, taken=seen.name) if owner else seen

    def _into(self, sub: str, folders: Iterable[str]) -> list[str]:
        apart = KEPT_APART if not sub else ()
        return [one for one in folders if safe_part(one) and one[0] != "." and one not in apart]

    def _choose(self, sub: str) -> Choose:
        options = self._options
        most = _WATCHED * options.batch if options.order == "name" else _MOST_BY_TIME

        def choose(names: Iterable[str]) -> list[str]:
            if not options.ready:
                return heapq.nsmallest(most, filter(self._wanted, names), _claims_first)
            there = set(names)
            wanted = sorted(filter(self._wanted, there), key=_claims_first)
            chosen = []
            for name in wanted:
                own = claimed(name)[1]
                marker = marker_of(own, options.ready, there.__contains__)
                if marker or own != name:  # what is claimed was whole
                    chosen.append(name)
                    self.markers[f"{sub}/{own}".lstrip("/")] = f"{sub}/{marker}".lstrip("/") if marker else ""
            return chosen[:most]

        return choose

    def _wanted(self, name: str) -> bool:
        """Not what is said to be a name and is a way to somewhere else: a server may say anything."""
        if not safe_part(name):
            self._tell("file.unsafe_name")
            return False
        own = claimed(name)[1]
        if self._options.ready and meant(own, (self._options.ready,)):
            return False
        return meant(own, self._options.pattern)

    def _tell(self, event: str, **facts: object) -> None:
        if event not in self._told:
            self._told.add(event)
            log.warning(event, channel=self._name, **facts)


def _claims_first(name: str) -> tuple[bool, str]:
    """What is under way is not lost sight of behind a thousand others."""
    owner, own = claimed(name)
    return not owner, own
