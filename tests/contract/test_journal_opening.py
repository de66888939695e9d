"""Opening a journal: on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from journal_parts import KEYS, message

from router.search import Query
from router.store import Store, StoreError, open_store


def test_reading_a_journal_that_is_not_there_says_so_and_makes_none(journal_url: str, store: Store) -> None:
    with pytest.raises(StoreError, match="JL-J003"):
        store.search(Query())
    with pytest.raises(StoreError, match="JL-J003"):
        store.counts()
    if journal_url.startswith("sqlite"):
        assert not Path(journal_url.removeprefix("sqlite:///")).exists()


def test_a_newer_engines_journal_is_left_alone(journal_url: str, store: Store) -> None:
    store.write([message()], [])
    if journal_url.startswith("sqlite"):
        with sqlite3.connect(journal_url.removeprefix("sqlite:///")) as file:
            file.execute("UPDATE schema_version SET version = 999")
        file.close()
    else:
        with psycopg.connect(journal_url) as connection:
            connection.execute("UPDATE schema_version SET version = 999")
    other = open_store(journal_url, KEYS)
    with pytest.raises(StoreError, match="JL-J001"):
        other.write([message()], [])
    with pytest.raises(StoreError, match="JL-J001"):
        other.search(Query())
    other.close()
