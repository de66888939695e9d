"""`verify` names what somebody changed, took away or put in behind the engine's back: on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import pwd
import sqlite3
import threading
import tracemalloc

import pytest
from journal_parts import DAY_MS, KEYS, NOW, day_file, message, sql, tried

from config.crypto import SiteKeys
from router.clock import now_ms
from router.envelope import Envelope
from router.ids import day_at
from router.store import Store, open_store

DAY = day_at(NOW)


def odd(store: Store, day: str = "") -> set[str]:
    """`table id: what` of everything that is found."""
    return {f"{one.table} {one.id}: {one.what}" for one in store.verify(day)}


def written(store: Store, count: int = 12) -> list[Envelope]:
    batch = [message(index={"patient": f"P{n}", "visit": f"V{n}"}, body=b"body %d" % n) for n in range(count)]
    for e in batch:
        store.write([e], [tried(e)])
    return batch


def test_what_was_written_is_right_whoever_wrote_it_and_in_whatever_order(
    journal_url: str, store: Store
) -> None:
    batch = written(store)
    other = open_store(journal_url, KEYS)
    late = message(NOW - 5, index={"patient": "P1"}, headers={"a": "b" * 900}, body=b"")
    other.write([late, batch[0]], [tried(late, "retry", reason="", answer=b""), tried(batch[0])])
    other.write([message(NOW + DAY_MS)], [tried(batch[1], "dead", at_ms=NOW + DAY_MS)])
    assert other.write_bodies([b"\xc1 no envelope"]) == 1
    store.note("viewed", late.id)
    other.close()
    read: list[int] = []
    assert list(store.verify(progress=read.append)) == []
    assert sum(read) >= 12 * 2 + 4


def test_an_empty_journal_is_right(store: Store) -> None:
    store.write([], [])
    assert odd(store) == set()


@pytest.mark.parametrize(
    "column",
    ["state = 'refused'", "channel = 'other'", "kind = 'ORU^R01'", "received_ms = 1", "destinations = ''"],
)
def test_a_changed_cell_is_named_by_its_row(journal_url: str, store: Store, column: str) -> None:
    id = written(store)[4].id
    sql(journal_url, f"UPDATE message_DAY SET {column} WHERE id = '{id}'")
    assert f"message {id}: changed" in odd(store)
    assert len({line for line in odd(store) if not line.startswith("body")}) == 1


def test_a_changed_attempt_chain_mac_and_sealed_cell_are_named(journal_url: str, store: Store) -> None:
    batch = written(store)
    a, b, c = (batch[n].id for n in (2, 5, 8))
    sql(journal_url, f"UPDATE delivery_attempt_DAY SET code = 'AR' WHERE message_id = '{a}'")
    sql(journal_url, f"UPDATE message_DAY SET mac = body_tag WHERE id = '{b}'")
    sql(journal_url, f"UPDATE message_DAY SET sealed = body_tag WHERE id = '{c}'")
    assert odd(store) == {
        f"delivery_attempt {a} lis 1 sent: changed",
        f"message {b}: changed",
        f"message {c}: changed",
    }


def test_a_row_that_was_taken_away_is_named_by_what_it_leaves_and_what_stood_beside_it(
    journal_url: str, store: Store
) -> None:
    batch = written(store)
    before, gone = batch[2].id, batch[3].id
    sql(journal_url, f"DELETE FROM message_DAY WHERE id = '{gone}'")
    found = odd(store)
    assert f"message {gone}: missing: its body is there" in found
    (hole,) = found - {f"message {gone}: missing: its body is there"}
    assert f"between delivery_attempt {before} lis 1 sent and delivery_attempt {gone} lis 1 sent" in hole


def test_rows_that_were_cut_off_the_end_are_missed(journal_url: str, store: Store) -> None:
    batch = written(store)
    for table, key in (
        ("message", "id"),
        ("delivery_attempt", "message_id"),
        ("message_index", "message_id"),
    ):
        sql(journal_url, f"DELETE FROM {table}_DAY WHERE {key} >= '{batch[9].id}'")
    sql(journal_url, f"DELETE FROM body_DAY WHERE id >= '{batch[9].id}'", part="bodies")
    found = odd(store)
    assert len(found) == 6
    assert any(f"between delivery_attempt {batch[8].id} lis 1 sent and" in line for line in found)


def test_a_chain_cannot_be_shortened_to_hide_it(journal_url: str, store: Store) -> None:
    written(store)
    sql(journal_url, "UPDATE chain_DAY SET count = count - 1")
    assert any(line.startswith("chain ") and line.endswith(": changed") for line in odd(store))


def without(journal_url: str, writer: int) -> None:
    """All that a writer has written is taken away, with its chain."""
    ids = [id for (id,) in sql(journal_url, f"SELECT id FROM message_DAY WHERE writer = {writer}")]
    for id in ids:
        sql(journal_url, f"DELETE FROM message_index_DAY WHERE message_id = '{id}'")
        sql(journal_url, f"DELETE FROM body_DAY WHERE id = '{id}'", part="bodies")
    for table in ("message", "delivery_attempt", "note", "chain"):
        sql(journal_url, f"DELETE FROM {table}_DAY WHERE writer = {writer}")


def writer_of(journal_url: str, e: Envelope) -> int:
    ((writer,),) = sql(journal_url, f"SELECT writer FROM message_DAY WHERE id = '{e.id}'")
    return int(writer)


@pytest.mark.parametrize("last", [False, True])
def test_a_chain_that_was_taken_away_whole_is_missed_by_who_wrote_after_it_began(
    journal_url: str, store: Store, last: bool
) -> None:
    first = written(store, 3)[0]
    other = open_store(journal_url, KEYS)
    theirs = message(index={"patient": "P9"})
    other.write([theirs], [tried(theirs)])
    other.close()
    store.write([message()], [])
    assert odd(store) == set()
    writer = writer_of(journal_url, theirs if last else first)
    without(journal_url, writer)
    gone = f"chain {writer:016x}: missing: its length, and what stood at its end or all of it"
    assert odd(store) == {gone}


def test_who_takes_away_a_note_of_what_he_viewed_is_found_out(journal_url: str, store: Store) -> None:
    store.note("viewed", "before")
    command = open_store(journal_url, KEYS)
    command.note("viewed", "0197a3c2")
    command.close()
    store.note("viewed", "after")
    today = now_ms()
    (row,) = sql(journal_url, "SELECT writer FROM note_DAY WHERE about = '0197a3c2'", today)
    for table in ("note", "chain"):
        sql(journal_url, f"DELETE FROM {table}_DAY WHERE writer = {row[0]}", today)
    (found,) = odd(store)
    assert found.startswith(f"chain {row[0]:016x}: missing")


def test_who_viewed_is_not_what_a_variable_says(
    journal_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    store.note("viewed", "0197a3c2")
    ((who,),) = sql(journal_url, "SELECT who FROM note_DAY WHERE what = 'viewed'", now_ms())
    assert who.split(" ")[0] == pwd.getpwuid(os.getuid()).pw_name


def test_a_chain_without_its_length_is_named(journal_url: str, store: Store) -> None:
    batch = written(store, 3)
    writer = writer_of(journal_url, batch[0])
    sql(journal_url, "DELETE FROM chain_DAY")
    sql(journal_url, f"DELETE FROM delivery_attempt_DAY WHERE message_id = '{batch[2].id}'")
    (found,) = odd(store)
    assert found.startswith(f"chain {writer:016x}: missing")


def test_a_day_that_was_emptied_is_missed_once_another_has_begun(journal_url: str, store: Store) -> None:
    without(journal_url, writer_of(journal_url, written(store, 2)[0]))
    assert odd(store) == set(), "nobody else knew"
    store.write([message(NOW + DAY_MS)], [])
    assert odd(store) == {"rows : missing: every row of the day"}


def test_a_made_up_number_costs_no_memory(journal_url: str, store: Store) -> None:
    id = written(store, 3)[1].id
    sql(journal_url, f"UPDATE message_DAY SET writer = 7, seq = 2000000000 WHERE id = '{id}'")
    tracemalloc.start()
    found = odd(store)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert any(line.startswith(f"message {id}: strange") for line in found)
    assert most < 20_000_000


def test_a_day_that_there_never_was_is_not_called_right(store: Store) -> None:
    written(store, 1)
    assert odd(store, "20200101") == {"rows : no such day is known"}


def test_a_body_that_was_changed_exchanged_or_taken_away_is_named(journal_url: str, store: Store) -> None:
    a, b, c = (e.id for e in written(store, 3))
    other = f"(SELECT sealed FROM body_DAY WHERE id = '{c}')"
    sql(journal_url, f"UPDATE body_DAY SET sealed = {other} WHERE id = '{a}'", part="bodies")
    sql(journal_url, f"DELETE FROM body_DAY WHERE id = '{b}'", part="bodies")
    assert odd(store) == {f"body {a}: changed", f"body {b}: missing"}


def test_a_searchable_value_that_was_put_in_or_taken_away_is_named(journal_url: str, store: Store) -> None:
    a, b, c = (e.id for e in written(store, 3))
    sql(journal_url, f"DELETE FROM message_index_DAY WHERE message_id = '{a}' AND name = 'visit'")
    sql(journal_url, f"UPDATE message_index_DAY SET tag = 7 WHERE message_id = '{b}' AND name = 'patient'")
    sql(journal_url, f"UPDATE message_index_DAY SET message_id = '{'0' * 32}' WHERE message_id = '{c}'")
    assert odd(store) == {
        f"message_index {a} visit: missing",
        f"message_index {b} patient: missing",
        f"message_index {b} patient: strange: the message has no such value",
        f"message_index {c} patient: missing",
        f"message_index {c} visit: missing",
        f"message {'0' * 32}: missing: its message_index is there",
    }


def test_a_row_that_nobody_of_ours_wrote_is_strange_or_changed(journal_url: str, store: Store) -> None:
    id = written(store)[4].id
    forged = (
        "SELECT message_id, destination, 9, 'sent', channel, at_ms, took_ms, code, sealed, writer, {}, mac"
    )
    row = f"FROM delivery_attempt_DAY WHERE message_id = '{id}'"
    sql(journal_url, f"INSERT INTO delivery_attempt_DAY {forged.format('seq')} {row}")
    assert (
        f"delivery_attempt {id} lis 9 sent: strange: its number is another row's, or beyond the chain's end"
        in odd(store)
    )
    sql(journal_url, "UPDATE delivery_attempt_DAY SET seq = 999999 WHERE attempt = 9")
    assert {line.split(":")[0] for line in odd(store)} == {f"delivery_attempt {id} lis 9 sent"}


def test_a_day_that_was_taken_away_whole_is_missed(journal_url: str, store: Store) -> None:
    for n in range(3):
        store.write([message(NOW + n * DAY_MS)], [])
    second = day_at(NOW + DAY_MS)
    if journal_url.startswith("sqlite"):
        day_file(journal_url, NOW + DAY_MS).unlink()
    else:
        sql(journal_url, f"DROP TABLE message_{second}")
    assert {f"{one.day} {one.what}" for one in store.verify()} == {f"{second} missing: the whole day"}


def test_a_day_whose_key_was_taken_away_is_missed(journal_url: str, store: Store) -> None:
    for n in range(3):
        store.write([message(NOW + n * DAY_MS)], [])
    second = day_at(NOW + DAY_MS)
    if journal_url.startswith("sqlite"):
        with sqlite3.connect(journal_url.removeprefix("sqlite:///")) as file:
            file.execute(f"DELETE FROM journal_key WHERE day = '{second}'")
        file.close()
    else:
        sql(journal_url, f"DELETE FROM journal_key WHERE day = '{second}'")
    (found,) = store.verify()
    assert (found.day, found.what.split(",")[0]) == (second, "missing: the whole day")


def test_one_day_can_be_asked_for(journal_url: str, store: Store) -> None:
    batch = [message(NOW), message(NOW + DAY_MS)]
    store.write(batch, [])
    sql(journal_url, "UPDATE message_DAY SET state = 'refused'")
    assert odd(store, day_at(NOW + DAY_MS)) == set()
    assert odd(store, DAY) == {f"message {batch[0].id}: changed"}


def test_a_journal_that_is_being_written_is_right_at_every_moment(journal_url: str, store: Store) -> None:
    written(store, 5)
    enough = threading.Event()

    def write() -> None:
        writer = open_store(journal_url, KEYS)
        while not enough.is_set():
            batch = [message(index={"patient": "P1"}) for _ in range(20)]
            writer.write(batch, [tried(e) for e in batch])
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            assert odd(store) == set()
    finally:
        enough.set()
        thread.join()


def test_after_a_new_site_key_everything_opens_with_it_alone(journal_url: str, store: Store) -> None:
    batch = written(store)
    new = SiteKeys(b"n" * 16, older=[bytes(16)])
    turning = open_store(journal_url, new)
    assert {day.sealed_by for day in turning.days()} == {KEYS.id}
    assert turning.rekey() == 2  # of the day's rows and of its bodies
    assert turning.rekey() == 0
    turning.close()
    after = open_store(journal_url, SiteKeys(b"n" * 16))
    assert {day.sealed_by for day in after.days()} == {new.id}
    assert after.show(batch[3].id).body == b"body 3"
    assert odd(after) == set()
    after.close()
