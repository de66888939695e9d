"""What the engine remembers of its talk with an insurance centre, on both databases."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from journal_parts import KEYS, NOW
from msgspec.structs import replace

from config.crypto import SiteKeys
from config.errors import Unreachable
from endpoints.insurance.records import Ask, Exchange, SignIn, Taken
from router.store.durable import file_beside
from router.store.insurance_records import InsuranceRecords, insurance_records

CODE = "H99999900001"
_TABLES = ("insurance_exchange", "insurance_link", "insurance_key", "insurance_sign_in")


def records(
    url: str, keys: SiteKeys = KEYS, now_ms: Callable[[], int] = lambda: NOW + 500
) -> InsuranceRecords:
    return insurance_records(url, lambda: keys, now_ms)


@pytest.fixture
async def kept(journal_url: str) -> AsyncIterator[InsuranceRecords]:
    opened = records(journal_url)
    yield opened
    opened.close()


def msgid(serial: int, second: int = 0) -> str:
    return f"{CODE}202609220000{second + serial // 10_000:02}{serial % 10_000:04}"


async def begun(
    kept: InsuranceRecords, key: str = "m1", infno: str = "2207", at_ms: int = NOW, **links: str
) -> Exchange:
    ask = Ask(CODE, infno, key, at_ms, "0001", links)
    return await kept.begin(ask, msgid, lambda made: f'{{"msgid":"{made}"}}'.encode())


async def ended(kept: InsuranceRecords, one: Exchange, outcome: Any = "OK", **links: str) -> Exchange:
    return await kept.end(one, outcome, "0", "成功", b'{"infcode":0}', links)


def rows(url: str, table: str) -> list[tuple[Any, ...]]:
    """What lies in the database, as somebody without the key sees it."""
    if url.startswith("sqlite"):
        file = file_beside(Path(url.removeprefix("sqlite:///")), "insurance")
        with sqlite3.connect(file) as connection:
            found = connection.execute(f"SELECT * FROM {table}").fetchall()
        connection.close()
        return found
    with psycopg.connect(url) as server:
        return server.execute(f"SELECT * FROM {table}").fetchall()  # type: ignore[arg-type]


async def test_what_was_begun_is_there_after_a_restart(journal_url: str, kept: InsuranceRecords) -> None:
    one = await begun(kept, mdtrt_id="M1")
    kept.close()
    again = records(journal_url)
    try:
        found = await again.find(one.msgid)
    finally:
        again.close()
    assert found == one
    assert (one.state, one.request) == ("sent", f'{{"msgid":"{one.msgid}"}}'.encode())


async def test_no_msgid_is_given_twice_by_one_process(kept: InsuranceRecords) -> None:
    made = await asyncio.gather(*(begun(kept, f"m{n}") for n in range(300)))
    assert len({one.msgid for one in made}) == 300
    assert {one.msgid[:-4] for one in made} == {f"{CODE}20260922000000"}


async def test_a_full_second_gives_msgids_of_the_next(kept: InsuranceRecords) -> None:
    head = msgid(0)[:-4]
    await begun(kept)
    kept._serials[head] = 9_999
    made = [(await begun(kept, f"m{n}")).msgid for n in range(2)]
    assert [one[12:26] for one in made] == ["20260922000000", "20260922000001"]


async def test_a_msgid_that_another_process_has_is_passed_over(
    journal_url: str, kept: InsuranceRecords
) -> None:
    other = records(journal_url)
    other._drawn = kept._drawn = 17
    try:
        made = [await begun(one, f"m{n}") for n, one in enumerate((kept, other, kept, other))]
    finally:
        other.close()
    assert [one.msgid[-4:] for one in made] == ["0017", "0018", "0019", "0020"]


async def test_what_became_of_it_is_found_by_key_patient_and_visit(kept: InsuranceRecords) -> None:
    one = await begun(kept, "m1", psn_no="9999", mdtrt_id="M1")
    await begun(kept, "m2", psn_no="8888", mdtrt_id="M2")
    done = await ended(kept, one, setl_id="S1")
    assert (done.state, done.text, done.answer, done.ended_ms) == ("OK", "成功", b'{"infcode":0}', NOW + 500)
    assert dict(done.links) == {"mdtrt_id": "M1", "setl_id": "S1"}
    assert await kept.of_key(CODE, "m1") == [done]
    assert await kept.of_key("another", "m1") == []
    for links in ({"psn_no": "9999"}, {"setl_id": "S1"}, {"psn_no": "9999", "mdtrt_id": "M1"}):
        found = await kept.search(CODE, links=links)
        assert [(each.msgid, each.request, dict(each.links)) for each in found] == [
            (one.msgid, b"", {"mdtrt_id": "M1", "setl_id": "S1"})
        ]
    assert await kept.search(links={"psn_no": "9999", "mdtrt_id": "M2"}) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "sent"}, ["c"]),
        ({"state": "UNKNOWN"}, ["b"]),
        ({"infno": "2207"}, ["c", "b", "a"]),
        ({"since_ms": NOW + 1000}, ["c", "b"]),
        ({"since_ms": NOW, "until_ms": NOW + 1000}, ["a"]),
        ({"limit": 1}, ["c"]),
        ({"system": "another"}, []),
    ],
)
async def test_exchanges_are_searched_newest_first(
    kept: InsuranceRecords, asked: dict[str, Any], found: list[str]
) -> None:
    for n, (name, state) in enumerate((("a", "OK"), ("b", "UNKNOWN"), ("c", ""))):
        one = await begun(kept, name, at_ms=NOW + n * 1000)
        if state:
            await ended(kept, one, state)
    assert [one.key for one in await kept.search(**asked)] == found


async def test_better_evidence_changes_an_end_and_a_reversal_stays(kept: InsuranceRecords) -> None:
    one = await ended(kept, await begun(kept), "UNKNOWN", mdtrt_id="M1")
    assert (await ended(kept, one, "OK", setl_id="S1")).state == "OK"
    await kept.undone(one.msgid, "by")
    assert (await ended(kept, one, "OK")).state == "REVERSED"
    found = await kept.find(one.msgid)
    assert found is not None
    assert (found.state, found.reversed_by, dict(found.links)) == (
        "REVERSED",
        "by",
        {"mdtrt_id": "M1", "setl_id": "S1"},
    )


async def test_a_days_account_has_settlements_and_their_cancels_but_nothing_that_2601_reversed(
    kept: InsuranceRecords,
) -> None:
    async def done(key: str, infno: str, outcome: str = "OK") -> Exchange:
        return await ended(kept, await begun(kept, key, infno), outcome)

    await done("query", "5203")
    await done("no", "2207", "REJECTED")
    await done("unknown", "2304", "UNKNOWN")
    await done("kept", "2207")
    cancelled, cancel = await done("cancelled", "2207"), await done("cancel", "2208")
    reversed_, reversal = await done("reversed", "2304"), await done("reversal", "2601")
    await kept.undone(cancelled.msgid, cancel.msgid)
    await kept.undone(reversed_.msgid, reversal.msgid)
    found = [one.key async for one in kept.settled(CODE, NOW, NOW + 1000)]
    assert sorted(found) == ["cancel", "cancelled", "kept"]
    assert [one async for one in kept.settled(CODE, NOW, NOW + 500)] == []


async def test_many_settlements_of_a_moment_are_all_accounted_for_once(
    kept: InsuranceRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.store.insurance_records._PAGE", 7)
    await asyncio.gather(*[ended(kept, await begun(kept, f"m{n}")) for n in range(30)])
    found = [one.msgid async for one in kept.settled(CODE, NOW, NOW + 1000)]
    assert len(found) == len(set(found)) == 30


async def test_of_two_who_sign_in_the_first_holds_for_both(journal_url: str, kept: InsuranceRecords) -> None:
    other = records(journal_url)
    mine, theirs = (SignIn(CODE, "0001", "d", "2026-09-22", sign_no) for sign_no in ("S1", "S2"))
    try:
        assert await kept.signed(*_whose(mine)) is None
        assert await kept.sign_in(mine) == mine
        assert await other.sign_in(theirs) == mine
        await other.sign_out(theirs)  # of what is not the one that holds
        assert await other.signed(*_whose(mine)) == mine
        await other.sign_out(mine)
        assert await kept.signed(*_whose(mine)) is None
    finally:
        other.close()


def _whose(made: SignIn) -> tuple[str, str, str, str]:
    return made.system, made.opter, made.device, made.day


async def test_who_the_patient_is_and_what_was_said_lie_in_no_row_in_clear(
    journal_url: str, kept: InsuranceRecords
) -> None:
    one = await begun(kept, psn_no="77770000000000000000000001", certno="99999919800101001X", mdtrt_id="M-77")
    await kept.end(one, "REJECTED", "-1", "余额不足 of 77770000000000000000000001", b"answer M-77", {})
    found = await kept.find(one.msgid)
    assert found is not None
    assert "余额不足" in found.text
    told = repr([rows(journal_url, table) for table in _TABLES])
    for secret in ("77770000", "99999919800101001X", "M-77", "余额", repr("余额".encode())[2:-1]):
        assert secret not in told


async def test_another_sites_key_does_not_open_them(journal_url: str, kept: InsuranceRecords) -> None:
    await begun(kept)
    stranger = records(journal_url, SiteKeys(bytes([1]) * 16))
    with pytest.raises(Unreachable, match="JL-E851"):
        await begun(stranger)
    stranger.close()


async def test_they_open_with_the_new_key_alone_once_it_wraps_theirs(
    journal_url: str, kept: InsuranceRecords
) -> None:
    nothing = records(journal_url)
    assert nothing.rekey() == 0  # and makes nothing
    nothing.close()
    one, new = await begun(kept), bytes([1]) * 16
    both, alone = records(journal_url, SiteKeys(new, [bytes(16)])), records(journal_url, SiteKeys(new))
    assert (both.rekey(), both.rekey()) == (1, 0)
    found = await alone.find(one.msgid)
    both.close()
    alone.close()
    assert found == one


async def test_a_row_that_was_changed_says_so_and_hides_no_other(
    journal_url: str, kept: InsuranceRecords
) -> None:
    first, second = await begun(kept, "m1"), await begun(kept, "m2")
    _run(journal_url, f"UPDATE insurance_exchange SET facts = request WHERE msgid = '{first.msgid}'")
    found = {one.msgid: one.text for one in await kept.search(CODE)}
    assert "该行已被改动" in found[first.msgid]
    assert found[second.msgid] == ""


def _run(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(file_beside(Path(url.removeprefix("sqlite:///")), "insurance"))
        with connection:
            connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(url) as server:
        server.execute(statement)  # type: ignore[arg-type]


async def test_one_whose_request_cannot_be_made_hinders_no_other(kept: InsuranceRecords) -> None:
    def broken(made: str) -> bytes:
        raise ValueError("no request")

    ask = Ask(CODE, "2207", "m0", NOW)
    bad, good = await asyncio.gather(
        kept.begin(ask, msgid, broken), begun(kept, "m1"), return_exceptions=True
    )
    assert isinstance(bad, ValueError)
    assert isinstance(good, Exchange)
    assert await kept.of_key(CODE, "m0") == []


async def test_a_begin_that_nobody_waited_for_leaves_no_row_that_looks_sent(kept: InsuranceRecords) -> None:
    waiting = asyncio.create_task(begun(kept, "m1"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await begun(kept, "m2")  # behind it, in the one order of writing
    assert [one.key for one in await kept.search()] == ["m2", "m1"]
    await begun(kept, "m3")
    assert await kept.of_key(CODE, "m1") == []
    assert await kept.search(state="sent", links={"mdtrt_id": "M"}) == []


async def test_what_has_an_end_goes_when_its_time_is_over_and_what_has_none_stays(
    kept: InsuranceRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.store.insurance_records._PRUNED", 2)
    for n in range(5):
        await ended(kept, await begun(kept, f"old{n}", mdtrt_id="M"))
    await begun(kept, "sent")
    await ended(kept, await begun(kept, "unknown"), "UNKNOWN")
    await ended(kept, await begun(kept, "new", at_ms=NOW + 1))
    assert await kept.forget(NOW + 1) == 5
    assert sorted(one.key for one in await kept.search()) == ["new", "sent", "unknown"]
    assert await kept.search(links={"mdtrt_id": "M"}) == []


async def test_a_database_that_is_away_is_said_before_anything_leaves() -> None:
    away = records("postgresql://127.0.0.1:1/none")
    with pytest.raises(Unreachable, match="JL-E850") as said:
        await begun(away)
    assert not said.value.maybe_done
    away.close()


async def test_a_process_without_a_database_says_so() -> None:
    none = records("")
    with pytest.raises(Unreachable, match="JL-E852"):
        await begun(none)


_MANY = """
import asyncio, multiprocessing, sys
from test_insurance_records import begun, records

def work(n):
    async def begin():
        kept = records(sys.argv[1])
        made = await asyncio.gather(*(begun(kept, f"{n}-{m}") for m in range(500)))
        kept.close()
        return [one.msgid for one in made]
    return asyncio.run(begin())

with multiprocessing.get_context("fork").Pool(4) as pool:
    for made in pool.map(work, range(4), chunksize=1):
        print(*made)
"""


def test_four_processes_at_once_never_have_the_same_msgid(journal_url: str) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    line = [sys.executable, "-c", _MANY, journal_url]
    done = subprocess.run(line, stdout=subprocess.PIPE, env=env, timeout=100, check=True)
    made = [one.split() for one in done.stdout.decode().splitlines()]
    assert [len(each) for each in made] == [500] * 4
    assert len({one for each in made for one in each}) == 2_000
    assert len(rows(journal_url, "insurance_exchange")) == 2_000


async def test_of_many_who_begin_under_one_key_at_once_one_has_it(
    journal_url: str, kept: InsuranceRecords
) -> None:
    others = [records(journal_url) for _ in range(3)]
    ask = Ask(CODE, "2207", "m1", NOW, known=frozenset())

    async def one_of(each: InsuranceRecords) -> Exchange | None:
        try:
            return await each.begin(ask, msgid, lambda made: b"{}")
        except Taken:
            return None

    made = await asyncio.gather(*(one_of(each) for each in (kept, *others) * 5))
    for each in others:
        each.close()
    (first,) = [one for one in made if one is not None]
    assert [one.msgid for one in await kept.of_key(CODE, "m1")] == [first.msgid]
    again = replace(ask, known=frozenset((first.msgid,)))  # who knows of it may
    assert await kept.begin(again, msgid, lambda made: b"{}")
    assert await one_of(kept) is None
    other = replace(ask, infno="2208")
    assert await kept.begin(other, msgid, lambda made: b"{}")


async def test_nothing_that_is_known_becomes_unknown_again(kept: InsuranceRecords) -> None:
    one = await begun(kept)
    done = await ended(kept, one)
    assert await kept.end(one, "UNKNOWN", "", "late", b"", {}) == done


async def test_of_two_processes_that_end_it_at_once_what_is_known_stays(
    journal_url: str, kept: InsuranceRecords
) -> None:
    other = records(journal_url)
    for n in range(20):
        one = await begun(kept, f"m{n}")
        await asyncio.gather(
            other.end(one, "UNKNOWN", "", "the process died", b"", {}),
            kept.end(one, "OK", "0", "", b"{}", {}),
        )
        found = await kept.find(one.msgid)
        assert found is not None
        assert found.state == "OK"
    other.close()


@pytest.mark.parametrize("less", ["REJECTED", "PROCESSING", "UNKNOWN"])
async def test_what_was_done_is_not_made_undone_by_a_query_that_did_not_see_it(
    kept: InsuranceRecords, less: Any
) -> None:
    one = await begun(kept)
    done = await ended(kept, one)
    assert await kept.end(one, less, "", "no settlement of this message", b"", {}) == done
    assert await kept.find(one.msgid) == done


async def test_a_centres_own_code_is_no_sign_that_nothing_left(kept: InsuranceRecords) -> None:
    one = await begun(kept)
    assert not (await kept.end(one, "UNKNOWN", "JL0031", "报文ID重复", b"", {})).never_left
    other = await begun(kept)
    assert (await kept.end(other, "REJECTED", "JL-E220", "no connection", b"", {})).never_left
