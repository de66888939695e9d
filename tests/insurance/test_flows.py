"""The flows of a visit, forth and back, in each province: the money holds to the fen after each step, and the centre's
books are what we were told."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.nhsa.profile import profile
from tests.insurance.accord import day_end, differences
from tests.insurance.desk import Desk
from tests.insurance.gateway import desks
from tests.insurance.provinces import CENTRES
from tests.insurance.visits import Inpatient, Outpatient, Purchase, Visit, ways


def kinds(desk: Desk, pharmacy: Desk) -> list[tuple[type[Visit], Desk]]:
    return [(Outpatient, desk), (Inpatient, desk), (Purchase, pharmacy)]


@pytest.mark.parametrize("province", CENTRES)
async def test_every_kind_of_insured_is_settled_and_it_is_undone_again_in_order(
    tmp_path: Path, province: str
) -> None:
    async with desks(tmp_path, province) as (hospital, pharmacy):
        centre, records = hospital.centre, hospital.party.records
        made: list[Visit] = []
        # Each kind of insured where provinces differ most; elsewhere one with an account, one without, one of a family.
        persons = centre.persons[:7] if province in ("national", "guangdong") else centre.persons[:7:3]
        for number, person in enumerate(persons):
            for kind, desk in kinds(hospital, pharmacy):
                visit = kind(person, f"{kind.__name__[0]}{number}")
                made.append(visit)
                for step in ways(visit, desk.discharge)[0]:
                    await getattr(visit, step)(desk)
                assert await differences(centre, records, made) == []
        assert sum(bool(visit.setl_id) for visit in made) == 3 * len(persons)
        assert await day_end((hospital, pharmacy)) == []
        for visit in made:
            desk = pharmacy if isinstance(visit, Purchase) else hospital
            for step in ways(visit, desk.discharge)[1]:
                await getattr(visit, step)(desk)
        assert await day_end((hospital, pharmacy)) == []
        assert await differences(centre, records, made) == []
        assert {one.state for one in centre.books.settlements.values() if one.refd_setl_flag == "0"} == {
            "cancelled"
        }


@pytest.mark.parametrize("reverses", [False, True], ids=["probed", "reversed"])
@pytest.mark.parametrize("way", ["cut", "lose"])
@pytest.mark.parametrize("kind", [Outpatient, Inpatient, Purchase])
async def test_an_answer_lost_at_any_step_is_found_out_and_nothing_is_done_twice(
    tmp_path: Path, kind: type[Visit], way: str, reverses: bool
) -> None:
    """Each step that writes in turn, forth and back; done and not heard of (`cut`), or not done (`lose`)."""
    async with desks(tmp_path, query_lag="0s") as (hospital, pharmacy):
        desk = pharmacy if kind is Purchase else hospital
        desk.reverses = reverses
        made: list[Visit] = []
        steps = 1
        while len(made) < steps:
            visit = kind(desk.centre.persons[len(made) % 7], f"{kind.__name__[0]}{len(made)}")
            made.append(visit)
            desk.lose, desk.writes = (len(made) - 1, way), 0
            forth, back = ways(visit, desk.discharge)
            for step in (*forth, *back):
                await getattr(visit, step)(desk)
                assert await differences(desk.centre, desk.party.records, made) == [], step
            steps = desk.writes
        assert desk.lost == steps >= 2


def test_the_provinces_of_the_proof_have_each_money_rule_and_each_order(tmp_path: Path) -> None:
    from tests.insurance.provinces import write_profiles

    write_profiles(tmp_path)
    rules = [profile(name, tmp_path / "profiles") for name in CENTRES]
    assert {one.money.fund_holds_account for one in rules} == {True, False}
    assert {one.money.family_beside_account for one in rules} == {True, False}
    assert {one.discharge for one in rules} == {"before", "after"}
