"""Messages and attempts for the journal's suites, and what is found of them."""

from __future__ import annotations

import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from config.crypto import SiteKeys
from router.envelope import Attempt, Envelope
from router.ids import day_at
from router.search import Query
from router.store import Store

NOW = 1_790_000_000_000
DAY_MS = 86_400_000
KEYS = SiteKeys(bytes(16))
_numbers = count()


def day_file(journal_url: str, at_ms: int = NOW, part: str = "rows") -> Path:
    """Where SQLite has the rows, or the bodies, of a day."""
    file = Path(journal_url.removeprefix("sqlite:///"))
    return file.with_name("journal.days") / f"{day_at(at_ms)}.{part}.db"


def sql(journal_url: str, statement: str, at_ms: int = NOW, part: str = "rows") -> list[tuple[Any, ...]]:
    """What somebody does behind the engine's back. `DAY` in the statement is that day."""
    statement = statement.replace("DAY", day_at(at_ms))
    if journal_url.startswith("sqlite"):
        with sqlite3.connect(day_file(journal_url, at_ms, part)) as file:
            rows = file.execute(statement).fetchall()
        file.close()
        return rows
    with psycopg.connect(journal_url) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def message(at_ms: int = NOW, **facts: Any) -> Envelope:
    given: dict[str, Any] = {
        "id": f"{at_ms:012x}{next(_numbers):020x}",
        "channel": "his-adt",
        "received_ms": at_ms,
        "source": "mllp 127.0.0.1:40000",
        "format": "hl7v2",
        "charset": "",
        "kind": "ADT^A01",
        "body": b"MSH|^~\\&|HIS\rPID|1||P0001\r",
        "headers": {},
        "index": {},
        "destinations": ("lis",),
    }
    return Envelope(**(given | facts))


def tried(e: Envelope, outcome: str = "sent", **facts: Any) -> Attempt:
    given: dict[str, Any] = {
        "id": e.id,
        "channel": e.channel,
        "destination": "lis",
        "attempt": 1,
        "at_ms": e.received_ms + 5,
        "took_ms": 3,
        "outcome": outcome,
        "code": "AA" if outcome == "sent" else "JL-E001",
        "answer": b"MSH|^~\\&|LIS\rMSA|AA|1\r",
    }
    return Attempt(**(given | facts))


def found(store: Store, limit: int = 50, **facts: Any) -> list[str]:
    return [m.id for m in store.search(Query(**facts), limit).found]
