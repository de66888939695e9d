"""A large body lives as long as the journal keeps it: on SQLite and on PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_parts import DAY_MS, KEYS, message, tried

from router.blobs import Blobs, Kept
from router.clock import now_ms as wall_ms
from router.ids import day_of, day_start_ms
from router.store import Keep, Rules, Store
from router.sweep import Sweep

NOW = wall_ms()
RULES = Rules(others=Keep(body_s=30 * 86_400.0, rows_s=400 * 86_400.0))


async def kept(blobs: Blobs) -> Kept:
    spool = blobs.spool()
    await spool.write(b"x" * 300_000)
    return await spool.finish()


def noted_at(ms: int) -> Callable[[str, str], tuple[str, int, str, str, str]]:
    """What is dropped is noted at that time, by ids of its own: those of the process never go back."""
    return lambda what, about: (f"{ms:012x}{secrets.token_hex(10)}", ms, what, about, "somebody")


async def caught_up() -> bool:
    return True


async def test_a_large_body_goes_with_the_journals_own_when_all_is_delivered(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(tmp_path / "blobs", lambda: KEYS, lambda: NOW)
    sent, waiting, replayed = [await kept(blobs) for _ in range(3)]
    rows = [message(NOW, id=blob.name, body=b"", blob=blob.ref) for blob in (sent, waiting, replayed)]
    again = message(NOW + 20 * DAY_MS, body=b"", blob=replayed.ref, parent=replayed.name)
    store.write([*rows, again], [tried(rows[0]), tried(rows[2]), tried(again)])
    assert [story.blob for story in map(store.show, (sent.name, again.id))] == [sent.ref, replayed.ref]
    assert store.show(sent.name).message.size == 300_000

    async def left_after(days: float) -> set[str]:
        now_ms = day_start_ms(day_of(sent.name)) + int(days * DAY_MS)
        monkeypatch.setattr("router.store.write._note", noted_at(now_ms))
        store.keep(RULES, now_ms)
        await Sweep(blobs, store, caught_up, lambda: now_ms).once()
        return {name for name, _, _ in blobs.listed()}

    assert await left_after(30.5) == {sent.name, waiting.name, replayed.name}
    assert await left_after(31.5) == {waiting.name, replayed.name}
    assert store.show(sent.name).body_over
    assert await left_after(51.5) == {waiting.name}
    assert await left_after(402) == set(), "with the rows goes what they knew"


async def test_a_journal_of_another_address_sweeps_nothing_away(store: Store, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", lambda: KEYS, lambda: NOW)
    await kept(blobs)
    store.write([message(NOW + 5 * DAY_MS)], [])
    later = Sweep(blobs, store, caught_up, lambda: NOW + 40 * DAY_MS)
    assert await later.once() == 0
    store.write([message(NOW)], [])
    assert await later.once() == 1, "the day is known, and nothing in it speaks of the body"
