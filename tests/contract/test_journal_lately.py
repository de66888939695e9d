"""What the journal knows of lately: when a channel's latest message came, and how many deliveries died."""

from __future__ import annotations

from journal_parts import DAY_MS, NOW, message, tried

from router.store import Store

HOUR_MS = 3_600_000


def test_the_latest_message_of_each_channel_is_one_that_was_not_refused(store: Store) -> None:
    came = [
        message(NOW - 2 * DAY_MS, channel="old"),
        message(NOW - DAY_MS, channel="adt"),
        message(NOW - 5_000, channel="adt", destinations=(), state="filtered"),
        message(NOW - 1_000, channel="adt", destinations=(), state="refused"),
        message(NOW, channel="other"),
    ]
    store.write(came, ())
    asked = dict.fromkeys(("adt", "old", "never"), NOW - HOUR_MS)
    assert store.latest(asked) == {"adt": NOW - 5_000, "old": 0, "never": 0}
    assert store.latest({"old": NOW - 3 * DAY_MS}) == {"old": NOW - 2 * DAY_MS}
    assert store.latest({}) == {}


def test_deliveries_that_died_lately_are_counted_whenever_their_message_came(store: Store) -> None:
    old, new, saved = (message(at_ms, channel="adt") for at_ms in (NOW - 2 * DAY_MS, NOW, NOW))
    dead = [
        tried(one, "dead", destination="lis", at_ms=at_ms)
        for one, at_ms in ((old, NOW), (new, NOW), (saved, NOW), (message(NOW), NOW - 2 * HOUR_MS))
    ]
    again = tried(new, "dead", destination="lis", at_ms=NOW, attempt=2)
    good = tried(saved, "sent", destination="lis", at_ms=NOW, attempt=2)
    store.write([old, new, saved], [*dead, again, good])
    assert store.died(NOW - HOUR_MS, NOW - 3 * DAY_MS) == {("adt", "lis"): 2}
    assert store.died(NOW - HOUR_MS, NOW - DAY_MS) == {("adt", "lis"): 1}
    assert store.died(NOW + 1, NOW - 3 * DAY_MS) == {}
