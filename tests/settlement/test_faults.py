"""Faults by name: what stands at the insurance, the payment channel, the HIS and in the ledger at the end of each."""

from __future__ import annotations

import asyncio

import pytest

from channels.settling.model import Definition
from config.errors import Unreachable
from router.settlement.book import Change, Differs, Fenced, Locked, New, Settlement
from router.settlement.rows import ENDED, Decision, Notice, Place
from router.settlement.runner import LEASE_MS, Runner
from tests.settlement.memory import Crash, MemoryBook
from tests.settlement.simulated import BILLS, EFFECTS, REQUEST, TEXT, World

MINUTE = 60_000
WAITING = TEXT.replace(
    """      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
""",
    """      undo: payment.refund
  - paid:
      wait: {for: payment.notice, ask: payment.seen, every: [3s, 30s], until: 5m, else: cancel}
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
""",
)


def played(text: str = TEXT, **script: list[str]) -> tuple[World, Settlement]:
    """`do_2207=[...]` scripts what becomes of the calls of that operation."""
    world = World(1, faults=0, text=text)
    for name, kinds in script.items():
        direction, _, operation = name.partition("_")
        system = next(step for step in _operations(world) if step.endswith(f".{operation}"))
        world.script[f"{direction} {system}"] = kinds
    return world, asyncio.run(world.play())


def _operations(world: World) -> list[str]:
    steps = world.definition.steps
    return [str(each) for s in steps for each in (s.do, s.ask, s.undo, s.reverse) if each is not None]


def complete(world: World, ended: Settlement) -> bool:
    """One effect of each, and the money where it belongs."""
    effects = [world.live(key) for key in EFFECTS] == [1] * len(EFFECTS)
    return (ended.state, effects, world.book.balance("transit:S1")) == ("COMPLETED", True, 0)


def nothing(world: World, ended: Settlement) -> bool:
    """No effect is left, and no money."""
    accounts = {entry.account for one in world.book.journals.values() for entry in one.entries}
    left = [world.live(key) for key in EFFECTS if world.live(key)]
    money = [account for account in accounts if world.book.balance(account)]
    return (ended.state, left, money) == ("COMPENSATED", [], [])


def test_f01_the_same_request_twice_is_one_settlement() -> None:
    async def both() -> World:
        world = World(1, faults=0)
        await world.play()
        first = list(world.asked)
        await world.play()
        assert world.asked == first
        return world

    world = asyncio.run(both())
    assert complete(world, world.book.settlements["S1"])


def test_f02_the_same_number_with_other_bills_is_refused_and_books_nothing() -> None:
    async def other() -> None:
        book = MemoryBook()
        await book.begin(New("S1", "outpatient", "d", REQUEST, 0))
        with pytest.raises(Differs):
            await book.begin(New("S1", "outpatient", "d", REQUEST | {"total": "1.00"}, 0))
        assert book.journals == {}

    asyncio.run(other())


def test_f03_two_kiosks_with_the_same_bill_one_is_refused() -> None:
    async def second() -> None:
        book = MemoryBook()
        await book.begin(New("S1", "outpatient", "d", REQUEST, 0, ("bill:B1",)))
        with pytest.raises(Locked):
            await book.begin(New("S2", "outpatient", "d", REQUEST, 0, ("bill:B1",)))

    asyncio.run(second())


def test_f04_a_process_killed_before_the_fees_left_sends_them_once_under_the_same_number() -> None:
    world, ended = played(do_2204=["killed before"])
    assert complete(world, ended)
    assert world.keys.count("fees") == 2, "the first never left"


def test_f05_a_process_killed_after_the_settlement_left_finds_it() -> None:
    world, ended = played(do_2207=["killed after"])
    assert complete(world, ended)
    assert world.asked.count("do insurance.2207") == 1


def test_f06_a_settlement_without_an_answer_that_was_done_is_found() -> None:
    world, ended = played(do_2207=["lost"])
    assert complete(world, ended)
    assert world.asked.count("do insurance.2207") == 1


def test_f07_a_settlement_without_an_answer_that_was_not_done_is_sent_again_once() -> None:
    world, ended = played(do_2207=["never"])
    assert complete(world, ended)
    assert world.asked.count("do insurance.2207") == 2
    assert world.asked.index("reverse insurance.2601") > world.asked.index("probe insurance.5203")


def test_f08_while_nobody_can_say_the_payment_is_kept() -> None:
    world, ended = played(do_2207=["lost"], probe_5203=["silence"] * 9)
    assert complete(world, ended)
    assert "undo payment.refund" not in world.asked


def test_f09_a_settlement_refused_after_the_payment_gives_the_money_back() -> None:
    world, ended = played(do_2207=["refused"])
    assert nothing(world, ended)
    assert world.undone["pay"] == 1


def test_f10_other_amounts_than_the_preview_are_never_posted_silently() -> None:
    world, ended = played(do_2207=["says 17.10"])
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T001")
    assert world.live("post") == 0
    assert world.book.balance("transit:S1") == -3650, "the money waits in sight"


def test_f10_a_person_may_take_back_what_came_out_otherwise() -> None:
    world = World(1, faults=0)
    world.script["do insurance.2207"] = ["says 17.10"]
    assert asyncio.run(world.play()).state == "SUSPENDED"
    said = Decision("compensate", "100017", world.now, reason="the preview was shown to the patient")
    asyncio.run(world.book.tell("S1", said))
    assert nothing(world, asyncio.run(world.play()))


def test_f12_an_undoing_without_an_answer_that_was_done_is_found() -> None:
    world, ended = played(do_post=["refused"], undo_2208=["lost"])
    assert nothing(world, ended)
    assert world.undone["settle"] == 1


def test_f13_an_undoing_that_is_refused_keeps_the_money_until_a_person_decides() -> None:
    world, ended = played(do_post=["refused"], undo_2208=["refused"])
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T004")
    assert (world.live("settle"), world.undone.get("pay", 0)) == (1, 0)
    assert world.book.balance("transit:S1") == -3650


def test_f13_an_undoing_that_was_refused_is_tried_again_when_a_person_wishes_it() -> None:
    world = World(1, faults=0)
    world.script = {"do his.post": ["refused"], "undo insurance.2208": ["refused"]}
    assert asyncio.run(world.play()).state == "SUSPENDED"
    asyncio.run(
        world.book.tell("S1", Decision("retry", "100017", world.now, reason="the month is open again"))
    )
    assert nothing(world, asyncio.run(world.play()))
    assert world.asked.count("undo insurance.2208") == 2


def test_f08_what_nobody_could_say_is_asked_again_when_a_person_wishes_it() -> None:
    world = World(1, faults=0)
    world.script = {"do insurance.2207": ["lost"], "probe insurance.5203": ["silence"] * 40}
    world.script["reverse insurance.2601"] = ["silence"] * 10
    assert asyncio.run(world.play()).code == "JL-T005"
    world.script.clear()
    asyncio.run(world.book.tell("S1", Decision("retry", "100017", world.now, reason="the centre is back")))
    ended = asyncio.run(world.play())
    assert complete(world, ended)


def test_f14_a_reversal_that_finds_nothing_means_that_it_was_not_done() -> None:
    world, ended = played(do_2207=["never"], probe_5203=["silence"] * 40)
    assert complete(world, ended)
    assert "reverse insurance.2601" in world.asked


def test_f15_a_reversal_without_an_answer_is_repeated() -> None:
    world, ended = played(do_2207=["never"], probe_5203=["absent"] * 40, reverse_2601=["silence", "silence"])
    assert complete(world, ended)
    assert world.asked.count("reverse insurance.2601") == 3


def test_f16_a_payment_whose_answer_was_lost_keeps_its_number() -> None:
    world, ended = played(do_create=["never"])
    assert complete(world, ended)
    assert world.keys.count("pay") == 2, "the same number, since nothing was reversed"


def test_f17_nobody_pays_and_all_before_is_undone() -> None:
    world, ended = played(WAITING, probe_seen=["absent"] * 20)
    assert nothing(world, ended)
    assert ended.rows.decisions[-1].who == "deadline"
    assert world.asked.count("do insurance.2207") == 0


def test_f20_a_notice_that_comes_fifteen_times_pays_once() -> None:
    world = World(1, faults=0, text=WAITING)
    world.script["probe payment.seen"] = ["absent"] * 20
    notice = Notice(Place("paid"), 1_000_010, "OK", {"paid": "16.10"})
    world.said = [(5_000, notice)] * 15
    ended = asyncio.run(world.play())
    assert complete(world, ended)
    assert world.book.balance("clearing:wechat") == 1610


def test_f25_a_notice_that_never_comes_is_made_up_for_by_asking() -> None:
    world, ended = played(WAITING, probe_seen=["absent", "absent"])
    assert complete(world, ended)


def test_f38_a_his_that_did_it_and_did_not_answer_has_one_post() -> None:
    world, ended = played(do_post=["lost"])
    assert complete(world, ended)
    assert world.asked.count("do his.post") == 1


def test_f40_a_his_that_refuses_leaves_nothing_with_anybody() -> None:
    world, ended = played(do_post=["refused"])
    assert nothing(world, ended)
    undone = [name for name in world.asked if name.startswith("undo")]
    assert undone[:2] == ["undo insurance.2208", "undo payment.refund"], "in reverse order"


def test_f43_an_invoice_platform_that_is_down_holds_up_nothing_that_is_paid() -> None:
    world, ended = played(do_issue=["unsent"] * 6)
    assert complete(world, ended)
    assert world.live("invoice") == 1


def test_f53_what_is_written_again_is_written_once() -> None:
    world, ended = played(do_2207=["killed after"])
    assert complete(world, ended)
    ids = [one.id for one in world.book.journals.values()]
    assert len(ids) == len(set(ids)) == 3


def test_f54_a_late_process_writes_nothing_any_more() -> None:
    async def two() -> None:
        world = World(1, faults=0)
        late = Runner(world.book, world, world.known, "late", lambda: world.now)
        new = New("S1", "outpatient", world.definition.digest, REQUEST, world.now)
        await world.book.begin(new)
        fence = await world.book.claim("S1", "late", world.now, world.now + LEASE_MS)
        assert fence is not None
        world.now += LEASE_MS + 1
        quick = Runner(world.book, world, world.known, "quick", lambda: world.now)
        assert await quick.drive("S1") == "COMPLETED"
        with pytest.raises(Fenced):
            await late._driven("S1", fence)
        assert complete(world, world.book.settlements["S1"])

    asyncio.run(two())


def test_f56_a_settlement_goes_on_by_the_pipeline_that_it_began_with() -> None:
    """It waits for a payment while a site's file changes: fees go one by one as before, and not two at once."""
    world = World(1, faults=0)
    other = World(1, faults=0, text=TEXT.replace("in: 1", "in: 2")).definition
    definitions = {world.definition.digest: world.definition, other.digest: other}

    async def known(digest: str) -> Definition:
        return definitions[digest]

    async def deployed() -> Settlement:
        first = world.definition
        new = New("S1", "outpatient", first.digest, REQUEST, world.now)
        await world.book.begin(new)
        world.script["do his.hold"] = ["killed after"]
        with pytest.raises(Crash):
            await Runner(world.book, world, known, "before", lambda: world.now).drive("S1")
        world.definition = other
        world.now += LEASE_MS
        while (await world.book.load("S1")).state not in ENDED:
            await Runner(world.book, world, known, "after", lambda: world.now).drive("S1")
            world.now += MINUTE
        ended: Settlement = await world.book.load("S1")
        return ended

    ended = asyncio.run(deployed())
    assert complete(world, ended)
    assert world.asked.count("do insurance.2204") == 2
    assert ended.digest != world.definition.digest


def test_f60_a_query_that_lags_two_minutes_makes_nothing_happen_twice() -> None:
    world, ended = played(do_2204=["lost"], probe_5204=["absent"] * 4)
    assert complete(world, ended)
    assert world.live("fees.0") == 1


def test_f68_a_person_who_says_done_is_believed_and_named() -> None:
    world = World(1, faults=0)
    world.script = {"do insurance.2207": ["never"], "probe insurance.5203": ["silence"] * 99}
    world.script["reverse insurance.2601"] = ["silence"] * 99
    ended = asyncio.run(world.play())
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T005")
    reply = {"setlinfo": {"fund": "20.40", "cash": "16.10"}}
    said = Decision("done", "100017", world.now, Place("settle"), "100018", "seen", "letter 7", reply, 1)
    asyncio.run(world.book.tell("S1", said))
    again = asyncio.run(world.play())
    assert again.state == "COMPLETED"
    assert again.rows.decisions[-1].second == "100018"


def test_f72_without_a_place_to_write_nothing_is_sent() -> None:
    class Full(MemoryBook):
        async def write(self, number: str, fence: int, change: Change) -> None:
            raise Unreachable("JL-T020", "no space left on device")

    async def full() -> World:
        world = World(1, faults=0)
        world.book = Full()
        await world.book.begin(New("S1", "outpatient", world.definition.digest, REQUEST, world.now))
        with pytest.raises(Unreachable):
            await Runner(world.book, world, world.known, "p", lambda: world.now).drive("S1")
        return world

    world = asyncio.run(full())
    assert (world.asked, world.book.journals) == ([], {})


def test_the_bills_are_the_total() -> None:
    assert sum(float(bill["amount"]) for bill in BILLS) == float(str(REQUEST["total"]))
