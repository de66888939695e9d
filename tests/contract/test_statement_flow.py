"""The day's account with a centre, step by step: who has more, what to do, and on after a break."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journal_parts import KEYS
from statement_centre import NOON, SYSTEM, Accounting, settle
from statement_parts import row

from config.errors import Refused, Unreachable
from endpoints.insurance.files import Answer
from endpoints.insurance.statement import Statements, Wanted
from endpoints.insurance.statement_kept import Kept, Statement
from router.store.insurance_records import InsuranceRecords, insurance_records
from schemas.nhsa.statement import FORMS, Amounts, Form, Key, Row

DAY = Wanted("2026-01-15", "2026-01-15")


class Clock:
    """The records'. Unix milliseconds."""

    at_ms = NOON + 1000

    def __call__(self) -> int:
        return self.at_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def records(tmp_path: Path, clock: Clock) -> AsyncIterator[InsuranceRecords]:
    opened = insurance_records(f"sqlite:///{tmp_path}/records.db", lambda: KEYS, clock)
    yield opened
    opened.close()


class Site:
    """An institution and its centre."""

    def __init__(self, records: InsuranceRecords, folder: Path, form: Form = FORMS["baseline"]) -> None:
        self.records, self.centre, self.kept = records, Accounting(form), Kept(folder / "statements")
        self.told: list[str] = []
        self.now_s = NOON / 1000
        self.statements = Statements(
            SYSTEM,
            self.centre,
            records,
            form,
            self.kept,
            lambda: self.now_s,
            folder / "files",
            lambda account, step: self.told.append(step),
        )

    async def both(self, made: Row, **options: Any) -> Row:
        """Settled, and both know it."""
        kept = await settle(self.records, made, **options)
        self.centre.book[kept.setl_id] = kept
        return kept

    async def run(self, wanted: Wanted = DAY) -> Statement:
        self.told.clear()
        return await self.statements.run(wanted)


@pytest.fixture
def site(records: InsuranceRecords, tmp_path: Path) -> Site:
    return Site(records, tmp_path)


async def test_an_equal_day_is_asked_for_once_for_each_group(site: Site) -> None:
    for number in range(1, 4):
        await site.both(row(number))
    await site.both(row(4, insutype="390", clr_type="21", infno="2304"))
    made = await site.run()
    assert made.equal
    assert [(a.key.insutype, a.count, a.medfee_fen, a.state) for a in made.accounts] == [
        ("310", 3, 25950, "equal"),
        ("390", 1, 8650, "equal"),
    ]
    assert site.told == ["3201", "3201"]
    again = await site.run()  # the centre may have other books by now
    assert (again.equal, site.told) == (True, ["3201", "3201"])


async def test_a_settlement_whose_answer_was_lost_is_to_be_reversed_by_its_msgid_and_then_all_is_equal(
    site: Site,
) -> None:
    await site.both(row(1))
    lost = await site.both(row(2), outcome="UNKNOWN")
    made = await site.run()
    assert not made.equal
    (account,) = made.accounts
    (detail,) = made.details
    assert (account.state, account.rslt, detail.listed) == ("unequal", "1", 2)
    (one,) = detail.differences
    assert (one.kind, one.setl_id, one.advice.transaction) == ("centre more", "S2", "2601")
    assert one.advice.input == {"psn_no": "P2", "omsgid": lost.msgid, "oinfno": "2207"}
    assert site.told == ["3201", "9101", "3202", "9102"]
    del site.centre.book["S2"]  # 2601
    await site.records.undone(lost.msgid, "H99999900001202601151300000001")
    assert (await site.run()).equal


async def test_the_only_settlement_of_its_kind_is_found_though_its_answer_was_lost(site: Site) -> None:
    await site.both(row(1))
    lost = await site.both(row(2, insutype="390"), outcome=None)  # the process died before the answer
    made = await site.run()
    assert [(a.key.insutype, a.state) for a in made.accounts] == [("310", "equal"), ("390", "unequal")]
    (one,) = made.details[0].differences
    assert one.advice.input == {"psn_no": "P2", "omsgid": lost.msgid, "oinfno": "2207"}


async def test_a_group_of_nothing_is_asked_for_where_the_site_says_so(site: Site) -> None:
    site.centre.book["S9"] = row(9, insutype="390", msgid="X")
    made = await site.run(replace(DAY, always=(Key("999900", "390", "11"),)))
    (account,) = made.accounts
    assert (account.count, account.state, made.details[0].differences[0].kind) == (
        0,
        "unequal",
        "centre more",
    )


async def test_what_only_the_hospital_has_is_its_own_to_correct(site: Site) -> None:
    await site.both(row(1))
    await settle(site.records, row(2))
    made = await site.run()
    (one,) = made.details[0].differences
    assert (one.kind, one.setl_id, one.advice.transaction) == ("hospital more", "S2", "5203")
    assert (one.ours, one.centre, one.memo) == (row(2).amounts, None, "中心无")


async def test_amounts_that_differ_are_shown_side_by_side(site: Site) -> None:
    kept = await site.both(row(1))
    site.centre.book["S1"] = replace(kept, amounts=Amounts(8650, 5000, 2040, 1610))
    made = await site.run()
    (one,) = made.details[0].differences
    assert (one.kind, one.centre, one.ours) == ("amounts", Amounts(8650, 5000, 2040), kept.amounts)


async def test_a_cancel_counts_against_its_settlement_also_one_of_a_day_before(site: Site) -> None:
    await site.both(row(1, day="2026-01-14"), at_ms=NOON - 86_400_000, serial=500)
    await site.both(row(2))
    cancel = row(3, cancel=True, cancels="S1", infno="2208")
    await site.both(cancel, serial=1000)
    made = await site.run()
    (account,) = made.accounts
    assert (account.state, account.count, account.medfee_fen) == ("equal", 0, 0)


async def test_cancels_are_a_group_of_their_own_where_the_province_has_it_so(
    records: InsuranceRecords, tmp_path: Path
) -> None:
    site = Site(records, tmp_path, FORMS["later"])
    await site.both(row(1))
    await site.both(row(2, cancel=True, cancels="S1", infno="2208"))
    made = await site.run()
    assert [(a.key.flag, a.count, a.medfee_fen, a.state) for a in made.accounts] == [
        ("0", 1, 8650, "equal"),
        ("1", 1, 8650, "equal"),
    ]


async def test_three_books_tell_who_lost_it(site: Site) -> None:
    for number in (1, 2):
        await site.both(row(number))
    his = "结算ID,医疗费总额,基金支付总额,个人账户支出,结算时间\nS1,86.50,50.40,20,2026-01-15\n"
    made = await site.run(replace(DAY, his=his.encode()))
    assert [(one.kind, one.setl_id, one.advice.transaction) for one in made.differences] == [
        ("HIS lacks", "S2", "2208")
    ]
    (account,) = made.accounts
    assert (account.count, account.state) == (1, "unequal")  # what the HIS declares is one less
    (one,) = made.details[0].differences
    assert (one.kind, one.advice.transaction) == ("centre more", "2208")
    assert "HIS" in one.advice.zh


async def test_what_was_settled_past_the_engine_is_well_where_the_his_and_the_centre_agree(
    site: Site,
) -> None:
    await site.both(row(1))
    site.centre.book["S2"] = row(2, msgid="X")  # mobile payment
    head = "setl_id,insutype,clr_type,setl_optins,medfee_sumamt,fund_pay_sumamt,acct_pay\n"
    his = head + "".join(f"S{n},310,11,999900,86.50,50.40,20\n" for n in (1, 2))
    made = await site.run(replace(DAY, his=his.encode()))
    assert (made.equal, [a.count for a in made.accounts]) == (True, [2])
    del site.centre.book["S2"]
    made = await site.run(replace(DAY, his=his.encode()))
    assert [one.kind for one in made.differences] == ["record lacks"]
    assert [one.kind for one in made.details[0].differences] == ["hospital more"]


async def test_a_row_of_the_his_s_that_names_no_insurance_is_said_and_not_declared(site: Site) -> None:
    his = "setl_id,medfee_sumamt,fund_pay_sumamt,acct_pay\nS7,1,1,0\n"
    made = await site.run(replace(DAY, his=his.encode()))
    assert made.accounts == ()
    assert [one.kind for one in made.differences] == ["record lacks", "no group"]


@pytest.mark.parametrize("step", ["3201", "9101", "3202", "9102"])
async def test_a_run_that_breaks_off_at_any_step_goes_on_without_doing_twice_what_was_kept(
    site: Site, step: str
) -> None:
    await site.both(row(1))
    await site.both(row(2), outcome="UNKNOWN")
    away = Unreachable("JL-E001", "the centre is not there")
    site.centre.fails = lambda infno, count: away if infno == step else None
    with pytest.raises((Unreachable, Refused)):
        await site.run()
    stored = site.kept.load(SYSTEM, "2026-01-15", "2026-01-15")
    assert stored is not None
    assert stored.ended_ms == 0
    assert not stored.equal
    site.centre.fails = lambda infno, count: None
    began = site.kept.load(SYSTEM, "2026-01-15", "2026-01-15")
    made = await site.run()
    assert [one.kind for one in made.details[0].differences] == ["centre more"]
    steps = {"3201": ["3201", "9101", "3202", "9102"], "9102": ["asked before", "9102"]}
    assert site.told == steps.get(step, ["asked before", "9101", "3202", "9102"])
    assert began is not None
    site.kept.save(began)
    await site.run(replace(DAY, again=True))
    assert site.told == ["3201", "9101", "3202", "9102"]
    site.kept.save(began)
    site.now_s += 3600  # too long ago to be relied on
    await site.run()
    assert site.told[0] == "3201"


async def test_a_result_file_that_the_centre_has_no_more_is_asked_for_anew(site: Site) -> None:
    await site.both(row(1), outcome="UNKNOWN")
    always = replace(DAY, always=(Key("999900", "310", "11"),))
    site.centre.fails = lambda infno, count: b"<html>" if infno == "9102" else None
    with pytest.raises(Refused, match="JL-N202"):
        await site.run(always)
    site.centre.fails = lambda infno, count: None
    site.centre.files = {name: one for name, one in site.centre.files.items() if name[0] != "R"}
    made = await site.run(always)
    assert site.told == ["asked before", "9102", "9101", "3202", "9102"]
    assert made.accounts[0].state == "unequal"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer("REJECTED", None, "-1", "清算机构不存在"), "refused"),
        (Answer("UNKNOWN", None, "", "timeout"), "unknown"),
        (Answer("OK", None), "unknown"),
        (Answer("OK", {"stmtinfo": {"stmt_rslt": "000000"}}), "equal"),
    ],
)
async def test_an_answer_that_is_no_result_is_not_taken_for_equal(
    site: Site, answer: Answer, state: str
) -> None:
    await site.both(row(1))
    site.centre.fails = lambda infno, count: answer if infno == "3201" else None
    made = await site.run()
    assert (made.accounts[0].state, made.accounts[0].text) == (state, answer.text)
    assert made.equal == (state == "equal")


async def test_a_settlement_whose_amounts_cannot_be_read_keeps_the_day_from_being_equal(site: Site) -> None:
    await site.both(row(1))
    broken = replace(row(2), amounts=Amounts(1, 1, 1))
    await settle(site.records, broken)
    whole = site.records.settled

    async def settled(*asked: Any) -> AsyncIterator[Any]:
        from msgspec.structs import replace as changed

        async for one in whole(*asked):
            yield changed(one, answer=b'{"output":{"setlinfo":{}}}') if "S2" in str(one.answer) else one

    site.records.settled = settled  # type: ignore[method-assign, assignment]
    made = await site.run()
    assert [(one.infno, one.code) for one in made.unread] == [("2207", "JL-N200")]
    assert not made.equal


async def test_the_centre_s_day_counts_not_when_we_asked(site: Site, clock: Clock) -> None:
    await site.both(row(1))
    clock.at_ms = NOON + 43_199_000  # a second before midnight here, after it there
    await site.both(row(2, day="2026-01-16"))
    assert [a.count for a in (await site.run()).accounts] == [1]
    tomorrow = await site.run(Wanted("2026-01-16", "2026-01-16"))
    assert [(a.count, a.state) for a in tomorrow.accounts] == [(1, "equal")]


async def test_only_one_insurance_may_be_asked_for(site: Site) -> None:
    await site.both(row(1))
    await site.both(row(2, insutype="390"))
    made = await site.run(replace(DAY, insutype="390"))
    assert [a.key.insutype for a in made.accounts] == ["390"]


async def test_statements_are_listed_newest_first_and_lie_for_the_engine_s_user_alone(site: Site) -> None:
    await site.both(row(1))
    await site.run()
    await site.run(Wanted("2026-01-16", "2026-01-16"))
    assert [made.begin for made in site.kept.all()] == ["2026-01-16", "2026-01-15"]
    files = list((site.kept._folder / SYSTEM).iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not list((site.kept._folder.parent / "files").glob("*"))  # nothing of a result file stays


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_name_that_is_none_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no statement"):
        Kept(tmp_path).load(name, "2026-01-15", "2026-01-15")
