"""The journal by day: lists, pages and stories go over the days as if there were none."""

from __future__ import annotations

import pytest
from journal_parts import DAY_MS, NOW, found, message, tried

from router.ids import day_at, day_of, day_start_ms, first_id
from router.search import Query
from router.store import NotFound, Store


def test_a_day_is_that_of_the_ids_time_in_utc() -> None:
    start = day_start_ms("20260131")
    assert (day_of(first_id(start)), day_of(first_id(start + DAY_MS - 1))) == ("20260131", "20260131")
    assert (day_at(start - 1), day_at(start + DAY_MS)) == ("20260130", "20260201")
    with pytest.raises(ValueError, match="year"):
        day_of("f" * 32)
    with pytest.raises(ValueError, match="invalid"):
        day_of("no id")


def test_a_list_and_its_pages_go_over_the_days_newest_first(store: Store) -> None:
    batch = [message(NOW + n * DAY_MS // 4, index={"patient": f"P{n % 2}"}) for n in range(40)]
    store.write(batch[20:], [])
    store.write(batch[:20], [])
    assert found(store) == [e.id for e in reversed(batch)]
    for query in (Query(), Query(text="P1"), Query(index={"patient": "P1"}), Query(channel="his-adt")):
        seen: list[str] = []
        cursor = ""
        while True:
            page = store.search(query, 7, cursor)
            seen += [m.id for m in page.found]
            cursor = page.next
            if not cursor:
                break
        every = batch[1::2] if query.text or query.index else batch
        assert seen == [e.id for e in reversed(every)]
    since, until = NOW + 10 * DAY_MS // 4, NOW + 20 * DAY_MS // 4
    assert found(store, since_ms=since, until_ms=until) == [e.id for e in reversed(batch[10:20])]
    assert store.search(Query(), 40).next == ""
    assert store.search(Query(), 39).next == batch[1].id


def test_an_attempt_of_days_later_is_found_with_its_message(store: Store) -> None:
    e = message(NOW, destinations=("lis", "emr"))
    store.write([e, message(NOW + 3 * DAY_MS)], [tried(e, "retry")])
    later = tried(e, at_ms=NOW + 3 * DAY_MS, attempt=900)
    dead = tried(e, "dead", destination="emr", at_ms=NOW + 3 * DAY_MS)
    store.write([], [later, dead])
    states = {d.destination: (d.state, d.attempts) for d in store.show(e.id).message.deliveries}
    assert states == {"lis": ("sent", 2), "emr": ("dead", 1)}
    assert store.tries(e.id, "lis") == (900, NOW + 5)
    assert found(store, state="dead") == [e.id]
    (cause,) = store.dead().groups
    assert (cause.count, cause.newest_ms) == (1, NOW + 3 * DAY_MS)


def test_dead_letters_and_counts_are_summed_over_the_days(store: Store) -> None:
    batch = [message(NOW + n * DAY_MS) for n in range(4)]
    store.write(batch, [tried(e, "dead", code="AR") for e in batch[:3]])
    (cause,) = store.dead().groups
    assert (cause.count, cause.oldest_ms, cause.newest_ms) == (3, NOW + 5, NOW + 2 * DAY_MS + 5)
    (lis,) = [c for c in store.counts() if c.destination]
    assert (lis.accepted, lis.dead, lis.waiting) == (4, 3, 1)
    (lis,) = [c for c in store.counts(NOW + 2 * DAY_MS) if c.destination]
    assert (lis.accepted, lis.dead, lis.waiting) == (2, 1, 1)


def test_a_replay_of_a_later_day_and_what_it_was_made_from_know_each_other(store: Store) -> None:
    old = message(NOW)
    children = [message(NOW + n * DAY_MS, parent=old.id) for n in (2, 1)]
    store.write([old, *children], [])
    assert store.show(old.id).children == (children[1].id, children[0].id)
    assert store.show(children[0].id).parents == (old.id,)


def test_an_id_of_a_day_that_is_not_there_is_not_found(store: Store) -> None:
    store.write([message()], [])
    for id in ("0" * 32, "f" * 32, f"{NOW - DAY_MS:012x}{'0' * 20}"):
        with pytest.raises(NotFound, match="JL-J005"):
            store.show(id)
        assert store.tries(id, "lis") == (0, 0)
        assert found(store, id=id) == []


def test_what_has_no_id_of_any_day_is_parked(store: Store) -> None:
    good, bad, beyond = message(), message(id="no id"), message(id="f" * 32)
    assert store.write([bad, good, beyond], [tried(bad), tried(good)]) == 3
    assert found(store) == [good.id]
