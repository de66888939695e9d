"""Conservation, from the journal: accepted = delivered + dead + waiting, and at the end nobody waits or is dead.

One thing is excused: a publish to several queues that RabbitMQ, or its connection, died in. The journal may have heard
of it and a destination not, or a destination and the journal not; its sender heard no yes, and sent the message again.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from peers import number_of
from processes import JOURNAL_KEY
from verdict import Copy, Number, Sent

from config.crypto import SiteKeys, key_bytes
from router.search import Count, Query
from router.store import Store, StoreError, open_store

KEYS = SiteKeys(key_bytes(JOURNAL_KEY))


def wait_for_balance(
    database: str, book: Sequence[Sent], copies: Mapping[str, Sequence[Copy]], within_s: float
) -> None:
    """Until all adds up, at most so long: the journal may lag behind, or wait for its database. Blocks."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with contextlib.suppress(StoreError):  # none yet, or not now
            if not unbalanced(database, book, copies):
                return
        time.sleep(0.5)


def unbalanced(database: str, book: Sequence[Sent], copies: Mapping[str, Sequence[Copy]]) -> list[str]:
    """What does not add up, a line each. Blocks."""
    store = open_store(database, KEYS)
    try:
        return list(_unbalanced(store, {sent.of: sent for sent in book}, copies))
    finally:
        store.close()


def _unbalanced(
    store: Store, book: Mapping[Number, Sent], copies: Mapping[str, Sequence[Copy]]
) -> Iterator[str]:
    yield from (f"journal: {odd}" for odd in store.verify())  # no fault of a process or a wire is tampering
    counts = {(count.channel, count.destination): count for count in store.counts()}
    for channel in {of.channel for of in book}:
        yield from _channel(counts.get((channel, ""), Count(channel, "")), book)
    for name, came in copies.items():
        channel, _, destination = name.partition(".")
        count = counts.get((channel, destination), Count(channel, destination))
        halves = _halves(store, count, book)
        if (
            count.accepted != count.delivered + count.dead + count.waiting
            or count.waiting != halves
            or count.dead
        ):
            yield f"journal: {count}, of which {halves} are halves of a publish"
        took = {copy.id: copy.of for copy in came if copy.yes and copy.id}
        if took and count.delivered != len(took) - _unheard(store, count, took, book):
            yield f"journal: {name} delivered {count.delivered}, the receiver took {len(took)}"


def _channel(count: Count, book: Mapping[Number, Sent]) -> Iterator[str]:
    """The journal has at least what senders were told yes for, and at most what they sent."""
    of = [sent for sent in book.values() if sent.of.channel == count.channel]
    least = Counter(bool(sent.goes_to) for sent in of if sent.accepted)
    most = Counter(bool(sent.goes_to) for sent in of for _ in sent.codes)
    for state, goes, have in (("accepted", True, count.accepted), ("filtered", False, count.filtered)):
        if not least[goes] <= have <= most[goes]:
            yield f"journal: {count.channel} {state} {have}, by the senders {least[goes]} to {most[goes]}"
    if count.refused:
        yield f"journal: {count.channel} refused {count.refused}"


def _unheard(store: Store, count: Count, took: Mapping[str, Number], book: Mapping[Number, Sent]) -> int:
    """Of what a receiver took, the halves of a publish that the journal has not heard of."""
    if count.delivered == len(took):
        return 0
    again = (id for id, of in took.items() if of in book and book[of].messages(known=True) > 1)
    return sum(not store.search(Query(text=id)).found for id in again)


def _halves(store: Store, count: Count, book: Mapping[Number, Sent]) -> int:
    """Of what waits, what can only be the half of a publish: its sender sent it again for want of a yes."""
    if not count.waiting:
        return 0
    query = Query(channel=count.channel, destination=count.destination, state="waiting")
    found = store.search(query, 1000).found
    numbers = [number_of(each.index["number"]) for each in found]  # a large body lies elsewhere
    return sum(1 for number in numbers if number in book and book[number].messages(known=True) > 1)
