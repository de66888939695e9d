"""What the journal finds and shows: on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from journal_parts import NOW, found, message, tried

from router.search import BadQuery, Query
from router.store import NotFound, Store


def test_a_message_is_found_by_its_id_and_by_the_first_digits_of_it(store: Store) -> None:
    first, second = message(NOW), message(NOW + 1000)
    store.write([first, second], [])
    assert found(store, id=first.id) == found(store, text=first.id) == [first.id]
    assert found(store, text=first.id[:11]) == found(store, id=first.id[:11].upper()) == [first.id]
    assert store.show(first.id[:12]).message.id == first.id
    with pytest.raises(NotFound, match="several"):
        store.show(first.id[:4])
    with pytest.raises(NotFound, match="no message"):
        store.show("f" * 32)
    with pytest.raises(BadQuery):
        store.show("%")


def test_a_message_is_found_by_its_searchable_values(store: Store) -> None:
    a = message(index={"patient": "P100", "name": "测试甲"})
    b = message(index={"patient": "P101", "visit": "P100"})
    c = message(index={"patient": "P%_", "name": "测试乙"})
    store.write([a, b, c], [])
    assert found(store, index={"patient": "P100"}) == [a.id]
    assert found(store, text="P100") == [b.id, a.id], "one box looks at every value"
    assert found(store, index={"patient": "P100", "name": "测试甲"}) == [a.id]
    assert found(store, index={"patient": "P100", "name": "测试乙"}) == []
    assert found(store, index={"visit": "P100"}) == [b.id]
    assert found(store, text="P%_") == [c.id]
    assert found(store, text="p100") == found(store, text="P10") == []
    with pytest.raises(BadQuery):
        Query(index={"patient": "*"})
    with pytest.raises(BadQuery):
        Query(text="*")


def test_of_an_encrypted_value_no_beginning_can_be_searched_and_the_answer_says_so() -> None:
    for asked in ({"text": "P10*"}, {"index": {"patient": "P10*"}}):
        with pytest.raises(BadQuery, match=r"JL-J014.*whole"):
            Query(**asked)  # type: ignore[arg-type]


def test_a_message_is_found_by_channel_time_kind_and_destination(store: Store) -> None:
    a = message(NOW, destinations=("lis", "lis2"))
    b = message(NOW + 1000, channel="lis-oru", kind="ORU^R01", destinations=("lis2",))
    c = message(NOW + 2000, kind="ADT^A03", destinations=(), filtered=("lis",), state="filtered")
    store.write([a, b, c], [])
    assert found(store) == [c.id, b.id, a.id]
    assert found(store, channel="his-adt") == [c.id, a.id]
    assert found(store, since_ms=NOW + 1000, until_ms=NOW + 2000) == [b.id]
    assert found(store, kind="ADT^A01") == [a.id]
    assert found(store, kind="ADT*") == [c.id, a.id]
    assert found(store, destination="lis") == [a.id]
    assert found(store, destination="lis2") == [b.id, a.id]
    assert found(store, state="filtered", destination="lis") == [c.id]
    assert found(store, destination="l%") == []


def test_a_message_is_found_by_the_state_of_its_deliveries(store: Store) -> None:
    sent, retrying, dead, waiting, refused = (message(NOW + n, destinations=("lis", "emr")) for n in range(5))
    refused = message(NOW + 9, destinations=(), state="refused", code="JL-M001", reason="no MSH")
    both = [tried(sent), tried(sent, destination="emr")]
    again = [tried(retrying, "retry"), tried(retrying, destination="emr")]
    gone = [tried(dead, "retry"), tried(dead, "dead", attempt=2, code="AR"), tried(dead, destination="emr")]
    store.write([sent, retrying, dead, waiting, refused], both + again + gone)
    assert found(store, state="sent") == [dead.id, retrying.id, sent.id]
    assert found(store, state="sent", destination="lis") == [sent.id]
    assert (
        found(store, state="retrying") == found(store, state="retrying", destination="lis") == [retrying.id]
    )
    assert found(store, state="dead") == found(store, state="dead", destination="lis") == [dead.id]
    assert found(store, state="dead", destination="emr") == []
    assert found(store, state="waiting") == [waiting.id, retrying.id]
    assert found(store, state="waiting", destination="emr") == [waiting.id]
    assert found(store, state="refused") == found(store, code="JL-M001") == [refused.id]
    assert found(store, code="AR") == [dead.id]
    assert found(store, state="accepted") == [waiting.id, dead.id, retrying.id, sent.id]
    states = {d.destination: d.state for d in store.show(dead.id).message.deliveries}
    assert states == {"lis": "dead", "emr": "sent"}
    with pytest.raises(BadQuery, match="gone"):
        Query(state="gone")  # type: ignore[arg-type]


def test_pages_follow_each_other_without_a_gap_or_a_double(store: Store) -> None:
    batch = [message(index={"patient": "P1" if n % 2 else "P2"}) for n in range(95)]
    store.write(batch, [])
    for query in (Query(), Query(text="P1"), Query(kind="ADT*"), Query(channel="his-adt")):
        seen: list[str] = []
        cursor = ""
        while True:
            page = store.search(query, 10, cursor)
            seen += [m.id for m in page.found]
            cursor = page.next
            if not cursor:
                break
        every = [e.id for e in reversed(batch) if query.text in ("", e.index["patient"])]
        assert seen == every


def test_a_message_tells_its_whole_way(store: Store) -> None:
    old = message(NOW, headers={"path": "/v1"}, charset="GB18030")
    child = message(NOW + 1, parent=old.id)
    grandchild = message(NOW + 2, parent=child.id)
    store.write([old, child, grandchild], [tried(old, "retry", at_ms=1), tried(old, attempt=2, at_ms=2)])
    story = store.show(old.id)
    assert [(t.attempt, t.outcome) for t in story.tries] == [(1, "retry"), (2, "sent")]
    assert (story.message.deliveries[0].state, story.message.deliveries[0].attempts) == ("sent", 2)
    assert (story.headers, story.charset, story.body) == ({"path": "/v1"}, "GB18030", old.body)
    assert story.children == (child.id,)
    assert store.show(grandchild.id).parents == (child.id, old.id)


def test_dead_letters_are_counted_by_channel_destination_and_cause(store: Store) -> None:
    batch = [message(NOW + n) for n in range(6)]
    causes = ["AR", "AR", "AR", "JL-E001", "JL-E001"]
    tries = [tried(e, "dead", code=code) for e, code in zip(batch, causes, strict=False)]
    other = message(channel="lis-oru", destinations=("emr",))
    store.write(
        [*batch, other],
        [*tries, tried(batch[5], "retry"), tried(other, "dead", destination="emr", code="422")],
    )
    groups = [(g.channel, g.destination, g.code, g.count) for g in store.dead().groups]
    assert groups == [
        ("his-adt", "lis", "AR", 3),
        ("his-adt", "lis", "JL-E001", 2),
        ("lis-oru", "emr", "422", 1),
    ]
    assert (store.dead().groups[0].oldest_ms, store.dead().groups[0].newest_ms) == (NOW + 5, NOW + 7)
    assert [g.code for g in store.dead(channel="lis-oru").groups] == ["422"]
    assert [g.code for g in store.dead(destination="lis").groups] == ["AR", "JL-E001"]


def test_a_dead_letter_that_got_through_after_all_counts_as_delivered_only(store: Store) -> None:
    """A crash between record and acknowledgement brings the work back: the same try may end differently."""
    e = message()
    store.write([e], [tried(e, "dead")])
    store.write([], [tried(e, "sent")])
    assert store.show(e.id).message.deliveries[0].state == "sent"
    assert store.dead().groups == ()
    assert found(store, state="dead") == []
    (line,) = [c for c in store.counts() if c.destination]
    assert (line.accepted, line.delivered, line.dead, line.waiting) == (1, 1, 0, 0)


def test_what_was_accepted_is_delivered_dead_or_waiting(store: Store) -> None:
    batch = [message(NOW + n, destinations=("lis", "emr"), filtered=("his",)) for n in range(10)]
    aside = [
        message(NOW, destinations=(), filtered=("lis", "emr", "his"), state="filtered") for _ in range(3)
    ]
    refused = [message(NOW, destinations=(), state="refused") for _ in range(2)]
    earlier = message(NOW - 1)
    tries = (
        [tried(e) for e in batch[:6]] + [tried(e, "dead") for e in batch[6:8]] + [tried(batch[8], "retry")]
    )
    tries += [tried(e, attempt=2) for e in batch[:3]]  # sent again after a crash: delivered once
    store.write([*batch, *aside, *refused, earlier], [*tries, tried(earlier)])
    lines = {c.destination: c for c in store.counts(NOW)}
    assert (lines[""].accepted, lines[""].filtered, lines[""].refused) == (10, 3, 2)
    lis, emr, his = lines["lis"], lines["emr"], lines["his"]
    assert (lis.accepted, lis.delivered, lis.dead, lis.waiting, lis.filtered) == (10, 6, 2, 2, 3)
    assert (emr.accepted, emr.delivered, emr.dead, emr.waiting, emr.filtered) == (10, 0, 0, 10, 3)
    assert (his.accepted, his.waiting, his.filtered) == (0, 0, 13)
