"""Rows that must be durable before something leaves, while another process is in the way."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from journal_parts import KEYS
from sqlalchemy import select

from config.errors import Unreachable
from router.store.durable import GroupedDatabase
from router.store.insurance_rows import Key
from router.store.insurance_tables import INSURANCE, data_key


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
async def test_nobody_waits_for_good_for_a_process_that_stands_still_with_a_lock(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.store.durable._LOCK_WAIT", "1s")
    kept = GroupedDatabase(INSURANCE, Key, journal_url, lambda: KEYS)
    look = select(data_key.c.id)
    try:
        assert await kept.write(lambda connection, key: connection.execute(look).scalar()) == 1
        with psycopg.connect(journal_url) as other:
            other.execute("LOCK TABLE insurance_key IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(60):
                with pytest.raises(Unreachable, match="JL-E850"):
                    await kept.write(lambda connection, key: connection.execute(look).scalar())
        assert await kept.write(lambda connection, key: connection.execute(look).scalar()) == 1
    finally:
        await asyncio.to_thread(kept.close)
