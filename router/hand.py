"""What a collecting destination has in hand: messages in the order they came, and the groups that they form.

A group is full with `count` messages, before it would be larger than it may, and with the first message of its key that
came after its time. So who finds hours of messages in the queue forms the same groups as who was there all the time.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from msgspec import Struct

from channels.collecting import Collect
from router.brokers.base import Delivered
from router.envelope import Envelope
from router.groups import Known
from router.ids import child_id
from schemas.message import Message

MAX_BYTES = 64_000_000  # of all that is in hand
_MANY = 10_000  # messages in hand, where there may be many keys at once


class Item(Struct, frozen=True):
    """A message that waits for its group: as it came, and what is gathered of it."""

    envelope: Envelope
    delivered: Delivered
    made: Message
    key: str = ""
    said: str = ""  # what is to be noted of it


class Group(Struct):
    """Messages of one key. `known`: it was formed before, by us or by another, and goes as it was."""

    items: list[Item]
    bytes: int = 0
    due_ms: float = float("inf")
    full: bool = False
    known: Known | None = None

    @property
    def first(self) -> Item:
        return self.items[0]

    @property
    def ids(self) -> list[str]:
        return [item.envelope.id for item in self.items]


class Hand:
    """Groups that form; `ready` takes those that can go."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect
        self._within_ms = float("inf") if collect.within_s is None else collect.within_s * 1000
        # One group that forms, and as many messages of those that were formed before.
        self.most = max(2 * collect.count, 0 if collect.by is None else _MANY)
        self._forming: dict[str, Group] = {}  # by key, the eldest first
        self._known: dict[str, Group] = {}  # by id
        self._full: deque[Group] = deque()
        self._ids: dict[str, Delivered] = {}
        self._bytes = 0
        self._latest_ms = 0  # the queue was read up to what came then

    @property
    def count(self) -> int:
        """Messages in hand."""
        return len(self._ids)

    def add(self, item: Item) -> None:
        """The next message of the queue."""
        self._latest_ms = max(self._latest_ms, item.envelope.received_ms)
        group = self._forming.get(item.key)
        if group is not None and not self._fits(group, item):
            self._filled(item.key)
            group = None
        if group is None:
            group = self._forming[item.key] = Group([], due_ms=item.envelope.received_ms + self._within_ms)
        self._put(group, item)
        if len(group.items) >= self._collect.count:
            self._filled(item.key)
        while self.due_ms <= self._latest_ms:  # what comes now came after their time
            self.close_eldest()

    def add_known(self, known: Known, item: Item) -> None:
        """One of a group that was formed before."""
        group = self._known.setdefault(known.id, Group([], known=known))
        self._put(group, item)
        if len(group.items) == len(known.items):
            del self._known[known.id]
            self._full.append(group)

    def find(self, id: str) -> Delivered | None:
        """That message as it came, where it is in hand."""
        return self._ids.get(id)

    @property
    def due_ms(self) -> float:
        """When the next group's time is over. Keys that came one after the other are due so too."""
        return next((group.due_ms for group in self._forming.values()), float("inf"))

    @property
    def exhausted(self) -> bool:
        """Whether no more can be in hand."""
        return self.count >= self.most or self._bytes >= MAX_BYTES

    @property
    def crowded(self) -> bool:
        """Whether the eldest group goes before its time, so that more can come."""
        return self.exhausted and bool(self._forming)

    def close_due(self, now_ms: float) -> None:
        """Those whose time is over, once the queue holds nothing more of theirs."""
        while self._forming and self.due_ms <= now_ms:
            self.close_eldest()

    def close_eldest(self) -> None:
        for key in list(islice(self._forming, 1)):
            self._filled(key)

    def broken(self) -> list[Known]:
        """Groups that were formed before, and of which not all has come."""
        return [group.known for group in self._known.values() if group.known is not None]

    def full(self, most: int) -> list[Group]:
        """Takes up to so many of the groups that can go, the first that became full first."""
        taken: list[Group] = []
        while self._full and len(taken) < most:
            group = self._full.popleft()
            for id in group.ids:
                del self._ids[id]
            self._bytes -= group.bytes
            taken.append(group)
        return taken

    def _fits(self, group: Group, item: Item) -> bool:
        fits = group.bytes + len(item.made.body) <= self._collect.max_bytes
        return fits and item.envelope.received_ms < group.due_ms

    def _put(self, group: Group, item: Item) -> None:
        group.items.append(item)
        group.bytes += len(item.made.body)
        self._bytes += len(item.made.body)
        self._ids[item.envelope.id] = item.delivered

    def _filled(self, key: str) -> None:
        self._full.append(self._forming.pop(key))


def id_of(group: Group, way: str) -> str:
    """The id of the message that is made of a group: it follows from what is in it."""
    return child_id(group.first.envelope.id, f"{way} {' '.join(group.ids)}")
