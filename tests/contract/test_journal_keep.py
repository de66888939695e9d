"""What is kept for how long, and that what is over is gone: on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from journal_parts import DAY_MS, KEYS, NOW, day_file, found, message, sql, tried

from router.envelope import Envelope
from router.ids import day_at, day_start_ms
from router.store import Keep, NotFound, Rules, Store, StoreDown, open_store
from router.store.database import Database
from router.store.keep import DAYS_AT_ONCE

DAYS = [day_at(NOW + n * DAY_MS) for n in range(5)]
NOON = day_start_ms(DAYS[4]) + DAY_MS // 2  # of the fifth day
DAY_S = 86_400.0


def five_days(store: Store) -> list[Envelope]:
    """A message a day of two channels: `his-adt` and, on the second day, `orders`."""
    batch = [message(NOW + n * DAY_MS, index={"patient": "P1"}, body=b"x" * 5_000) for n in range(5)]
    batch.append(message(NOW + DAY_MS, channel="orders", body=b"y" * 5_000))
    store.write(batch, [tried(e) for e in batch])
    return batch


def over(store: Store, rules: Rules) -> list[str]:
    return [one.what for one in store.over(rules, NOON)]


def test_without_a_rule_nothing_is_ever_over(store: Store) -> None:
    five_days(store)
    assert not Rules().end_anything
    assert store.over(Rules(), NOON + 10_000 * DAY_MS) == ()


def test_a_day_is_over_when_its_last_channels_rows_are(store: Store) -> None:
    batch = five_days(store)
    rules = Rules({"his-adt": Keep(rows_s=DAY_S), "orders": Keep(rows_s=3 * DAY_S)})
    assert over(store, rules) == [DAYS[0], DAYS[2]]
    assert store.keep(rules, NOON) == 2
    assert over(store, rules) == []
    assert found(store) == [batch[n].id for n in (4, 3, 5, 1)]
    with pytest.raises(NotFound):
        store.show(batch[0].id)
    assert found(store, text="P1") == [batch[n].id for n in (4, 3, 1)]
    assert {day.day for day in store.days()} >= {DAYS[1], DAYS[3], DAYS[4]}
    assert list(store.verify()) == [], "what is over is not missing"


def test_a_channel_of_no_file_is_kept_as_the_site_says(store: Store) -> None:
    five_days(store)
    rules = Rules({"orders": Keep(rows_s=0.0)}, others=Keep(rows_s=2 * DAY_S))
    assert over(store, rules) == [DAYS[0], DAYS[1]]


def test_bodies_go_before_their_rows_and_channel_by_channel(journal_url: str, store: Store) -> None:
    batch = five_days(store)
    rules = Rules({"his-adt": Keep(body_s=DAY_S, rows_s=400 * DAY_S), "orders": Keep(body_s=4 * DAY_S)})
    assert over(store, rules) == [f"{DAYS[n]} his-adt" for n in range(3)]
    assert store.keep(rules, NOON) == 3
    assert over(store, rules) == []
    stories = [store.show(e.id) for e in batch]
    assert [story.body_over for story in stories] == [True, True, True, False, False, False]
    assert stories[0].body == b""
    assert stories[0].message.size == 5_000
    assert stories[5].body == b"y" * 5_000, "another channel's body of the same day"
    assert found(store, text="P1") == [e.id for e in reversed(batch[:5])]
    if journal_url.startswith("sqlite"):
        assert [day_file(journal_url, NOW + n * DAY_MS, "bodies").exists() for n in range(4)] == [
            False,
            True,
            False,
            True,
        ]
    else:
        assert sql(journal_url, "SELECT count(*) FROM body_DAY") == [(0,)]
    assert list(store.verify()) == []


def test_what_a_dropped_day_said_of_older_ones_is_said_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.store.write.now_ms", lambda: NOW + 4 * DAY_MS)
    batch = five_days(store)
    orders_stay = {"orders": Keep()}
    store.keep(Rules(orders_stay, others=Keep(body_s=2 * DAY_S)), NOON)
    store.keep(Rules(orders_stay, others=Keep(rows_s=3 * DAY_S)), NOON)  # the first day; noted on the fifth
    monkeypatch.setattr("router.store.write.now_ms", lambda: NOW + 9 * DAY_MS)
    store.keep(Rules(orders_stay, others=Keep(rows_s=0.0)), NOON + 5 * DAY_MS)
    assert [day.day for day in store.days()] == [day_at(NOW + 9 * DAY_MS), DAYS[1]]
    assert found(store) == [batch[5].id, batch[1].id]
    assert store.show(batch[1].id).body_over
    assert list(store.verify()) == []


def test_one_run_drops_from_few_days_only(store: Store) -> None:
    store.write([message(NOW + n * DAY_MS) for n in range(6)], [])
    rules = Rules(others=Keep(rows_s=0.0))
    far_ahead = NOON + 4_000 * DAY_MS
    assert len(store.over(rules, far_ahead)) == 6
    assert store.keep(rules, far_ahead) == DAYS_AT_ONCE
    assert len(found(store)) == 2


def test_a_key_that_is_destroyed_is_nowhere_in_sqlites_file(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    store = open_store(f"sqlite:///{file}", KEYS)
    five_days(store)
    with sqlite3.connect(file) as catalogue:
        keys = dict(catalogue.execute("SELECT day || part, wrapped FROM journal_key").fetchall())
    catalogue.close()
    store.keep(Rules({"orders": Keep(body_s=0.0)}, others=Keep(rows_s=3 * DAY_S)), NOON)
    left = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    assert {name for name, key in keys.items() if key not in left} == {
        DAYS[0],
        f"{DAYS[0]}his-adt",
        f"{DAYS[1]}orders",
    }
    store.close()


def test_bodies_that_somebody_else_destroyed_are_missed(journal_url: str, store: Store) -> None:
    batch = five_days(store)
    where = f"WHERE day = '{DAYS[0]}' AND part = 'his-adt'"
    if journal_url.startswith("sqlite"):
        with sqlite3.connect(journal_url.removeprefix("sqlite:///")) as file:
            file.execute(f"DELETE FROM journal_key {where}")
        file.close()
    else:
        sql(journal_url, f"DELETE FROM journal_key {where}")
    (oddity,) = store.verify()
    assert (oddity.table, oddity.id) == ("body", batch[0].id)


def test_what_comes_for_a_day_that_is_over_is_written_and_over_again(journal_url: str, store: Store) -> None:
    batch = five_days(store)
    rules = Rules(others=Keep(body_s=DAY_S, rows_s=DAY_S))
    writer = open_store(journal_url, KEYS)  # knows the day and its keys
    writer.write([message(NOW)], [])
    store.keep(rules, NOON)
    late = tried(batch[0], attempt=7)
    try:
        writer.write([message(NOW, channel="orders")], [late])
    except StoreDown:  # it had not heard that the day is gone: the journal's consumer comes again
        writer.write([message(NOW, channel="orders")], [late])
    assert writer.tries(batch[0].id, "lis") == (7, NOW + 5)
    assert DAYS[0] in {day.day for day in writer.days()}
    assert over(writer, rules) == [DAYS[0]]
    assert writer.keep(rules, NOON) == 1
    assert list(writer.verify()) == []
    writer.close()


def test_a_key_that_a_reader_kept_from_being_overwritten_is_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    store = open_store(f"sqlite:///{file}?timeout=0.1", KEYS)
    five_days(store)
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    keys = dict(reader.execute("SELECT day || part, wrapped FROM journal_key").fetchall())
    rules = Rules(others=Keep(rows_s=3 * DAY_S))

    def left() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))

    assert store.keep(rules, NOON) == 1
    assert keys[DAYS[0]] in left()
    reader.close()
    assert store.keep(rules, NOON) == 0
    assert keys[DAYS[0]] not in left()
    assert keys[DAYS[1]] in left()
    store.close()


def test_files_of_a_day_whose_dropping_a_crash_cut_short_go_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    dying = open_store(url, KEYS)
    five_days(dying)
    rules = Rules(others=Keep(rows_s=3 * DAY_S))
    with monkeypatch.context() as patched:
        patched.setattr(Database, "remove", lambda database, place: None)
        assert dying.keep(rules, NOON) == 1
    assert day_file(url).exists()
    another = day_file(url).with_name("20200101.rows.db")
    another.write_bytes(b"of another journal")
    assert dying.keep(rules, NOON) == 0
    assert not day_file(url).exists()
    assert not day_file(url, part="bodies").exists()
    assert another.exists(), "nobody wrote down that it was over"
    dying.close()


def test_a_new_day_does_not_go_on_in_a_file_of_another_journal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    old = open_store(url, KEYS)
    old.write([before := message()], [])
    old.close()
    (tmp_path / "journal.db").rename(tmp_path / "moved.db")
    new = open_store(url, KEYS)
    new.write([before, after := message()], [])
    assert found(new) == [after.id, before.id]
    assert list(new.verify()) == []
    new.close()
    assert len(list((tmp_path / "journal.days").glob("*.rows.db.*.old"))) == 1


@pytest.mark.postgresql
def test_several_keepers_at_once_drop_each_day_once(postgresql_url: str) -> None:
    schema = f"journal_{uuid.uuid4().hex[:12]}"
    url = f"{postgresql_url}?options=-csearch_path%3D{schema}"
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}")
        stores = [open_store(url, KEYS) for _ in range(3)]
        five_days(stores[0])
        rules = Rules(others=Keep(body_s=0.0, rows_s=DAY_S))

        def keep(store: Store) -> None:
            while True:
                try:
                    store.keep(rules, NOON)
                except StoreDown:  # another one was at the same day
                    continue
                return

        with ThreadPoolExecutor(3) as threads:
            list(threads.map(keep, stores))
        assert [store.over(rules, NOON) for store in stores] == [(), (), ()]
        assert list(stores[1].verify()) == []
        assert len(found(stores[2])) == 2
        for store in stores:
            store.close()
        server.execute(f"DROP SCHEMA {schema} CASCADE")
