"""The days that the journal has, and their keys: one for a day's rows, and one for each channel's bodies.

A key lies in the catalogue, wrapped by the site's key. A channel's bodies are over when their key is gone: at once,
wherever the bytes themselves may still lie.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, insert, select, update

from config.crypto import KEY_BYTES, KeyTrouble, Mac, Sealer, SiteKeys, key_id, subkey
from router.store import tables
from router.store.database import CATALOGUE, Database, StoreError

_REMEMBERED = 4_000  # opened keys
_WRITTEN_AT_ONCE = 8  # days whose keys the writer remembers

_Opened = TypeVar("_Opened", "DayKey", Sealer)

k = tables.day_key.c


class DayKey:
    """A day's key, opened: seals its rows, chains them, and makes its searchable values blind."""

    def __init__(self, key: bytes) -> None:
        self.rows = Sealer(subkey(key, "rows")[:KEY_BYTES])
        self.mac = Mac(subkey(key, "chain"))
        self._index = Mac(subkey(key, "index"))

    def tag(self, value: str) -> int:
        """What stands in the index for a value: 64 bits, that tell nothing to who has not the key."""
        return int.from_bytes(self._index(value.encode("utf-8", "surrogatepass"))[:8], "big", signed=True)


class Day(NamedTuple):
    name: str  # 20260131
    key: DayKey


class WrittenDay(NamedTuple):
    """A day with what its writer needs."""

    name: str
    key: DayKey
    bodies: dict[str, Sealer]  # by channel


class Days:
    """For one thread at a time where it makes days; reading is for any number."""

    def __init__(self, database: Database, site: SiteKeys) -> None:
        self._database = database
        self._site = site
        self._opened: dict[bytes, DayKey | Sealer] = {}
        self._written: dict[str, WrittenDay] = {}
        self.begun: dict[str, str] = {}  # days that were made -> all that were there then, to be noted
        self._checked = False  # that these keys open what is there

    def listed(self, catalogue: Connection, first: str = "", last: str = "9") -> list[Day]:
        """The days from `first` to `last`, newest first. Raises StoreError where another site's key is needed."""
        asked = (
            select(k.day, k.wrapped).where(k.part == "", k.day >= first, k.day <= last).order_by(k.day.desc())
        )
        return [Day(day, self.open(wrapped)) for day, wrapped in catalogue.execute(asked)]

    def one(self, catalogue: Connection, day: str) -> Day | None:
        found = self.listed(catalogue, day, day)
        return found[0] if found else None

    def parts(self, catalogue: Connection) -> dict[str, dict[str, str]]:
        """Days, newest first -> what has a key there (rows: empty, bodies: their channel) -> the site key's name."""
        found: dict[str, dict[str, str]] = {}
        for day, part, wrapped in catalogue.execute(
            select(k.day, k.part, k.wrapped).order_by(k.day.desc(), k.part)
        ):
            found.setdefault(day, {})[part] = key_id(wrapped)
        return found

    def bodies(self, catalogue: Connection, day: str, channel: str) -> Sealer | None:
        """None where that channel's bodies of the day are over."""
        asked = select(k.wrapped).where(k.day == day, k.part == channel)
        wrapped = catalogue.execute(asked).scalar()
        return None if wrapped is None else self.open_bodies(wrapped)

    def written(self, day: str, channels: Iterable[str]) -> WrittenDay:
        """The day with keys for these channels' bodies, made where they are not there yet."""
        known = self._written.get(day)
        if known is None or not known.bodies.keys() >= set(channels):
            wanted = {"", *channels, *(known.bodies if known else ())}
            try:
                parts = self._make(day, wanted)
            except Exception as error:
                if not self._database.means_doubled(error):
                    raise
                parts = self._make(day, wanted)  # another process was making the same
            key = self.open(parts.pop(""))
            known = WrittenDay(day, key, {channel: self.open_bodies(w) for channel, w in parts.items()})
            while len(self._written) >= _WRITTEN_AT_ONCE:
                self._written.pop(next(iter(self._written)))
            self._written[day] = known
        return known

    def rekey(self) -> int:
        """Wraps every key by the site's current key. Returns how many were wrapped by an older one."""
        with self._database.writing(CATALOGUE) as connection:
            old = [
                row
                for row in connection.execute(select(k.day, k.part, k.wrapped))
                if key_id(row.wrapped) != self._site.id
            ]
            for row in old:
                wrapped = self._site.wrap(self._unwrap(row.wrapped))
                which = update(tables.day_key).where(k.day == row.day, k.part == row.part)
                connection.execute(which.values(wrapped=wrapped))
        return len(old)

    def forget(self, day: str = "") -> None:
        """What is known of a day, or of all, may no longer be so."""
        if day:
            self._written.pop(day, None)
        else:
            self._written.clear()
            self._checked = False

    def open(self, wrapped: bytes) -> DayKey:
        found = self._opened.get(wrapped)
        return found if isinstance(found, DayKey) else self._remember(wrapped, DayKey(self._unwrap(wrapped)))

    def open_bodies(self, wrapped: bytes) -> Sealer:
        found = self._opened.get(wrapped)
        return found if isinstance(found, Sealer) else self._remember(wrapped, Sealer(self._unwrap(wrapped)))

    def _make(self, day: str, wanted: set[str]) -> dict[str, bytes]:
        with self._database.writing(CATALOGUE) as connection:
            if not self._checked:  # a stranger's key begins no day of its own beside ours
                self.listed(connection)
                self._checked = True
            asked = select(k.part, k.wrapped).where(k.day == day, k.part.in_(wanted))
            parts = {row.part: bytes(row.wrapped) for row in connection.execute(asked)}
            missing = {
                part: self._site.wrap(secrets.token_bytes(KEY_BYTES)) for part in wanted - parts.keys()
            }
            if missing:
                rows = [{"day": day, "part": part, "wrapped": wrapped} for part, wrapped in missing.items()]
                connection.execute(insert(tables.day_key), rows)
            if "" in missing:
                self._database.create(connection, day)
                self.begun[day] = " ".join(known.name for known in self.listed(connection))
        return parts | missing

    def _unwrap(self, wrapped: bytes) -> bytes:
        try:
            return self._site.unwrap(wrapped)
        except KeyTrouble as error:
            raise StoreError("JL-J012", f"the journal's rows do not open: {error.text}") from error

    def _remember(self, wrapped: bytes, opened: _Opened) -> _Opened:
        if len(self._opened) >= _REMEMBERED:
            self._opened.clear()
        self._opened[wrapped] = opened
        return opened
