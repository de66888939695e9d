"""What it costs that a request to a centre is on disk before it leaves: begin and end, one by one and many at once."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import psycopg

from bench.table import Table
from config.crypto import SiteKeys
from endpoints.insurance.envelope import msgid_of
from endpoints.insurance.records import Ask
from router.clock import now_ms
from router.store.insurance_records import InsuranceRecords, insurance_records

_CODE = "H99999900001"
_REQUEST = b'{"infno":"2204","input":{"feedetail":[' + b'{"feedetl_sn":"F0001","cnt":1},' * 600 + b"]}}"
_ANSWER = b'{"infcode":0,"output":{"result":[' + b'{"feedetl_sn":"F0001"},' * 400 + b"]}}"
_SECONDS = 4.0
_LINKS = {"psn_no": "99990000000000000000000001", "mdtrt_id": "M1", "chrg_bchno": "B1"}


def table() -> Table:
    made = Table(
        f"Exchanges with a centre on record, requests of {len(_REQUEST) / 1000:.0f} KB, per second",
        ["database", "at once", "begun and ended", "ms to begin"],
    )
    for name, url in databases():
        with url as address:
            for at_once in (1, 32):
                done, begin_s = asyncio.run(_run(address, at_once))
                made.add(name, at_once, done / _SECONDS, begin_s * 1000)
    made.notes.append("each is two commits, on disk (synchronous); those at once share commits")
    return made


async def _run(url: str, at_once: int) -> tuple[int, float]:
    """How many exchanges, and how long a begin took on average."""
    kept = insurance_records(url, lambda: SiteKeys(bytes(16)), now_ms)
    until, took = time.perf_counter() + _SECONDS, [0.0]

    async def one() -> int:
        count = 0
        while time.perf_counter() < until:
            took[0] += await _exchange(kept)
            count += 1
        return count

    done = sum(await asyncio.gather(*(one() for _ in range(at_once))))
    kept.close()
    return done, took[0] / max(done, 1)


async def _exchange(kept: InsuranceRecords) -> float:
    """How long the begin took."""
    began, at_ms = time.perf_counter(), now_ms()
    ask = Ask(_CODE, "2204", uuid.uuid4().hex, at_ms, "0001", _LINKS, frozenset())
    made = await kept.begin(ask, partial(msgid_of, _CODE, at_ms), lambda msgid: _REQUEST)
    took = time.perf_counter() - began
    await kept.end(made, "OK", "0", "", _ANSWER, {})
    return took


def databases() -> Iterator[tuple[str, AbstractContextManager[str]]]:
    yield "SQLite", _file()
    if server := os.environ.get("JINGLUO_TEST_POSTGRESQL", ""):
        yield "PostgreSQL", _schema(server)


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/journal.db"


@contextmanager
def _schema(server: str) -> Iterator[str]:
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{server}?options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")
