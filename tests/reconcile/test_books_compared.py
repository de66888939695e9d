"""Every class of difference is found where it was planted, and none where nothing was."""

from __future__ import annotations

from recon_parts import DAY, NOON, back, pay

from endpoints.payment.orders import Order
from router.reconcile.books import Books, Item, Sum
from router.reconcile.compare import compare
from router.reconcile.ours import of_order
from schemas.statements.row import Row, begin_ms

LATER = "2026-01-08"
MIDNIGHT = begin_ms("2026-01-06")


def found(books: Books, today: str = LATER, last: str = DAY) -> list[Item]:
    return compare(books, DAY, last, today)


def classes(books: Books, today: str = LATER, last: str = DAY) -> list[str]:
    return [one.cls for one in found(books, today, last)]


def channel(theirs: list[Row], ours: list[Row], **other: object) -> Books:
    return Books("wechat", theirs, ours, **other)  # type: ignore[arg-type]


def test_books_that_agree_have_no_difference() -> None:
    rows = [pay("A"), pay("B"), back("RA", "A")]
    assert found(channel(rows, list(reversed(rows)))) == []


def test_F70_what_the_statement_has_and_we_lack_is_long() -> None:
    (item,) = found(channel([pay("A"), pay("X", 990)], [pay("A")]))
    assert (item.cls, item.state, item.theirs_fen, item.ours_fen, item.number) == (
        "long",
        "OPEN",
        990,
        0,
        "X",
    )


def test_F71_what_we_have_and_the_statement_lacks_is_short_from_the_second_day_on() -> None:
    books = channel([], [pay("A")])
    assert found(books, "2026-01-06")[0].state == "TRANSIT"
    (item,) = found(books, "2026-01-07")
    assert (item.cls, item.state, item.ours_fen) == ("short", "OPEN", 3650)


def test_an_order_that_nobody_paid_is_expected_in_no_statement() -> None:
    assert found(channel([], [pay("A", state="FAILED")])) == []


def test_the_keys_match_whatever_the_times_and_the_order_of_lines() -> None:
    theirs = [pay("B", 100), pay("A", 100)]
    assert found(channel(theirs, [pay("A", 100, NOON + 9_000_000), pay("B", 100, NOON - 9_000_000)])) == []


def test_a_row_without_our_number_is_matched_by_the_channels() -> None:
    assert found(channel([pay("", channel_no="4200")], [pay("A", channel_no="4200")])) == []


def test_a_like_amount_at_a_like_time_is_a_suggestion_and_no_match() -> None:
    theirs, ours = pay("X", at_ms=NOON + 200_000, terminal="K1"), pay("A", terminal="K1")
    items = {one.cls: one for one in found(channel([theirs], [ours]))}
    assert items["long"].suggested == ("A",)
    assert items["short"].suggested == ("X",)
    other = pay("A", terminal="K2")
    assert all(not one.suggested for one in found(channel([theirs], [other])))


def test_another_amount_under_one_key_is_an_amount() -> None:
    (item,) = found(channel([pay("A", 3650)], [pay("A", 36500)]))
    assert (item.cls, item.fen) == ("amount", 3650 - 36500)


def test_a_bill_that_says_paid_for_what_we_closed_is_a_status() -> None:
    assert classes(channel([pay("A")], [pay("A", state="FAILED")])) == ["status"]


def test_a_refund_of_our_order_that_we_lack_is_a_status() -> None:
    assert classes(channel([pay("A"), back("RA", "A", 100)], [pay("A")])) == ["status"]


def test_two_orders_that_paid_one_bill_are_a_duplicate_payment_until_one_went_back() -> None:
    rows = [pay("A", bill="S1"), pay("B", bill="S1", at_ms=NOON + 1)]
    (item,) = found(channel(rows, rows))
    assert (item.cls, item.number) == ("duplicate-payment", "B")
    rows.append(back("RB", "B"))
    assert found(channel(rows, rows)) == []


def test_of_two_orders_that_paid_one_bill_the_one_that_was_closed_goes_back_though_it_was_paid_first() -> (
    None
):
    closed = of_order(
        Order("wechat", "A", "S1/pay", 3650, "native", NOON, "PAID_AFTER_CLOSE", "S1", 3650, NOON)
    )
    rows = [closed, pay("B", bill="S1", at_ms=NOON + 1)]
    assert [(item.cls, item.number) for item in found(channel(rows, rows))] == [("duplicate-payment", "A")]


def test_more_refunds_than_was_paid_are_a_duplicate_refund_also_of_an_older_order() -> None:
    theirs = [back("R1", "A"), back("R2", "A", at_ms=NOON + 5)]
    (item,) = found(channel(theirs, [theirs[0]], paid={"A": 3650}))
    assert (item.cls, item.number) == ("duplicate-refund", "R2")


def test_each_party_on_its_own_day_is_cross_day_and_explains_itself() -> None:
    (item,) = found(channel([pay("A", at_ms=MIDNIGHT + 3000)], [pay("A", at_ms=MIDNIGHT - 2000)]))
    assert (item.cls, item.state, item.day, item.other_day) == ("cross-day", "EXPLAINED", DAY, "2026-01-06")


def test_a_day_that_ends_at_23_makes_what_came_after_it_cross_day() -> None:
    at_ms = MIDNIGHT - 1_800_000
    assert classes(channel([pay("A", at_ms=at_ms)], [pay("A", at_ms=at_ms)], cut_h=1)) == ["cross-day"]


def test_a_refund_under_way_is_watched_and_one_that_is_done_by_now_is_none() -> None:
    theirs = back("RA", "A", state="PENDING")
    assert classes(channel([pay("A"), theirs], [pay("A"), back("RA", "A", state="PENDING")])) == [
        "refund-pending"
    ]
    assert classes(channel([pay("A"), theirs], [pay("A"), back("RA", "A")])) == []


def test_what_the_platform_before_made_is_told_apart() -> None:
    assert classes(channel([pay("HX77")], [], old="^HX")) == ["old-platform"]


def test_the_hiss_list_finds_what_was_not_posted_and_what_was_marked_by_hand() -> None:
    ours = [pay("A", bill="S1"), pay("B", bill="S2")]
    his = [pay("", bill="S1", channel_no=""), pay("", bill="S9", channel_no="", at_ms=NOON)]
    items = found(channel(ours, ours, his=his))
    assert sorted((one.cls, one.book, one.bill) for one in items) == [
        ("long", "his", "S2"),
        ("short", "his", "S9"),
    ]


def test_what_was_paid_and_went_back_whole_is_nothing_that_a_his_would_have() -> None:
    ours = [
        pay("A", bill="S1"),
        back("RA", "A", bill="S1"),
        pay("B", bill="S2"),
        back("RB", "B", 100, bill="S2"),
    ]
    items = found(channel(ours, ours, his=[pay("", bill="S9", channel_no="")]))
    assert sorted((one.cls, one.bill) for one in items) == [("long", "S2"), ("long", "S2"), ("short", "S9")]


def test_the_insurance_is_compared_part_by_part() -> None:
    centre = [Row("nhsa", "PAY", "SETL1", 9000, NOON, fund_fen=5000), Row("nhsa", "PAY", "SETL2", 100, NOON)]
    his = [Row("nhsa", "PAY", "SETL1", 9000, NOON, fund_fen=4999), Row("nhsa", "PAY", "SETL3", 100, NOON)]
    books = Books("nhsa", his=his, insurance=centre)
    items = [one for one in found(books) if one.book == "insurance"]
    assert sorted(one.cls for one in items) == ["amount", "his-only", "insurance-only"]


def test_F68_what_was_marked_done_by_hand_has_no_order_that_shows_it() -> None:
    ledger = [pay("S1/pay", bill="S1")]
    items = found(channel([], [pay("A", bill="S1", state="PENDING")], ledger=ledger))
    assert ("ledger", "short") in [(one.book, one.cls) for one in items]


def test_sums_of_deposits_boxes_invoices_fees_and_the_bank_are_compared() -> None:
    sums = [
        Sum("deposit", "P1", 100, 100),
        Sum("deposit", "P2", 100, 90),
        Sum("cash-box", "K1", 500, 500, 400),
        Sum("invoice", "S1", 0, 3650),
        Sum("fee", DAY, 22, 21),
        Sum("bank", DAY, 1, 2),
    ]
    assert sorted(classes(channel([], [], sums=sums))) == ["bank", "cash-box", "deposit", "fee", "invoice"]
