"""签到: one sign-in for an operator, a device and a day, shared over processes; and who asks the same at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from centre_parts import certificate, registration
from gateway_parts import Gateway, gateway, records_at

from config.errors import Refused
from deploy.sandbox.centre import Centre, Settings

Tree = dict[str, Any]


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as made:
        yield made


async def another(at: Gateway, tmp_path: Path, **said: Any) -> Gateway:
    """Of another process: it shares the database alone."""
    return Gateway(at.centre, records_at(f"sqlite:///{tmp_path}/journal.db"), at.patient, **said)


async def gone(one: Gateway) -> None:
    await one.stop()
    one.kept.close()


def card(at: Gateway) -> Tree:
    return {"data": certificate(at.patient)}


async def sign_ins(at: Gateway) -> list[str]:
    return [one.state for one in await at.kept.search(infno="9001")]


async def test_messages_at_once_share_one_sign_in_that_a_later_process_uses_too(
    at: Gateway, tmp_path: Path
) -> None:
    await asyncio.gather(*(at.send("1101", card(at)) for _ in range(8)))
    other = await another(at, tmp_path)
    assert (await other.send("1101", card(at)))["outcome"] == "OK"
    await gone(other)
    assert await sign_ins(at) == ["OK"]
    assert len(at.centre.books.signins) == 1


async def test_two_processes_that_sign_in_at_once_use_the_one_that_was_kept(
    at: Gateway, tmp_path: Path
) -> None:
    other = await another(at, tmp_path)
    at.centre.behave("9001", "delayed", times=2, seconds=0.2)
    told = await asyncio.gather(at.send("1101", card(at)), other.send("1101", card(at)))
    used = {json.loads((await at.row(one["msgid"])).request)["sign_no"] for one in told}
    await gone(other)
    assert [one["outcome"] for one in told] == ["OK", "OK"]
    assert len(used) == 1


async def test_each_operator_and_device_has_its_own(at: Gateway) -> None:
    for fields in ({}, {"opter": "0002"}, {"opter": "0002", "dev_no": "K1"}, {"opter": "0002"}):
        assert (await at.send("1101", card(at), **fields))["outcome"] == "OK"
    assert await sign_ins(at) == ["OK"] * 3


async def test_a_new_day_in_china_needs_a_new_one(at: Gateway) -> None:
    await at.send("1101", card(at))
    at.later_s = 86_400.0
    await at.send("1101", card(at))
    assert await sign_ins(at) == ["OK"] * 2


async def test_one_that_the_centre_ended_is_made_anew_and_the_message_is_sent_once_more(
    at: Gateway, tmp_path: Path
) -> None:
    await at.send("1101", card(at))
    other = await another(at, tmp_path)
    assert (await other.send("1101", card(at)))["outcome"] == "OK"
    at.centre.expire()
    told = await at.send("2201", registration(at.patient), "m1")
    assert told["outcome"] == "OK"
    assert len(at.centre.books.visits) == 1
    tries = await at.kept.of_key("H99999900001", "m1")
    assert [one.state for one in tries] == ["REJECTED", "OK"]
    assert tries[0].msgid != tries[1].msgid
    assert (await at.send("2201", registration(at.patient), "m1"))["msgid"] == told["msgid"]
    # The other process held the old one: it finds that of the first, and makes none.
    assert (await other.send("1101", card(at)))["outcome"] == "OK"
    await gone(other)
    assert await sign_ins(at) == ["OK"] * 2


async def test_where_every_sign_in_is_over_at_once_the_refusal_is_the_answer(at: Gateway) -> None:
    at.centre.behave("2201", "expired", times=5)
    told = await at.send("2201", registration(at.patient), "m1")
    assert (told["outcome"], told["err_msg"]) == ("REJECTED", "签到信息已失效,请重新签到")
    at.centre.well()
    again = await at.send("2201", registration(at.patient), "m1")  # nothing was booked: it may be sent
    assert again["outcome"] == "OK"
    assert len(at.centre.books.visits) == 1


@pytest.mark.parametrize("kind", ["refuse", "null", "cut", "html"])
async def test_without_a_sign_in_nothing_else_leaves(at: Gateway, kind: str) -> None:
    at.centre.behave("9001", kind, times=1)
    with pytest.raises(Exception, match=r"JL-(N017|N013|E22\d)") as said:
        await at.send("2201", registration(at.patient), "m1")
    assert not isinstance(said.value, Refused) or said.value.retry
    assert {one.infno for one in at.centre.books.msgids.values()} <= {"9001"}
    assert (await at.send("2201", registration(at.patient), "m1"))["outcome"] == "OK"


async def test_a_centre_that_wants_none_is_sent_none(tmp_path: Path) -> None:
    centre = Centre(settings=Settings(sign_in_required=False))
    async with gateway(tmp_path, centre=centre, sign_in=False) as at:
        told = await at.send("1101", card(at))
        assert told["outcome"] == "OK"
        assert json.loads((await at.row(told["msgid"])).request)["sign_no"] == ""
        assert await sign_ins(at) == []
        assert (await at.send("sign_in", {}))["sign_no"] == ""


async def test_an_operator_signs_in_and_out(at: Gateway) -> None:
    told = await at.send("sign_in", {"opter": "0009"})
    assert told["sign_no"]
    out = await at.send("sign_out", {"opter": "0009"})
    assert (out["outcome"], out["infno"]) == ("OK", "9002")
    assert (await at.send("sign_out", {"opter": "0009"}))["msgid"] == ""
    assert (await at.send("sign_in", {"opter": "0009"}))["sign_no"] != told["sign_no"]


async def test_of_processes_that_have_the_same_message_at_once_one_sends_it(
    at: Gateway, tmp_path: Path
) -> None:
    others = [await another(at, tmp_path) for _ in range(3)]
    for one in (at, *others):
        await one.send("sign_in", {})
    told = await asyncio.gather(
        *(one.send("2201", registration(at.patient), "m1") for one in (at, *others, at)),
        return_exceptions=True,
    )
    for one in others:
        await gone(one)
    assert len({one["msgid"] for one in told if isinstance(one, dict)}) == 1, told
    arrived = [one for one in at.centre.books.msgids.values() if one.infno == "2201"]
    assert len(arrived) == 1
    again = await at.send("2201", registration(at.patient), "m1")
    assert again["outcome"] == "OK"
