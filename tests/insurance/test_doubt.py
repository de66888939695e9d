"""What is no evidence is not taken for one: a success that tells nothing, a list that is none, a query that lags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.centre_parts import agreed
from tests.insurance.accord import day_end
from tests.insurance.desk import Desk
from tests.insurance.gateway import desks
from tests.insurance.visits import BASKET, Outpatient, Purchase


async def come(desk: Desk, until: str, number: str = "O1") -> Outpatient:
    visit = Outpatient(desk.centre.persons[0], number)
    for step in visit.FORWARD[: visit.FORWARD.index(until)]:
        await getattr(visit, step)(desk)
    return visit


async def probe(desk: Desk, msgid: str) -> Any:
    return (await desk.party.send("probe", {"msgid": msgid})).whole


async def test_a_success_that_does_not_say_what_it_made_is_unknown_until_a_query_tells_it(
    tmp_path: Path,
) -> None:
    async with desks(tmp_path) as (desk, _):
        visit = await come(desk, "settle")
        desk.centre.behave("2207", "null", times=1)
        told = await desk.party.ask("2207", visit.bill(**agreed(visit.preview)))
        assert (told.outcome, told.warnings[0]["code"]) == ("UNKNOWN", "JL-N025")
        found = await probe(desk, told.msgid)
        (settled,) = desk.centre.books.settlements.values()
        assert (found["verdict"], found["output"]["setlinfo"]["setl_id"]) == ("DONE", settled.setl_id)
        assert found["links"]["setl_id"] == settled.setl_id


async def test_a_probe_of_what_is_known_tells_what_was_answered(tmp_path: Path) -> None:
    async with desks(tmp_path, "guangdong") as (desk, _):
        visit = await come(desk, "settle")
        await visit.settle(desk)
        found = await probe(desk, desk.told[-1].msgid)
        assert (found["verdict"], found["output"]["setlinfo"]["setl_id"]) == ("DONE", visit.setl_id)
        assert found["output"]["setlinfo"]["psn_part_amt"] == visit.settled["psn_part_amt"]


async def test_a_success_without_a_list_does_not_show_that_something_is_not_in_it(tmp_path: Path) -> None:
    async with desks(tmp_path, query_lag="0s") as (desk, _):
        visit = await come(desk, "settle")
        desk.centre.behave("2207", "cut", times=1)
        told = await desk.party.ask("2207", visit.bill(**agreed(visit.preview)))
        desk.centre.behave("5204", "null", times=1)
        assert (await probe(desk, told.msgid))["verdict"] == "CANNOT_SAY"
        assert (await probe(desk, told.msgid))["verdict"] == "DONE"


async def test_a_query_that_lags_behind_the_books_is_not_believed_too_early(tmp_path: Path) -> None:
    async with desks(tmp_path, query_lag="60s") as (desk, _):
        visit = await come(desk, "settle")
        for query in ("5204", "5203", "5201"):
            desk.centre.behave(query, "lag", seconds=3600)
        desk.centre.behave("2207", "cut", times=1)
        told = await desk.party.ask("2207", visit.bill(**agreed(visit.preview)))
        assert (await probe(desk, told.msgid))["verdict"] == "CANNOT_SAY"
        desk.centre.well()
        assert (await probe(desk, told.msgid))["verdict"] == "DONE"
        assert len(desk.centre.books.settlements) == 1


async def test_a_sale_is_not_undone_because_its_visits_could_not_be_listed(tmp_path: Path) -> None:
    async with desks(tmp_path, query_lag="0s") as (_, pharmacy):
        sale = Purchase(pharmacy.centre.persons[0], "P1")
        pharmacy.centre.behave("2102", "cut", times=1)
        told = await pharmacy.party.ask("2102", sale.sale(BASKET))
        pharmacy.centre.behave("5201", "refuse", times=1)
        assert (await probe(pharmacy, told.msgid))["verdict"] == "CANNOT_SAY"
        assert (await probe(pharmacy, told.msgid))["verdict"] == "DONE"


@pytest.mark.parametrize("way", ["cut", "null"])
async def test_the_day_is_equal_with_a_cancel_whose_amounts_nobody_heard(tmp_path: Path, way: str) -> None:
    async with desks(tmp_path, query_lag="0s") as (desk, _):
        for number in ("O1", "O2", "O3"):
            visit = await come(desk, "settle", number)
            await visit.settle(desk)
            if number != "O1":
                desk.centre.behave("2208", way, times=1)
                await visit.unsettle(desk)
        assert await day_end([desk]) == []
        # And where something else differs, so that the lines are compared (3202), they are no difference.
        desk.centre.behave("2207", "cut", times=1)
        lost = await come(desk, "settle", "O4")
        told = await desk.party.ask("2207", lost.bill(**agreed(lost.preview)))
        (wrong,) = await day_end([desk])
        assert wrong.count("'kind'") == 1
        assert told.msgid in wrong


async def test_what_never_came_is_not_done_once_queries_have_had_their_time(tmp_path: Path) -> None:
    async with desks(tmp_path, query_lag="60s") as (desk, _):
        visit = await come(desk, "settle")
        desk.centre.behave("2207", "lose", times=1)
        told = await desk.party.ask("2207", visit.bill(**agreed(visit.preview)))
        assert (await probe(desk, told.msgid))["verdict"] == "CANNOT_SAY"
        desk.party.gateway.later_s = 200
        assert (await probe(desk, told.msgid))["verdict"] == "NOT_DONE"
        assert desk.centre.books.settlements == {}


async def test_an_undoing_whose_own_answer_is_lost_is_found_out_too(tmp_path: Path) -> None:
    async with desks(tmp_path, query_lag="0s") as (desk, _):
        visit = await come(desk, "diagnose")
        registered = next(one for one in reversed(desk.told) if one.infno == "2201")
        for way in ("lose", "cut"):
            desk.centre.behave("2202", way, times=1)
        undone = (await desk.party.send("reverse", {"msgid": registered.msgid})).whole
        assert undone["outcome"] == "UNKNOWN"  # it may be on its way still
        desk.party.gateway.later_s = 200
        undone = (await desk.party.send("reverse", {"msgid": registered.msgid})).whole
        assert (undone["outcome"], undone["state"]) == ("OK", "REVERSED")
        assert desk.centre.books.visits[visit.mdtrt_id].state == "void"


async def test_a_question_that_the_way_doubled_is_put_again(tmp_path: Path) -> None:
    async with desks(tmp_path) as (desk, _):
        visit = await come(desk, "look")
        desk.centre.behave("2206", "repeat", times=1)
        await visit.look(desk)
        assert [one.outcome for one in desk.told if one.infno == "2206"] == ["OK"]
