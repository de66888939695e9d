"""Faults while a settlement waits for the payer: money that comes in the last second, after it, or goes back first."""

from __future__ import annotations

import asyncio

import pytest

from router.settlement.book import Settlement
from router.settlement.posting import journals
from router.settlement.progress import Progress, progress_of
from router.settlement.rows import Decision, Notice, Place
from tests.settlement.paying import PAYING, PayingWorld
from tests.settlement.simulated import EFFECTS, INFO

PAID = Place("paid")
REFUND_NOTICE = Notice(PAID, 1_000_000, "OK", {"refund": "16.10"}, "undo")


def played(world: PayingWorld) -> Settlement:
    return asyncio.run(world.play())


def complete(world: PayingWorld, ended: Settlement) -> bool:
    """One effect of each, the money kept, and in the books where it belongs."""
    assert (ended.state, ended.text) == ("COMPLETED", "")
    assert [world.live(key) for key in EFFECTS] == [1] * len(EFFECTS)
    assert (world.till.holds, world.lied) == (True, [])
    assert world.book.balance("clearing:wechat") == 1610
    return bool(world.book.balance("transit:S1") == 0)


def nothing(world: PayingWorld, ended: Settlement) -> bool:
    """No effect and no money is left anywhere."""
    assert ended.state == "COMPENSATED"
    assert [key for key in EFFECTS if world.live(key)] == []
    assert (world.till.holds, world.lied) == (False, [])
    accounts = {entry.account for one in world.book.journals.values() for entry in one.entries}
    return {world.book.balance(account) for account in accounts} <= {0}


def test_a_payment_that_is_found_by_asking_is_in_the_ledger() -> None:
    world = PayingWorld(1)
    ended = played(world)
    assert complete(world, ended)
    assert next(one.id for one in journals(world.definition, ended.rows)) == "S1/paid/done"


def test_what_is_asked_about_a_payment_names_its_order() -> None:
    world = PayingWorld(1, refuses="settle")
    assert nothing(world, played(world))
    asked = dict(world.bodies)
    assert asked["probe payment.paid"] == asked["undo payment.refund"] == {"order": "pay"}


def test_f17_nobody_pays_and_the_order_is_closed_before_all_is_undone() -> None:
    world = PayingWorld(1, pays_ms=None)
    ended = played(world)
    assert nothing(world, ended)
    assert world.till.closed
    assert ended.rows.decisions[-1].who == "deadline"
    assert world.asked.index("reverse payment.close") < world.asked.index("undo insurance.2205")


def test_f18_a_payment_in_the_second_of_the_deadline_is_settled() -> None:
    world = PayingWorld(1, pays_ms=5 * 60_000)
    world.script = {
        "probe payment.paid": ["PROCESSING"] * 12
    }  # the query shows it a moment later than the close
    ended = played(world)
    assert complete(world, ended)
    assert "reverse payment.close" in world.asked
    assert not world.till.closed


def test_f18_a_close_that_is_not_answered_is_repeated_and_then_a_person_looks() -> None:
    world = PayingWorld(1, pays_ms=None)
    world.script = {"reverse payment.close": ["silence"] * 4}
    assert nothing(world, played(world))
    silent = PayingWorld(1, pays_ms=None)
    silent.script = {"reverse payment.close": ["silence"] * 99}
    ended = played(silent)
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T005")
    assert silent.asked.count("reverse payment.close") == 10


def test_f19_money_that_comes_while_it_goes_back_is_given_back_under_one_number() -> None:
    world = PayingWorld(
        1, pays_ms=5 * 60_000 + 4_000, stubborn=True, notices_ms=(10, 20, 30), refund_ms=9_000
    )
    world.script = {"undo insurance.2205": ["unsent", "unsent", "unsent"]}  # it takes its time
    ended = played(world)
    assert world.till.closed
    assert nothing(world, ended)
    assert len(world.till.refunds) == 1


def test_f19_money_that_comes_after_the_end_is_told_as_such_and_nothing_is_done_twice() -> None:
    world = PayingWorld(1, pays_ms=None)
    ended = played(world)
    assert nothing(world, ended)
    asked = list(world.asked)
    late = asyncio.run(world.book.tell("S1", Notice(PAID, world.now, "OK", {"paid": "16.10"})))
    assert late == "COMPENSATED"
    assert played(world).rows.notices[-1].late
    assert world.asked == asked


def test_f20_notices_of_a_payment_in_any_number_pay_once() -> None:
    world = PayingWorld(1, notices_ms=(1,) * 15)
    ended = played(world)
    assert complete(world, ended)
    assert world.asked.count("do insurance.2207") == 1


def test_a_refusal_that_comes_after_the_payment_takes_nothing_back() -> None:
    said = [
        Notice(PAID, at, outcome) for at, outcome in enumerate(("PROCESSING", "REJECTED", "OK", "REJECTED"))
    ]
    world = PayingWorld(1)
    rows = played(world).rows
    progress: Progress = progress_of(type(rows)("S1", {}, 0, notices=tuple(said)))[PAID]  # type: ignore[arg-type]
    assert progress.standing(world.definition.step("paid")) == "OK"


def test_f21_a_refund_notice_before_the_pay_notice_leaves_both_in_the_ledger() -> None:
    world = PayingWorld(1, notices_ms=(60_000,))
    world.script = {"probe payment.paid": ["PROCESSING"] * 3}
    world.said = [(11_000, REFUND_NOTICE)]
    world.till.refunds = {"paid": 0}  # somebody gave it back at the channel's own desk
    ended = played(world)
    assert nothing(world, ended)
    assert {"S1/paid/done", "S1/paid/undone"} <= set(world.book.journals)
    assert "undo payment.refund" not in world.asked


def test_f46_a_refund_without_an_answer_is_one_refund() -> None:
    world = PayingWorld(1, refuses="settle", refund_ms=40_000)
    world.script = {"undo payment.refund": ["lost"]}
    ended = played(world)
    assert nothing(world, ended)
    assert world.asked.count("undo payment.refund") == 1
    assert [one for one in world.book.journals if one.endswith("/undone")] == ["S1/paid/undone"]


def test_a_cancel_while_it_waits_closes_the_order_first() -> None:
    world = PayingWorld(1, pays_ms=None)
    world.said = [(20_000, Decision("cancel", "kiosk 3", 1_020_000))]
    assert nothing(world, played(world))
    assert (world.till.closed, world.now < world.began + 5 * 60_000) == (True, True)


def test_a_cancel_in_the_moment_of_the_payment_gives_it_back() -> None:
    world = PayingWorld(1, pays_ms=20_000)
    world.script = {"probe payment.paid": ["PROCESSING"] * 3}
    world.said = [(20_000, Decision("cancel", "kiosk 3", 1_020_000))]
    assert nothing(world, played(world))
    assert len(world.till.refunds) == 1


@pytest.mark.parametrize(("said", "state"), [("cancel", "CANCELLING"), ("compensate", "COMPENSATING")])
def test_while_it_goes_back_it_says_so(said: str, state: str) -> None:
    world = PayingWorld(1, pays_ms=None)
    world.said = [(20_000, Decision(said, "100017", 1_020_000))]  # type: ignore[arg-type]
    seen: list[str] = []
    once = world.maybe_crash
    world.book.maybe_crash = lambda: (seen.append(world.book.settlements["S1"].state), once())  # type: ignore[assignment]
    world.book.settlements = _Begun(world.book.settlements)
    assert nothing(world, played(world))
    assert [one for n, one in enumerate(seen) if n == 0 or seen[n - 1] != one] == [
        "RUNNING",
        "WAITING",
        state,
        "COMPENSATED",
    ]


class _Begun(dict):  # type: ignore[type-arg]
    def __missing__(self, number: str) -> Settlement:
        return Settlement(number, "", "", "RUNNING", None)  # type: ignore[arg-type]


CHECKED = PAYING.replace("$settle.cash: $preset.cash}]", "$settle.cash: $preset.cash, else: undo}]")


def test_f10_more_cash_than_the_preview_is_undone_where_the_pipeline_says_so() -> None:
    world = PayingWorld(1, text=CHECKED)
    world.script = {"do insurance.2207": ["says 17.10"]}
    ended = played(world)
    assert nothing(world, ended)
    assert world.live("post") == 0
    assert {"S1/settle/done", "S1/settle/undone"} <= set(world.book.journals), "no silent difference"


LESS = PAYING.replace(
    "  - post:\n",
    """  - less:
      do: payment.give_back
      ask: payment.given_back
      forward: true
      with: {order: $pay.order, amount: $settle.less}
      when: {$settle.less: {gt: 0}}
      post: [{debit: "transit:{settle_no}", credit: "clearing:{channel}", amount: $settle.less}]
  - post:
""",
    1,
).replace("{$settle.fund: $preset.fund, $settle.cash: $preset.cash}", "{$settle.total: $preset.total}")


def test_f11_less_cash_than_the_preview_goes_back_to_the_payer_and_the_real_split_is_posted() -> None:
    world = PayingWorld(1, text=LESS)
    world.info = INFO | {"cash": "15.10", "fund": "21.40", "less": "1.00"}
    ended = played(world)
    assert (ended.state, world.given) == ("COMPLETED", [{"order": "pay", "amount": "1.00"}])
    assert world.live("settle") == world.live("post") == 1
    assert (world.book.balance("clearing:wechat"), world.book.balance("receivable:fund")) == (1510, 2140)
    assert world.book.balance("transit:S1") == 0
