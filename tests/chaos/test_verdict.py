"""The verdict finds what was planted, and excuses only what it may."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from verdict import IN_FLIGHT_S, Copy, Number, Sent, Verdict, Window, judge

CUT = Window("kill", begin=10.0, end=12.0, cuts=True)


def n(number: int, key: str = "K1") -> Number:
    return Number("adt", key, number)


def sent(number: int, *codes: str, key: str = "K1") -> Sent:
    return Sent(n(number, key), ("adt.lis",), list(codes or ("AA",)))


def came(number: int, at: float = 1.0, yes: bool = True, id: str = "") -> Copy:
    return Copy(n(number), at, yes, id)


def verdict(
    book: Sequence[Sent], *copies: Copy, known: bool = False, windows: Sequence[Window] = ()
) -> Verdict:
    return judge(book, {"adt.lis": copies}, windows, ordered={"adt"}, known={"adt"} if known else ())


def test_what_came_once_and_in_order_is_well() -> None:
    found = verdict([sent(1), sent(2)], came(1), came(2))
    assert (found.broken, found.accepted, found.doubled) == ([], 2, 0)


def test_a_planted_loss_is_named() -> None:
    assert verdict([sent(1), sent(2), sent(3)], came(1), came(3)).lost == ["adt.lis K1 2: lost"]


def test_a_copy_that_the_receiver_did_not_take_is_no_delivery() -> None:
    assert verdict([sent(1)], came(1, yes=False)).lost == ["adt.lis K1 1: lost"]


def test_a_message_whose_sender_heard_no_yes_may_be_missing() -> None:
    assert verdict([sent(1, "AE")]).broken == []


def test_a_message_is_missed_at_each_destination_that_it_goes_to_and_at_no_other() -> None:
    both = Sent(n(1), ("adt.lis", "adt.emr"), ["AA"])
    found = judge([both], {"adt.lis": [came(1)], "adt.emr": [], "adt.bill": []}, [])
    assert found.lost == ["adt.emr K1 1: lost"]


def test_a_planted_inversion_is_named() -> None:
    found = verdict([sent(1), sent(2), sent(3)], came(1), came(3), came(2))
    assert found.inverted == ["adt.lis K1 2: after 3"]
    assert found.broken == found.inverted


def test_keys_do_not_wait_for_each_other() -> None:
    copies = [came(2), Copy(n(1, "K2"), 2.0, True), came(3), Copy(n(2, "K2"), 3.0, True)]
    assert verdict([sent(2), sent(3), sent(1, key="K2"), sent(2, key="K2")], *copies).broken == []


def test_without_an_order_there_is_no_inversion() -> None:
    assert judge([sent(1), sent(2)], {"adt.lis": [came(2), came(1)]}, []).broken == []


def test_a_later_copy_of_what_came_before_is_a_double_and_no_inversion() -> None:
    found = verdict([sent(1), sent(2)], came(1, 9), came(2, 9), came(1, 13), came(2, 13), windows=[CUT])
    assert (found.broken, found.doubled) == ([], 2)


def test_the_order_is_that_of_the_copies_which_the_receiver_took() -> None:
    found = verdict([sent(1), sent(2)], came(1, yes=False), came(2), came(1))
    assert found.inverted == ["adt.lis K1 1: after 2"]


def test_an_unexplained_copy_is_named() -> None:
    assert verdict([sent(1)], came(1, 1), came(1, 2)).unexplained == ["adt.lis K1 1: 1 copies unexplained"]


@pytest.mark.parametrize(
    ("first", "second", "excused"),
    [
        (10 - IN_FLIGHT_S + 0.1, 13, True),
        (11, 30, True),
        (10 - IN_FLIGHT_S - 0.1, 13, False),  # its record was durable long before
        (9, 9.5, False),  # both before the fault
        (12.1, 13, False),  # both after it
    ],
)
def test_a_fault_excuses_only_what_was_in_flight(first: float, second: float, excused: bool) -> None:
    found = verdict([sent(1)], came(1, first), came(1, second), windows=[CUT])
    assert bool(found.unexplained) is not excused
    assert found.in_flight_s == (max(0.0, 10 - first) if excused else 0.0)


def test_a_fault_that_cuts_no_delivery_excuses_none() -> None:
    quiet = Window("database", 10.0, 12.0, cuts=False)
    assert verdict([sent(1)], came(1, 11), came(1, 13), windows=[quiet]).unexplained


def test_a_copy_after_one_that_the_receiver_did_not_take_is_wanted() -> None:
    assert verdict([sent(1)], came(1, 1, yes=False), came(1, 2)).broken == []


def test_a_yes_that_came_late_was_perhaps_not_heard() -> None:
    assert verdict([sent(1)], Copy(n(1), 1.0, True, late=True), came(1, 4)).broken == []


@pytest.mark.parametrize("ids", [("", ""), ("a", "b")])
def test_a_message_that_was_sent_again_for_want_of_a_yes_may_come_twice(ids: tuple[str, str]) -> None:
    first, second = (came(1, at, id=id) for at, id in enumerate(ids))
    assert verdict([sent(1, "", "AA")], first, second).broken == []
    assert verdict([sent(1, "AA")], first, second).unexplained


def test_three_messages_of_two_sendings_are_one_too_many() -> None:
    copies = [came(1, id=id) for id in "abc"]
    assert verdict([sent(1, "", "AA")], *copies).unexplained == ["adt.lis K1 1: 1 copies unexplained"]


def test_a_second_sending_does_not_excuse_a_second_copy_under_the_same_id() -> None:
    assert verdict([sent(1, "", "AA")], came(1, 1, id="a"), came(1, 2, id="a")).unexplained


def test_a_resend_after_a_yes_makes_no_message_where_duplicates_are_known() -> None:
    copies = [came(1, id="a"), came(1, id="b")]
    assert verdict([sent(1, "AA", "AA")], *copies).broken == []
    assert verdict([sent(1, "AA", "AA")], *copies, known=True).unexplained
    assert verdict([sent(1, "", "AA", "AA")], *copies, known=True).broken == []


def test_what_was_never_sent_is_a_stranger() -> None:
    assert verdict([sent(1)], came(1), came(7)).strangers == ["adt.lis K1 7: never sent there"]
