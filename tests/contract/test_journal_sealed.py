"""What may speak of a patient is sealed in the journal, and found all the same: on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from journal_parts import NOW, found, message, sql, tried

from config.crypto import KeyTrouble, SiteKeys
from router.search import Query
from router.store import Store, StoreError, open_store

MARKERS = (
    "P7777777",
    "测试甲甲",
    "ward-nine",
    "letter-body",
    "refusal-words",
    "answer-words",
    "mrn-file.hl7",
)


def written(store: Store) -> str:
    e = message(
        index={"patient": MARKERS[0], "name": MARKERS[1]},
        headers={"x-ward": MARKERS[2]},
        body=MARKERS[3].encode(),
        reason=MARKERS[4],
        source=f"file {MARKERS[6]}",
    )
    store.write([e], [tried(e, "dead", reason=MARKERS[4], answer=MARKERS[5].encode())])
    assert store.write_bodies([b"\xc1 no envelope: " + MARKERS[3].encode()]) == 1
    return e.id


def everything(journal_url: str) -> bytes:
    """All that the database holds, as whoever copies it sees it."""
    if journal_url.startswith("sqlite"):
        folder = Path(journal_url.removeprefix("sqlite:///")).parent
        return b"".join(path.read_bytes() for path in folder.rglob("*.db*"))
    with psycopg.connect(journal_url) as connection:
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)
        ).fetchall()
        rows = [str(connection.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in names]
    return "\n".join(rows).encode()


def test_a_copy_of_the_database_shows_nothing_of_a_patient(journal_url: str, store: Store) -> None:
    id = written(store)
    copied = everything(journal_url)
    assert id.encode() in copied
    for marker in MARKERS:
        assert marker.encode() not in copied
        assert repr(marker.encode())[2:-1].encode() not in copied
    assert found(store, index={"patient": MARKERS[0]}) == found(store, text=MARKERS[1]) == [id]
    story = store.show(id)
    assert (story.body, story.headers) == (MARKERS[3].encode(), {"x-ward": MARKERS[2]})
    assert story.message.reason == story.message.deliveries[0].reason == MARKERS[4]
    assert story.tries[0].answer == MARKERS[5].encode()


def test_another_sites_key_opens_nothing_and_writes_nothing(journal_url: str, store: Store) -> None:
    id = written(store)
    stranger = open_store(journal_url, SiteKeys(b"x" * 16))
    for act in (
        stranger.check,
        lambda: stranger.show(id),
        lambda: found(stranger),
        lambda: stranger.write([message()], []),
        lambda: stranger.write([message(NOW + 86_400_000 * 3, body=b"new day")], []),
    ):
        with pytest.raises(StoreError, match=r"JL-J012.*key"):
            act()
    stranger.close()
    assert found(store) == [id]


def test_a_new_site_key_reads_what_the_old_one_sealed(journal_url: str, store: Store) -> None:
    id = written(store)
    later = open_store(journal_url, SiteKeys(b"n" * 16, older=[bytes(16)]))
    later.check()
    new = message(NOW + 86_400_000, index={"patient": MARKERS[0]})
    later.write([new], [])
    assert found(later, text=MARKERS[0]) == [new.id, id]
    assert later.show(id).body == MARKERS[3].encode()
    later.close()
    with pytest.raises(StoreError, match="JL-J012"):
        store.check()


def test_the_same_value_has_another_tag_each_day(journal_url: str, store: Store) -> None:
    store.write([message(NOW + n * 86_400_000, index={"patient": "P1"}) for n in range(3)], [])
    tags = {sql(journal_url, "SELECT tag FROM message_index_DAY", NOW + n * 86_400_000)[0] for n in range(3)}
    assert len(tags) == 3
    assert len(found(store, text="P1")) == 3


def test_a_row_that_was_changed_says_so_in_its_line_and_hides_no_other(
    journal_url: str, store: Store
) -> None:
    batch = [message(reason=f"r{n}") for n in range(3)]
    store.write(batch, [])
    sql(journal_url, f"UPDATE message_DAY SET sealed = body_tag WHERE id = '{batch[1].id}'")
    reasons = [line.reason for line in store.search(Query()).found]
    assert (reasons[0], reasons[2]) == ("r2", "r0")
    assert "log verify" in reasons[1]
    other = f"(SELECT sealed FROM body_DAY WHERE id = '{batch[2].id}')"
    sql(journal_url, f"UPDATE body_DAY SET sealed = {other} WHERE id = '{batch[0].id}'", part="bodies")
    with pytest.raises(KeyTrouble, match="JL-K002"):
        store.show(batch[0].id)
