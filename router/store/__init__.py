"""The journal's store: one database, rows only ever inserted, by day. SQLAlchemy lives in this folder only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

from config.crypto import SiteKeys, site_keys
from config.settings import Settings
from config.tls import Identity
from router.causes import Letter, grouped
from router.envelope import Attempt, Envelope
from router.search import LOOK, PAGE, Count, DeadLetters, Page, Parked, Query, Story, Unended
from router.store.database import CATALOGUE, Database, StoreDown, StoreError
from router.store.days import Days
from router.store.keep import DayFacts, Keep, Keeper, Over, Rules
from router.store.read import NotFound, Reader
from router.store.verify import Oddity, verify
from router.store.write import Writer

__all__ = [
    "DayFacts",
    "Keep",
    "NotFound",
    "Oddity",
    "Over",
    "Rules",
    "Store",
    "StoreDown",
    "StoreError",
    "open_journal",
    "open_store",
]

KEY_FILE = "site.key"


class Store:
    """Blocking: call it from a thread. Writing is for one thread at a time, reading for any number.

    All methods raise StoreDown (try again) and StoreError (it will not get better by itself).
    """

    def __init__(self, database: Database, keys: SiteKeys) -> None:
        self._database = database
        self._days = Days(database, keys)
        self._writer = Writer(database, self._days)
        self._keeper = Keeper(database, self._days, self._writer)

    def check(self) -> None:
        """Raises StoreError where there is a journal that this site's keys do not open (JL-J012)."""
        try:
            with self._database.reading() as reading:
                self._days.listed(reading.at(CATALOGUE))
        except StoreError as error:
            if error.code != "JL-J003":  # none yet
                raise

    def write(self, envelopes: Iterable[Envelope], attempts: Iterable[Attempt]) -> int:
        """Durable when it returns; what is there already is left as it is. Returns how many were parked."""
        return self._writer.write(envelopes, attempts)

    def write_bodies(self, bodies: Iterable[bytes]) -> int:
        """The same for bodies of the journal's queue."""
        return self._writer.bodies(bodies)

    def note(self, what: str, about: str) -> None:
        """Writes down what is done with the journal itself (`viewed`), and by whom."""
        self._writer.note(what, about)

    def search(self, query: Query, limit: int = PAGE, cursor: str = "") -> Page:
        with self._reader() as reader:
            return reader.search(query, limit, cursor)

    def show(self, id: str, *, children: bool = True) -> Story:
        """`id` may be cut short. Raises NotFound too. Its `children` are looked for in every day since."""
        with self._reader() as reader:
            return reader.show(id, children)

    def knew(self, day: str) -> bool:
        """Whether there are rows of that day, or were until their time was over."""
        with self._reader() as reader:
            return reader.knew(day)

    def tries(self, id: str, destination: str) -> tuple[int, int]:
        """The number of a delivery's last try and when its first was (Unix ms); 0, 0 where there was none."""
        with self._reader() as reader:
            return reader.tries(id, destination)

    def dead(self, channel: str = "", destination: str = "", look: int = LOOK) -> DeadLetters:
        """Dead letters by cause; of so many, the newest."""
        with self._reader() as reader:
            return grouped(reader.letters(channel, destination), look)

    def letters(self, cause: str, limit: int) -> tuple[Letter, ...]:
        """Those of one cause (`Dead.key`), newest first: all are looked at until there are so many."""
        with self._reader() as reader:
            return tuple(islice((one for one in reader.letters() if one.key == cause), limit))

    def parked(self, id: str = "") -> tuple[Parked, ...]:
        """What could not be written as rows, newest first; `id` may be cut short, and gives their bodies too."""
        with self._reader() as reader:
            return reader.parked(id)

    def latest(self, channels: Mapping[str, int]) -> dict[str, int]:
        """When the latest message of each channel came that was not refused, looked for since a time; 0: none did."""
        with self._reader() as reader:
            return reader.latest(channels)

    def died(self, since_ms: int, from_ms: int) -> dict[tuple[str, str], int]:
        """By channel and destination: deliveries given up since a time, of messages that came from another on."""
        with self._reader() as reader:
            return reader.died(since_ms, from_ms)

    def unended(self, since: str, until: str, limit: int) -> tuple[tuple[Unended, ...], str]:
        """Deliveries without an end, of one day's messages; and up to which id was looked."""
        with self._reader() as reader:
            return reader.unended(since, until, limit)

    def still_unended(self, ids: Sequence[str]) -> tuple[Unended, ...]:
        """Deliveries without an end, of these messages."""
        with self._reader() as reader:
            return reader.still_unended(ids)

    def replayed(self, ids: Sequence[str]) -> set[tuple[str, str, str]]:
        """Message, channel and destination of what was made from these messages."""
        with self._reader() as reader:
            return reader.replayed(ids)

    def counts(self, since_ms: int = 0) -> tuple[Count, ...]:
        with self._reader() as reader:
            return reader.counts(since_ms)

    def days(self) -> tuple[DayFacts, ...]:
        """Newest first."""
        with self._database.reading() as reading:
            return tuple(self._keeper.facts(reading))

    def over(self, rules: Rules, now_ms: int) -> tuple[Over, ...]:
        """What `keep` would drop, oldest first."""
        with self._database.reading() as reading:
            return tuple(self._keeper.plan(reading, rules, now_ms))

    def keep(self, rules: Rules, now_ms: int) -> int:
        """Drops what is over. Returns how many things that were."""
        return self._keeper.run(rules, now_ms)

    def rekey(self) -> int:
        """Wraps every data key by the site's current key. Returns how many were wrapped by an older one."""
        changed = self._days.rekey()
        self._writer.note("new key", str(changed))
        return changed

    def verify(self, day: str = "", progress: Callable[[int], None] = lambda rows: None) -> Iterator[Oddity]:
        """What is wrong with the rows of a day (20260131), or of all. `progress` hears of rows read."""
        with self._database.reading() as reading:
            yield from verify(reading, self._days, day, progress)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        with self._database.reading() as reading:
            yield Reader(reading, self._days)


def open_store(url: str, keys: SiteKeys, tls: Identity | None = None) -> Store:
    """`sqlite:///var/jingluo.db`, `postgresql://user@host/name`. Touches nothing yet. Raises StoreError."""
    return Store(Database(url, tls), keys)


def open_journal(settings: Settings, *, make: bool = True) -> Store:
    """The site's. Touches nothing, but will `make` the key's file. Raises StoreError, KeyTrouble."""
    said = settings.journal
    keys = site_keys(said.key, said.old_keys, settings.var / KEY_FILE, make=make)
    return open_store(settings.database, keys, settings.database_tls)
