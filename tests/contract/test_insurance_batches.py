"""Rows that go up together, to the sandbox's centre, which takes all of a list or nothing: each has its own end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_parts import Gateway, gateway

from config.errors import Refused
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample


def fees(count: int, bad: set[int] = frozenset(), field: str = "prodname") -> list[dict[str, Any]]:  # type: ignore[assignment]
    """Fee lines F1 to Fn of one bill; the bad ones have no `field`, which must be there."""
    (line,) = sample(transaction("4201"))["feedetail"]
    made = [{**line, "feedetl_sn": f"F{number}"} for number in range(1, count + 1)]
    for number in bad:
        made[number - 1][field] = ""
    return json.loads(json.dumps(made, default=str))  # type: ignore[no-any-return]


@pytest.fixture
async def unchecked(tmp_path: Path) -> AsyncIterator[Gateway]:
    """What the tables do not allow leaves all the same: so the centre has something to refuse."""
    async with gateway(tmp_path, apart="feedetail", check="off") as made:
        yield made


@pytest.fixture
async def checked(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, apart="feedetail") as made:
        yield made


def kept(hospital: Gateway) -> list[str]:
    rows = hospital.centre.books.rows("4201")
    return sorted((str(row["input"]["row"]["feedetl_sn"]) for row in rows), key=lambda sn: int(sn[1:]))


async def calls(hospital: Gateway) -> int:
    return len(await hospital.kept.search(hospital.party.system, infno="4201", limit=1000))


def ends(told: dict[str, Any]) -> dict[int, str]:
    return {one["row"]: one["outcome"] for one in told["rows"]}


async def test_good_rows_are_one_request(unchecked: Gateway) -> None:
    told = await unchecked.send("4201", {"feedetail": fees(20)}, "m1")
    assert told["outcome"] == "OK"
    assert set(ends(told).values()) == {"OK"}
    assert len(kept(unchecked)) == 20
    assert await calls(unchecked) == 1


@pytest.mark.parametrize("bad", [{1}, {8}, {3, 4}, {1, 5, 8}, set(range(1, 9))])
async def test_where_the_centre_refuses_some_the_others_are_kept_and_each_row_has_its_words(
    unchecked: Gateway, bad: set[int]
) -> None:
    told = await unchecked.send("4201", {"feedetail": fees(8, bad)}, "m1")
    assert told["outcome"] == "REJECTED"
    assert {number for number, end in ends(told).items() if end == "REJECTED"} == bad
    assert kept(unchecked) == [f"F{number}" for number in range(1, 9) if number not in bad]
    assert all(one["err_msg"] for one in told["rows"] if one["row"] in bad)
    assert all(one["msgid"] for one in told["rows"])
    assert told["err_msg"].startswith(f"{len(bad)} of 8 rows")


async def test_what_the_tables_do_not_allow_does_not_leave_and_the_rest_goes_in_one_request(
    checked: Gateway,
) -> None:
    told = await checked.send("4201", {"feedetail": fees(8, {2, 7})}, "m1")
    assert {number for number, end in ends(told).items() if end == "REJECTED"} == {2, 7}
    assert "商品名" in told["rows"][1]["err_msg"]
    assert len(kept(checked)) == 6
    assert await calls(checked) == 1


async def test_where_no_row_is_allowed_nothing_leaves(checked: Gateway) -> None:
    told = await checked.send("4201", {"feedetail": fees(2, {1, 2})}, "m1")
    assert (told["outcome"], set(ends(told).values()), await calls(checked)) == ("REJECTED", {"REJECTED"}, 0)


async def test_the_same_message_again_sends_nothing_again(unchecked: Gateway) -> None:
    rows = {"feedetail": fees(8, {3})}
    first = await unchecked.send("4201", rows, "m1")
    asked = await calls(unchecked)
    assert await unchecked.send("4201", rows, "m1") == first
    assert await calls(unchecked) == asked


async def test_where_one_of_the_halves_is_not_answered_its_rows_alone_are_unknown(unchecked: Gateway) -> None:
    rows = {"feedetail": fees(8, {1})}
    unchecked.centre.behave("4201", "lose", times=1, skip=2)  # of the third request nobody knows what became
    told = await unchecked.send("4201", rows, "m1")
    unknown = {number for number, end in ends(told).items() if end == "UNKNOWN"}
    assert 0 < len(unknown) < 8
    assert set(kept(unchecked)) == {f"F{number}" for number, end in ends(told).items() if end == "OK"}
    assert told["outcome"] == "UNKNOWN"


async def test_an_answer_that_is_lost_leaves_its_rows_unknown_and_not_refused(unchecked: Gateway) -> None:
    unchecked.centre.behave("4201", "cut", times=1)
    told = await unchecked.send("4201", {"feedetail": fees(3)}, "m1")
    assert (told["outcome"], set(ends(told).values())) == ("UNKNOWN", {"UNKNOWN"})


async def test_a_row_that_is_refused_may_make_the_message_a_dead_letter_that_says_which(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, apart="feedetail", check="off", rejected="dead") as hospital:
        with pytest.raises(Refused, match="1 of 4 rows") as refused:
            await hospital.send("4201", {"feedetail": fees(4, {2})}, "m1")
        assert "row 2" in str(refused.value)
        assert ends(json.loads(refused.value.answer)) == {1: "OK", 2: "REJECTED", 3: "OK", 4: "OK"}


async def test_more_bad_rows_than_can_be_told_apart_end_with_the_words_they_got_together(
    unchecked: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.insurance.batches.MOST_REQUESTS", 3)
    told = await unchecked.send("4201", {"feedetail": fees(16, set(range(1, 17)))}, "m1")
    assert set(ends(told).values()) == {"REJECTED"}
    assert await calls(unchecked) == 3


@pytest.mark.parametrize("tree", [{"feedetail": []}, {"feedetail": {}}, {"data": {}}])
async def test_without_a_list_there_is_nothing_to_divide(unchecked: Gateway, tree: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="JL-N003"):
        await unchecked.send("4201", tree, "m1")
