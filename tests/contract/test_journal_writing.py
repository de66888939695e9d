"""What the journal writes, it writes once and whole: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from journal_parts import KEYS, found, message, tried

from router.envelope import ANSWER_KEPT, Attempts, encode
from router.store import NotFound, Store, StoreDown, open_store


def test_a_batch_that_comes_twice_is_written_once(store: Store) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(50)]
    tries = [tried(e) for e in batch]
    assert store.write(batch, tries) == 0
    before = [store.show(e.id) for e in batch]
    assert store.write(batch, tries) == 0
    assert [store.show(e.id) for e in batch] == before
    assert len(found(store, 1000)) == 50


def test_a_batch_that_overlaps_an_older_one_adds_only_what_is_new(store: Store) -> None:
    batch = [message() for _ in range(30)]
    store.write(batch[:20], [tried(e) for e in batch[:20]])
    store.write(batch[10:], [tried(e) for e in batch[10:]])
    assert found(store) == [e.id for e in reversed(batch)]
    assert all(len(store.show(e.id).tries) == 1 for e in batch)


def test_the_same_message_twice_in_one_batch_is_one_message(store: Store) -> None:
    e = message()
    assert store.write([e, e], [tried(e), tried(e)]) == 0
    assert len(store.show(e.id).tries) == 1


def test_several_writers_of_the_same_rows_agree(journal_url: str) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(200)]
    tries = [tried(e) for e in batch]
    stores = [open_store(journal_url, KEYS) for _ in range(3)]
    together = threading.Barrier(3)

    def write(store: Store) -> int:
        together.wait()
        while True:
            try:
                return store.write(batch, tries)
            except StoreDown:  # two transactions in each other's way: one is told to come again
                continue

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(write, stores)) == [0, 0, 0]
    assert len(found(stores[0], 1000)) == 200
    for store in stores:
        store.close()


def test_attempts_may_come_before_their_message(store: Store) -> None:
    e = message()
    store.write([], [tried(e)])
    assert found(store) == []
    assert [(c.accepted, c.delivered) for c in store.counts() if c.destination] == []
    store.write([e], [])
    assert store.show(e.id).message.deliveries[0].state == "sent"


def test_a_row_that_no_database_takes_is_parked_and_the_others_are_written(store: Store) -> None:
    good, bad = message(index={"patient": "P1"}), message(received_ms=2**63)
    assert store.write([good, bad], [tried(good)]) == 1
    assert found(store, text="P1") == [good.id]
    assert store.show(good.id).message.deliveries[0].state == "sent"
    assert store.write([good, bad], [tried(good)]) == 1, "parked again is parked once, and no error"
    with pytest.raises(NotFound):
        store.show(bad.id)


def test_a_body_that_is_no_envelope_is_parked(store: Store) -> None:
    good = message()
    assert store.write_bodies([b"\xc1 no envelope", encode(good), encode(Attempts((tried(good),)))]) == 1
    assert store.show(good.id).message.deliveries[0].state == "sent"


def test_nul_bytes_and_rare_characters_survive_in_every_text(store: Store) -> None:
    odd = "a\0b 𠮷 \U0001f3e5 '; -- \\"
    e = message(kind=odd, reason=odd, source=odd, index={"name": odd}, headers={"x": odd}, body=b"\0\xff\r")
    store.write([e], [tried(e, "retry", reason=odd, code=odd, answer=b"\0\xff")])
    story = store.show(e.id)
    shown = odd.replace("\0", "␀")
    assert story.message.kind == story.message.reason == story.source == shown
    assert story.message.index == {"name": shown}
    assert (story.tries[0].reason, story.tries[0].code, story.tries[0].answer) == (shown, shown, b"\0\xff")
    assert story.headers == {"x": odd}
    assert story.body == b"\0\xff\r"
    assert found(store, index={"name": odd}) == found(store, text=shown) == [e.id]


def test_what_is_too_long_is_cut_with_a_mark(store: Store) -> None:
    long = "𠮷" * 100_000
    e = message(index={"name": long}, reason=long, headers={"a": "1", "b": long})
    store.write([e], [tried(e, "dead", reason=long, code=long, answer=b"x" * 1_000_000)])
    story = store.show(e.id)
    last = story.tries[0]
    assert all(
        text.endswith("…") for text in (story.message.index["name"], story.message.reason, last.reason)
    )
    assert len(last.answer) == ANSWER_KEPT
    assert last.answer.endswith(b"...(cut)")
    assert sum(map(len, story.headers.values())) < 20_000
    assert found(store, index={"name": long}) == found(store, text=long) == [e.id], (
        "cut alike where it is asked for"
    )


def test_a_body_comes_back_byte_for_byte_whatever_it_is(store: Store) -> None:
    bodies = [b"", b"x", bytes(range(256)) * 8, b"PID|1||P0001\r" * 5000]
    batch = [message(body=body) for body in bodies]
    store.write(batch, [])
    assert [store.show(e.id).body for e in batch] == bodies
    assert [store.show(e.id).message.size for e in batch] == [len(body) for body in bodies]
