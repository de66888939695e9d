"""The journal at size: writing as the engine writes, searching, proving, dropping a day; and what sealing costs.

Messages come over thirty days, in batches of the size that the journal's consumer makes. Writing is measured once more
with sealing, tags and chain replaced by nothing, batch by batch in turns, so that both meet the same machine.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.bare import unsealed
from bench.samples import MIXED
from bench.services import database, postgresql
from bench.table import Table
from config.crypto import SiteKeys
from router.envelope import Attempt, Attempts, Envelope, encode
from router.ids import DAY_MS, day_start_ms
from router.search import Query
from router.store import Keep, Rules, Store, open_store

MESSAGES = 10_000
DAYS = 30
START_MS = day_start_ms("20260101")
BATCH = 500  # messages, with an attempt for each of two destinations
COMPARED = 20_000  # messages written with and without sealing
ASKED = 30  # searches of a kind
PATIENT_HAS = 10  # messages, over all days
SEARCH_MS, DROP_S = 300.0, 5.0
KEYS = SiteKeys(bytes(16))


def run(messages: int, only: str = "") -> Iterator[Table]:
    """Of each database whose name holds `only`. RuntimeError where PostgreSQL gives no database."""
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        if only.lower() not in name.lower():
            continue
        costs = Table(
            "Writing the journal: CPU microseconds a message (its row, body, 3 values, 2 attempts)", _COSTS
        )
        costs.notes.append("of it: of what this process spends; a database server's own share is not counted")
        size = Table(f"{messages:,} messages over {DAYS} days", _SIZE)
        size.notes.append("search: median and worst of 30 different values, each with a new connection")
        with opened() as url:
            if not url:
                costs.notes.append(f"NOT MEASURED: no {name} here; `deploy/services.sh start` says why")
                yield costs
                continue
            with _fresh(url) as plain:
                _compare(name, url, plain, costs)
        yield costs
        with opened() as url:
            _measure(name, url, messages, size)
        yield size


_COSTS = ["database", "unsealed", "sealed, chained", "difference", "of it"]
_SIZE = ["database", "written/s", "KB each", "patient ms", "worst", "visit ms", "worst", "id ms", "worst"]
_SIZE += ["rows proved/s", "day dropped s", "MB back", "target"]


@dataclass(frozen=True)
class Found:
    """What a search can ask for."""

    patient: str
    visit: str
    id: str


class Traffic:
    """Messages in the order in which they come, the same for every database."""

    def __init__(self, messages: int) -> None:
        self._random = random.Random(7)
        self._all = messages
        self._patients = max(messages // PATIENT_HAS, 1)
        self.samples: list[Found] = []

    def batches(self, first: int = 0) -> Iterator[list[bytes]]:
        """Bodies of the journal's queue."""
        for start in range(first, self._all, BATCH):
            batch = [self._message(number) for number in range(start, min(start + BATCH, self._all))]
            tries = [
                Attempt(
                    e.id, e.channel, to, 1, e.received_ms, 4, "sent", "AA", "", b"MSH|^~\\&|LIS\rMSA|AA|1\r"
                )
                for e in batch
                for to in e.destinations
            ]
            yield [*map(encode, batch), encode(Attempts(tuple(tries)))]

    def _message(self, number: int) -> Envelope:
        at_ms = START_MS + number * DAYS * DAY_MS // self._all
        sample = MIXED[number % 2]
        patient, visit = f"P{self._random.randrange(self._patients):07}", f"V{number:09}"
        e = Envelope(
            f"{at_ms:012x}70008{number:015x}",
            f"channel-{number % 4}",
            at_ms,
            "mllp 10.0.0.7:40000",
            "hl7v2",
            "",
            sample.name,
            sample.body(b"%08d" % number),
            {},
            {"patient": patient, "visit": visit, "name": f"测试{number % 9973}"},
            ("lis", "emr"),
        )
        if number % max(self._all // 1_000, 1) == 0:
            self.samples.append(Found(patient, visit, e.id))
        return e


def _measure(name: str, url: str, messages: int, table: Table) -> None:
    traffic = Traffic(messages)
    store = open_store(url, KEYS)
    began = time.perf_counter()
    for bodies in traffic.batches():
        store.write_bodies(bodies)
    written_s = time.perf_counter() - began
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("ANALYZE")
    bytes_each = sum(day.row_bytes + day.body_bytes for day in store.days()) / messages
    asked = [
        *_search(url, traffic.samples, lambda f: Query(index={"patient": f.patient})),
        *_search(url, traffic.samples, lambda f: Query(index={"visit": f.visit})),
        *_search(url, traffic.samples, lambda f: Query(text=f.id)),
    ]
    read: list[int] = []
    began = time.perf_counter()
    wrong = list(store.verify(progress=read.append))
    proved = len(read) / (time.perf_counter() - began)
    dropped_s, back = _drop(store)
    store.close()
    if wrong:
        table.missed.append(f"{name}: {len(wrong)} rows are not as they were written")
    table.target(f"{name}: a day dropped, s", dropped_s, DROP_S, most=True)
    target = table.target(f"{name}: search, worst median, ms", max(asked[::2]), SEARCH_MS, most=True)
    table.add(name, messages / written_s, bytes_each / 1e3, *asked, proved, dropped_s, back / 1e6, target)


def _search(url: str, samples: list[Found], query: Callable[[Found], Query]) -> tuple[float, float]:
    """Median and worst (ms)."""
    took = []
    for sample in random.Random(11).sample(samples, min(ASKED, len(samples))):
        store = open_store(url, KEYS)
        began = time.perf_counter()
        found = store.search(query(sample)).found
        took.append((time.perf_counter() - began) * 1000)
        store.close()
        if sample.id not in {one.id for one in found}:
            raise RuntimeError(f"the journal does not find {sample}")
    return statistics.median(took), max(took)


def _drop(store: Store) -> tuple[float, int]:
    """The first day: seconds, and bytes given back."""
    before = sum(day.row_bytes + day.body_bytes for day in store.days())
    began = time.perf_counter()
    if store.keep(Rules(others=Keep(rows_s=0.0)), START_MS + DAY_MS) != 1:
        raise RuntimeError("the first day was not dropped")
    took_s = time.perf_counter() - began
    return took_s, before - sum(day.row_bytes + day.body_bytes for day in store.days())


def _compare(name: str, url: str, plain_url: str, table: Table) -> None:
    """By turns, a batch each."""
    sealed, spent = open_store(url, KEYS), {"sealed": 0.0, "plain": 0.0}
    with unsealed():
        plain = open_store(plain_url, KEYS)
    for number, (one, two) in enumerate(
        zip(Traffic(COMPARED).batches(), Traffic(COMPARED).batches(), strict=True)
    ):
        cpu = time.process_time()
        sealed.write_bodies(one)
        half = time.process_time()
        with unsealed():
            plain.write_bodies(two)
        if number > 2:  # the first ones make the tables
            spent["sealed"] += half - cpu
            spent["plain"] += time.process_time() - half
    each = {kind: total / (COMPARED - 3 * BATCH) * 1e6 for kind, total in spent.items()}
    more = each["sealed"] - each["plain"]
    table.add(name, each["plain"], each["sealed"], more, f"{more / each['plain']:.0%}")
    sealed.close()
    plain.close()


@contextlib.contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-", dir="var") as folder:
        yield f"sqlite:///{Path(folder).resolve()}/journal.db"


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    server = postgresql()
    if not server:
        yield ""
        return
    with database(server) as url:
        yield url


@contextlib.contextmanager
def _fresh(url: str) -> Iterator[str]:
    """Another place of the same kind, for the rows that are compared."""
    if url.startswith("sqlite"):
        yield url.replace("journal.db", "plain/journal.db")
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE SCHEMA plain")
    yield f"{url}?options=-csearch_path%3Dplain"
