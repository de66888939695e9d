"""A message is found by what its receiver answered: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from journal_parts import KEYS, found, message, sql, tried

from router.envelope import Attempts, encode
from router.search import Query
from router.store import Store, StoreDown, open_store


def odd(store: Store) -> set[str]:
    return {f"{one.table} {one.id}: {one.what}" for one in store.verify("")}


def test_it_is_found_by_values_of_the_answer_beside_its_own(store: Store) -> None:
    e, other = message(index={"patient": "P1"}), message(index={"patient": "P1"})
    store.write([e, other], [tried(e, index={"setl_id": "S1", "msgid": "M1", "empty": ""}), tried(other)])
    assert found(store, index={"setl_id": "S1"}) == found(store, text="M1") == [e.id]
    assert found(store, index={"patient": "P1", "setl_id": "S1"}) == [e.id]
    assert found(store, index={"msgid": "S1"}) == []
    (shown,) = store.search(Query(index={"setl_id": "S1"}), 10).found
    assert shown.index == store.show(e.id).message.index
    assert shown.index == {"patient": "P1", "setl_id": "S1", "msgid": "M1"}
    assert odd(store) == set()


def test_nothing_of_an_answers_values_stands_in_the_clear(journal_url: str, store: Store) -> None:
    e = message()
    store.write([e], [tried(e, index={"setl_id": "999900J0000000000001"})])
    rows = str(
        sql(journal_url, "SELECT * FROM message_index_DAY")
        + sql(journal_url, "SELECT * FROM delivery_attempt_DAY")
    )
    assert "setl_id" in rows
    assert "999900J" not in rows


def test_the_same_value_again_is_no_second_one(store: Store) -> None:
    """In the message itself, in the answer of another destination, in a try that came back after a crash."""
    e = message(index={"mdtrt_id": "V1"}, destinations=("lis", "emr"))
    mine = [tried(e, index={"mdtrt_id": "V1", "setl_id": "S1"})]
    store.write([e], mine)
    assert store.write([e], [*mine, tried(e, destination="emr", index={"setl_id": "S1"})]) == 0
    assert store.write([], [tried(e, attempt=2, index={"setl_id": "S1"})]) == 0
    assert found(store, index={"setl_id": "S1"}) == found(store, index={"mdtrt_id": "V1"}) == [e.id]
    assert len(store.show(e.id).tries) == 3
    assert odd(store) == set()


def test_an_answer_may_be_written_before_its_message_by_another_process(store: Store) -> None:
    e, second = message(index={"mdtrt_id": "V1"}), message(index={"mdtrt_id": "V2"})
    assert store.write([], [tried(e, index={"mdtrt_id": "V1"})]) == 0
    assert store.write([e, second], [tried(second)]) == 0
    assert found(store, index={"mdtrt_id": "V1"}) == [e.id]
    assert found(store, index={"mdtrt_id": "V2"}) == [second.id]
    assert odd(store) == set()


def test_a_refusal_is_found_by_what_it_says(store: Store) -> None:
    e = message()
    store.write([e], [tried(e, "dead", code="JL-N021", index={"msgid": "M7"})])
    assert found(store, index={"msgid": "M7"}, state="dead") == [e.id]


def test_several_writers_of_the_same_answers_agree(journal_url: str) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(100)]
    tries = [tried(e, index={"patient": f"P{n}", "setl_id": f"S{n % 7}"}) for n, e in enumerate(batch)]
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
    assert len(found(stores[0], 1000, index={"setl_id": "S3"})) == len(range(3, 100, 7))
    assert odd(stores[0]) == set()
    for store in stores:
        store.close()


def test_what_the_journals_queue_carried_before_answers_were_searchable_is_written_as_ever(
    store: Store,
) -> None:
    e = message()
    whole = tried(e)
    older = encode(["a", [[getattr(whole, name) for name in whole.__struct_fields__[:-1]]]])
    assert whole.__struct_fields__[-1] == "index"
    assert store.write_bodies([encode(e), older, encode(Attempts((whole,)))]) == 0
    assert store.show(e.id).tries[0].answer == whole.answer


@pytest.mark.parametrize(
    ("done", "named"),
    [
        ("DELETE FROM message_index_DAY WHERE name = 'setl_id'", "setl_id: missing"),
        (
            "UPDATE message_index_DAY SET tag = 7 WHERE name = 'setl_id'",
            "setl_id: strange: the message has no such value",
        ),
        ("UPDATE delivery_attempt_DAY SET sealed = mac", "lis 1 sent: changed"),
    ],
)
def test_the_proof_names_a_searchable_value_of_an_answer_that_somebody_changed(
    journal_url: str, store: Store, done: str, named: str
) -> None:
    e = message(index={"patient": "P1"})
    store.write([e], [tried(e, index={"setl_id": "S1"})])
    sql(journal_url, done)
    assert any(named in line for line in odd(store)), odd(store)
    assert all("patient" not in line for line in odd(store))
