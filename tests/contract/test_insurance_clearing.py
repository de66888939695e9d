"""A month's clearing with the sandbox's centre: applied for from the records, and other places' rows confirmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from centre_parts import key
from gateway_parts import gateway
from statement_days import in_china, inpatient, outpatient

from config.errors import Refused
from endpoints.insurance.statement_books import CHINA
from schemas.nhsa.clearing import days_of


def month() -> str:
    return f"{datetime.now(CHINA):%Y-%m}"


def office(folder: Path, **said: Any) -> Any:
    return gateway(folder, centre=in_china(), statement={"store": str(folder / "statements")}, **said)


async def test_a_month_is_applied_for_by_kind_to_the_fen_and_can_be_taken_back(tmp_path: Path) -> None:
    async with office(tmp_path) as hospital:
        first = await outpatient(hospital)
        await outpatient(hospital, "O2")
        await inpatient(hospital)
        setl = first["output"]["setlinfo"]
        await hospital.done("2208", key(hospital, setl["mdtrt_id"], setl_id=setl["setl_id"]))
        told = await hospital.send("clearing", {"month": month(), "plan": True})
        assert [(one["clr_type"], one["psntime"], one["medfee_sumamt"]) for one in told["applications"]] == [
            ("11", 1, Decimal("86.50")),
            ("21", 1, Decimal("900.00")),
        ]
        assert hospital.centre.books.rows("3203") == []
        told = await hospital.send("clearing", {"month": month()}, "m1")
        numbers = [one["clr_appy_evt_id"] for one in told["applications"]]
        assert (told["outcome"], all(numbers), len(hospital.centre.books.rows("3203"))) == ("OK", True, 2)
        again = await hospital.send(
            "clearing", {"month": month()}, "m1"
        )  # the same message sends nothing again
        assert [one["clr_appy_evt_id"] for one in again["applications"]] == numbers
        twice = await hospital.send("clearing", {"month": month()}, "m2")
        assert twice["outcome"] == "REJECTED"
        assert all(one["err_msg"] for one in twice["applications"])
        assert (await hospital.send("clearing", {"withdraw": numbers[0]}, "m3"))["outcome"] == "OK"
        assert len(hospital.centre.books.rows("3203")) == 1


async def test_while_nobody_knows_of_an_application_no_other_is_made(tmp_path: Path) -> None:
    async with office(tmp_path) as hospital:
        await outpatient(hospital)
        hospital.centre.behave("3203", "cut", times=1)
        told = await hospital.send("clearing", {"month": month()}, "m1")
        assert told["outcome"] == "UNKNOWN"
        with pytest.raises(Refused, match="JL-N215"):
            await hospital.send("clearing", {"month": month()}, "m2")
        assert (await hospital.send("clearing", {"month": month()}, "m1"))["outcome"] == "UNKNOWN"
        assert len(hospital.centre.books.rows("3203")) == 1
        told = await hospital.send("clearing", {"month": month(), "anyway": True}, "m3")
        assert told["outcome"] == "REJECTED"  # the centre had it


async def test_days_that_are_not_equal_are_told_with_the_application(tmp_path: Path) -> None:
    async with office(tmp_path) as hospital:
        await outpatient(hospital)
        today = f"{datetime.now(CHINA):%Y-%m-%d}"
        hospital.centre.behave("2207", "cut", times=1)
        await outpatient(hospital, "O2")
        await hospital.send("statement", {"day": today})
        told = await hospital.send("clearing", {"month": today[:7], "plan": True})
        assert told["days"] == {"equal": [], "unequal": [today]}


async def test_rows_of_people_insured_elsewhere_are_compared_and_confirmed_where_all_agree(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, person=5) as hospital:
        await outpatient(hospital)
        await outpatient(hospital, "O2")
        told = await hospital.send("cross_region", {"month": month(), "confirm": True}, "m1")
        assert (told["equal"], told["outcome"]) == (True, "OK")
        assert [row["kind"] for row in told["rows"]] == ["equal", "equal"]
        assert hospital.patient.certno not in str(told)
        (confirmed,) = hospital.centre.books.rows("3261")
        assert confirmed["totalrow"] == 2
        asked = {"month": month(), "withdraw": told["confirmed"]["msgid"]}
        assert (await hospital.send("cross_region", asked, "m2"))["outcome"] == "OK"
        assert hospital.centre.books.rows("3261") == []


async def test_what_does_not_agree_is_not_confirmed_unless_it_is_accepted(tmp_path: Path) -> None:
    async with office(tmp_path, person=5) as hospital:
        settled = [await outpatient(hospital, number) for number in ("O1", "O2", "O3")]
        ids = [one["output"]["setlinfo"]["setl_id"] for one in settled]
        books = hospital.centre.books
        other = books.settlements[ids[0]]
        books.settlements[ids[0]] = replace(other, split=replace(other.split, hifp=other.split.hifp + 1))
        del books.settlements[ids[1]]
        hospital.centre.behave("2207", "cut", times=1)
        await outpatient(hospital, "O4")
        told = await hospital.send("cross_region", {"month": month(), "confirm": True}, "m1")
        assert sorted(row["kind"] for row in told["rows"]) == [
            "amounts",
            "centre more",
            "equal",
            "hospital more",
        ]
        assert "confirmed" not in told
        told = await hospital.send("cross_region", {"month": month(), "accept": True}, "m2")
        (confirmed,) = books.rows("3261")
        assert (told["outcome"], confirmed["totalrow"]) == ("OK", 3)


async def test_a_month_without_other_places_has_no_rows(tmp_path: Path) -> None:
    async with office(tmp_path) as hospital:
        await outpatient(hospital)
        told = await hospital.send("cross_region", {"month": month(), "confirm": True})
        assert (told["rows"], told["equal"], "confirmed" in told) == ([], True, False)


@pytest.mark.parametrize("said", ["2026-13", "2026", "", "26-01"])
async def test_a_month_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(ValueError, match="no month"):
        days_of(said)
    async with office(tmp_path) as hospital:
        if said:
            with pytest.raises(Refused, match="JL-N214"):
                await hospital.send("clearing", {"month": said})
        else:
            assert (await hospital.send("clearing", {}))["applications"] == []
