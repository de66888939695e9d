"""The journal's store: one database, rows only ever inserted. SQLAlchemy lives in this folder only."""

from __future__ import annotations

from collections.abc import Iterable

from config.tls import Identity
from router.envelope import Attempt, Envelope
from router.search import PAGE, Count, Dead, Page, Query, Story
from router.store import read
from router.store.database import Database, StoreDown, StoreError
from router.store.read import NotFound
from router.store.write import Writer

__all__ = ["NotFound", "Store", "StoreDown", "StoreError", "open_store"]


class Store:
    """Blocking: call it from a thread. Writing is for one thread at a time, reading for any number.

    All methods raise StoreDown (try again) and StoreError (it will not get better by itself).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = Writer(database)

    def write(self, envelopes: Iterable[Envelope], attempts: Iterable[Attempt]) -> int:
        """Durable when it returns; what is there already is left as it is. Returns how many were parked."""
        return self._writer.write(envelopes, attempts)

    def write_bodies(self, bodies: Iterable[bytes]) -> int:
        """The same for bodies of the journal's queue."""
        return self._writer.bodies(bodies)

    def search(self, query: Query, limit: int = PAGE, cursor: str = "") -> Page:
        with self._database.reading() as connection:
            return read.search(connection, query, limit, cursor)

    def show(self, id: str) -> Story:
        """`id` may be cut short. Raises NotFound too."""
        with self._database.reading() as connection:
            return read.show(connection, id)

    def tries(self, id: str, destination: str) -> tuple[int, int]:
        """The number of a delivery's last try and when its first was (Unix ms); 0, 0 where there was none."""
        with self._database.reading() as connection:
            return read.tries(connection, id, destination)

    def dead(self, channel: str = "", destination: str = "") -> tuple[Dead, ...]:
        with self._database.reading() as connection:
            return read.dead(connection, channel, destination)

    def counts(self, since_ms: int = 0) -> tuple[Count, ...]:
        with self._database.reading() as connection:
            return read.counts(connection, since_ms)

    def close(self) -> None:
        self._database.close()


def open_store(url: str, tls: Identity | None = None) -> Store:
    """`sqlite:///var/jingluo.db`, `postgresql://user@host/name`. Touches nothing yet. Raises StoreError."""
    return Store(Database(url, tls))
