"""The bench of the journal writes what it says, and what it compares with differs in nothing but the sealing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bench import journal
from bench.bare import unsealed
from bench.table import Table
from router.store import open_store


def test_it_finds_proves_and_drops_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "DAYS", 3)
    table = Table("journal", journal._SIZE)
    journal._measure("SQLite", f"sqlite:///{tmp_path}/journal.db", 1_500, table)
    (row,) = table.rows
    assert row[0] == "SQLite"
    assert float(row[11]) > 0, "megabytes given back"
    assert [line for line in table.missed if "as they were written" in line] == []


def test_rows_without_sealing_are_as_many_and_as_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "DAYS", 2)
    sizes = []
    for name, sealing in (("sealed", contextlib.nullcontext), ("plain", unsealed)):
        with sealing():
            store = open_store(f"sqlite:///{tmp_path}/{name}/journal.db", journal.KEYS)
            for bodies in journal.Traffic(1_000).batches():
                store.write_bodies(bodies)
            days = store.days()
            store.close()
        sizes.append((sum(day.rows for day in days), sum(day.row_bytes + day.body_bytes for day in days)))
    (rows, sealed), (plain_rows, plain) = sizes
    assert rows == plain_rows == 3_002
    assert abs(sealed - plain) < sealed * 0.2
