"""What a collecting destination has in hand: when a group is full, and which messages are in it."""

from __future__ import annotations

from typing import Any

from channels.collecting import Collect
from router.brokers.base import Delivered
from router.envelope import Envelope
from router.groups import Known
from router.hand import Hand, Item, id_of
from schemas.json import Json
from schemas.message import Message

FORMAT = Json()


def collect(count: int = 10_000, within_s: float | None = None, max_bytes: int = 1000) -> Collect:
    return Collect(count, within_s, max_bytes, FORMAT, FORMAT.gathers(""), "$.k", lambda tree, message: "x")


def item(number: int, key: str = "A", at_ms: int = 0, size: int = 1) -> Item:
    id = f"{number:032x}"
    envelope = Envelope(id, "c", at_ms, "", "json", "", "", b"", {}, {}, ("d",))
    return Item(envelope, Delivered("q", b"", None), Message(b"x" * size, id=id), key)


def full(hand: Hand, most: int = 100) -> list[list[int]]:
    return [[int(id, 16) for id in group.ids] for group in hand.full(most)]


def test_a_group_is_full_with_its_count_and_other_keys_stay() -> None:
    hand = Hand(collect(count=2))
    for number, key in enumerate("ABAB"):
        hand.add(item(number, key))
    hand.add(item(4, "A"))
    assert full(hand, 1) == [[0, 2]]
    assert full(hand) == [[1, 3]]
    assert (full(hand), hand.count) == ([], 1)


def test_what_came_after_the_time_of_the_first_begins_another_group() -> None:
    hand = Hand(collect(within_s=1))
    for number, at_ms in enumerate((0, 999, 1000, 2500)):
        hand.add(item(number, at_ms=at_ms))
    assert full(hand) == [[0, 1], [2]], "found hours later they are the same groups"
    assert hand.due_ms == 3500


def test_a_message_of_any_key_shows_that_the_time_of_the_others_is_over() -> None:
    hand = Hand(collect(within_s=1))
    hand.add(item(0, "A", 0))
    hand.add(item(1, "B", 500))
    hand.add(item(2, "C", 1200))
    assert full(hand) == [[0]]
    hand.close_due(1500)
    assert full(hand) == [[1]]


def test_a_group_goes_before_it_would_be_too_large_and_a_large_one_goes_alone() -> None:
    hand = Hand(collect(max_bytes=10))
    for number, size in enumerate((6, 4, 1, 50, 1)):
        hand.add(item(number, size=size))
    hand.close_due(float("inf"))
    assert full(hand) == [[0, 1], [2], [3], [4]]


def test_a_group_that_was_formed_before_waits_for_all_of_it_and_takes_nothing_else() -> None:
    hand, known = Hand(collect(count=2)), Known("g", frozenset((b"1", b"2")))
    hand.add_known(known, item(1))
    hand.add(item(7))
    assert (full(hand), hand.broken()) == ([], [known])
    hand.add_known(known, item(2))
    assert (full(hand), hand.broken()) == ([[1, 2]], [])
    assert hand.find(f"{7:032x}") is not None
    assert hand.find(f"{1:032x}") is None


def test_what_is_left_of_a_group_of_before_makes_no_group_smaller() -> None:
    plain = Collect(3, None, 1000, FORMAT, FORMAT.gathers(""))
    hand, known = Hand(plain), Known("g", frozenset((b"1", b"2", b"3")))
    for number in (1, 2):
        hand.add_known(known, item(number))
    for number in range(10, 13):
        assert not hand.crowded
        hand.add(item(number))
    assert full(hand) == [[10, 11, 12]]


def test_the_id_follows_from_what_is_in_a_group_and_from_where_it_goes() -> None:
    def made(*numbers: int) -> Any:
        hand = Hand(collect())
        for number in numbers:
            hand.add(item(number))
        hand.close_due(float("inf"))
        return hand.full(1)[0]

    ids = {id_of(made(1, 2), "a.b c"), id_of(made(1, 2, 3), "a.b c"), id_of(made(1, 2), "a.d c")}
    assert len(ids) == 3
    assert id_of(made(1, 2), "a.b c") in ids
