"""The day's account of a hospital with the sandbox's centre: settled by the gateway, compared, and put right."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from centre_parts import key
from gateway_parts import Gateway, gateway
from statement_days import in_china, inpatient, outpatient

from config.errors import Refused, Unreachable
from deploy.sandbox.centre import Settings
from endpoints.insurance.operations.statement import since
from endpoints.insurance.statement_books import CHINA
from endpoints.insurance.statement_kept import Kept

OFFICE = "999900"


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(
        tmp_path, centre=in_china(), statement={"store": str(tmp_path / "statements")}
    ) as made:
        yield made


async def account(hospital: Gateway, **asked: Any) -> dict[str, Any]:
    today = datetime.now(CHINA).date()  # and the day before, for a test that runs over midnight
    days = {"from": f"{today - timedelta(days=1)}", "to": f"{today}"}
    return await hospital.send("statement", {**days, **asked})


def kinds(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["do"]["transaction"]) for one in told["differences"]]


async def test_a_day_with_settlements_and_a_cancel_is_equal(hospital: Gateway) -> None:
    first = await outpatient(hospital)
    await outpatient(hospital, "O2")
    await inpatient(hospital)
    setl = first["output"]["setlinfo"]
    await hospital.done("2208", key(hospital, setl["mdtrt_id"], setl_id=setl["setl_id"]))  # type: ignore[arg-type]
    told = await account(hospital)
    assert told["equal"], told
    assert [(one["clr_type"], one["fixmedins_setl_cnt"], one["medfee_sumamt"]) for one in told["groups"]] == [
        ("11", 1, Decimal("86.50")),
        ("21", 1, Decimal("900.00")),
    ]


@pytest.mark.parametrize("lists_equal", [False, True])
async def test_a_settlement_whose_answer_was_lost_is_found_reversed_and_the_day_is_equal_after(
    tmp_path: Path, lists_equal: bool
) -> None:
    centre = in_china(Settings(statement_lists_equal=lists_equal))
    async with gateway(tmp_path, centre=centre, statement={"store": str(tmp_path / "st")}) as hospital:
        await outpatient(hospital)
        centre.behave("2207", "cut", times=1)
        lost = await outpatient(hospital, "O2")
        assert lost["outcome"] == "UNKNOWN"
        told = await account(hospital)
        assert kinds(told) == [("centre more", "2601")]
        (one,) = told["differences"]
        assert one["do"]["input"] == {
            "psn_no": hospital.patient.psn_no,
            "omsgid": lost["msgid"],
            "oinfno": "2207",
        }
        reversal = await hospital.send("2601", {"data": one["do"]["input"]})
        assert reversal["outcome"] == "OK"
        assert (await account(hospital))["equal"]


async def test_what_only_the_hospital_has_is_its_own_to_correct(hospital: Gateway) -> None:
    await outpatient(hospital)
    made = await outpatient(hospital, "O2")
    setl_id = made["output"]["setlinfo"]["setl_id"]
    del hospital.centre.books.settlements[setl_id]
    told = await account(hospital)
    assert kinds(told) == [("hospital more", "5203")]
    assert told["differences"][0]["setl_id"] == setl_id


async def test_amounts_that_differ_are_shown_of_both(hospital: Gateway) -> None:
    made = await outpatient(hospital)
    setl_id = made["output"]["setlinfo"]["setl_id"]
    books = hospital.centre.books
    booked = books.settlements[setl_id]
    books.settlements[setl_id] = replace(booked, split=replace(booked.split, hifp=booked.split.hifp + 100))
    told = await account(hospital)
    assert kinds(told) == [("amounts", "5203")]
    (one,) = told["differences"]
    assert one["centre"]["fund_pay_sumamt"] - one["ours"]["fund_pay_sumamt"] == Decimal("1.00")


async def test_the_his_s_list_tells_that_the_his_lost_a_settlement_which_is_then_cancelled(
    hospital: Gateway,
) -> None:
    first = await outpatient(hospital)
    second = await outpatient(hospital, "O2")
    names = ("setl_id", "medfee_sumamt", "fund_pay_sumamt", "acct_pay", "setl_time")
    his = [{name: str(first["output"]["setlinfo"][name]) for name in names}]
    told = await account(hospital, his=his)
    assert kinds(told) == [("centre more", "2208"), ("HIS lacks", "2208")]
    await hospital.done("2208", {"data": told["differences"][0]["do"]["input"]})
    assert told["differences"][0]["setl_id"] == second["output"]["setlinfo"]["setl_id"]
    assert (await account(hospital))["equal"]


async def test_a_centre_that_compares_as_a_task_of_its_own_is_asked_until_it_is_done(
    hospital: Gateway,
) -> None:
    party = hospital.party
    party.profile = replace(party.profile, form=replace(party.profile.form, task=True))
    await outpatient(hospital)
    await inpatient(hospital)
    assert (await account(hospital))["equal"]
    hospital.centre.behave("2207", "cut", times=1)
    lost = await outpatient(hospital, "O2")
    hospital.centre.behave("3212", "null", times=1)  # it has no file yet
    with pytest.raises(Unreachable) as again:
        await account(hospital)
    assert again.value.after_s
    told = await account(hospital)
    assert [(one["kind"], one["msgid"]) for one in told["differences"]] == [("centre more", lost["msgid"])]
    asked = [one.infno for one in await hospital.kept.search(party.system, limit=1000)]
    assert (asked.count("3211"), asked.count("3202")) == (1, 0)


async def test_the_his_s_list_may_be_a_file_that_is_waited_for(tmp_path: Path) -> None:
    said = {"store": str(tmp_path / "st"), "his": str(tmp_path / "{begin} {end}.csv")}
    async with gateway(tmp_path, centre=in_china(), statement=said) as hospital:
        first = (await outpatient(hospital))["output"]["setlinfo"]
        with pytest.raises(Unreachable, match="JL-N216"):
            await account(hospital)
        today = datetime.now(CHINA).date()
        names = ("setl_id", "medfee_sumamt", "fund_pay_sumamt", "acct_pay", "setl_time")
        table = ",".join(names) + "\n" + ",".join(str(first[name]) for name in names) + "\n"
        (tmp_path / f"{today - timedelta(days=1)} {today}.csv").write_text(table)
        told = await account(hospital)
        assert (told["equal"], told["his"]) == (True, True)


@pytest.mark.parametrize("kind", ["html", "garbage", "lose"])
async def test_a_centre_that_answers_nonsense_is_asked_again_and_what_was_said_before_stays(
    hospital: Gateway, kind: str
) -> None:
    await outpatient(hospital)
    hospital.centre.behave("3201", kind, times=1)
    with pytest.raises(Exception, match="JL-"):
        await account(hospital)
    assert (await account(hospital))["equal"]


async def test_a_day_that_is_not_equal_may_be_a_dead_letter_with_the_statement_as_its_answer(
    tmp_path: Path,
) -> None:
    said = {"store": str(tmp_path / "statements"), "unequal": "dead"}
    async with gateway(tmp_path, centre=in_china(), statement=said) as hospital:
        await outpatient(hospital)
        hospital.centre.behave("2207", "cut", times=1)
        await outpatient(hospital, "O2")
        with pytest.raises(Refused, match="JL-N210") as refused:
            await account(hospital)
        assert json.loads(refused.value.answer)["equal"] is False
        assert "centre more 1" in str(refused.value)
        assert hospital.patient.psn_no not in str(refused.value)
        (kept,) = Kept(tmp_path / "statements").all()
        assert not kept.equal


async def test_a_group_that_only_the_centre_has_is_asked_for_where_the_site_says_so(tmp_path: Path) -> None:
    always = [{"setl_optins": OFFICE, "insutype": "310", "clr_type": "11"}]
    async with gateway(
        tmp_path, centre=in_china(), statement={"store": str(tmp_path / "st"), "always": always}
    ) as hospital:
        hospital.centre.behave("2207", "cut", times=1)
        lost = await outpatient(hospital)
        told = await account(hospital)
        assert [one["msgid"] for one in told["differences"]] == [lost["msgid"]]


async def test_a_timer_s_own_message_asks_for_the_days_that_are_over_since_its_last_time(
    hospital: Gateway,
) -> None:
    await outpatient(hospital)
    now = datetime.now(CHINA)
    times = {
        "scheduled": (now + timedelta(days=1)).isoformat(),
        "previous": (now - timedelta(days=1)).isoformat(),
    }
    told = await hospital.send("statement", times)
    assert told["equal"]
    assert told["begin"] == str((now - timedelta(days=1)).date())
    assert [one["fixmedins_setl_cnt"] for one in told["groups"]] == [1]


@pytest.mark.parametrize(
    ("previous", "scheduled", "days"),
    [
        ("", "2026-01-16T01:15:00+08:00", ("2026-01-15", "2026-01-15")),
        ("2026-01-15T01:15:00+08:00", "2026-01-16T01:15:00+08:00", ("2026-01-15", "2026-01-15")),
        ("2026-01-12T01:15:00+08:00", "2026-01-16T01:15:00+08:00", ("2026-01-12", "2026-01-15")),
        ("2026-01-16T00:15:00+08:00", "2026-01-16T01:15:00+08:00", ("2026-01-15", "2026-01-15")),
        ("2026-01-14T17:15:00+00:00", "2026-01-15T17:15:00+00:00", ("2026-01-15", "2026-01-15")),
        ("2020-01-01T01:15:00+08:00", "2026-01-16T01:15:00+08:00", ("2025-11-14", "2026-01-15")),
    ],
)
def test_a_timer_s_days_are_china_s_and_none_is_left_out(
    previous: str, scheduled: str, days: tuple[str, str]
) -> None:
    assert since(previous, scheduled) == days


@pytest.mark.parametrize(
    "asked",
    [
        {"day": "2026-13-01"},
        {"day": "tomorrow"},
        {"day": "today", "from": "2026-01-01"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "2026-01-01", "to": "2026-12-31"},
        {"dya": "today"},
        {"scheduled": "soon"},
    ],
)
async def test_a_question_that_cannot_be_understood_is_refused(
    hospital: Gateway, asked: dict[str, str]
) -> None:
    with pytest.raises(Refused, match="JL-N211"):
        await hospital.send("statement", asked)


async def test_a_list_of_the_his_s_that_cannot_be_read_is_refused_with_its_place(hospital: Gateway) -> None:
    with pytest.raises(Refused, match=r"JL-N203.*\$\[0\]"):
        await account(hospital, his=[{"medfee_sumamt": 1}])
