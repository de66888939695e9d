"""What became of a message whose answer was lost, and how it is undone: against the centre's books."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from centre_parts import admission, agreed, bill, charged, departure, key, line, purchase, registration, stay
from gateway_parts import Gateway, gateway, records_at

from config.errors import Refused, Unreachable
from schemas.message import Message

Tree = dict[str, Any]
LATER_S = 200.0  # longer than any lag


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as made:
        yield made


async def _2201(at: Gateway) -> Tree:
    return registration(at.patient)


async def _visit(at: Gateway) -> str:
    return str((await at.done("2201", registration(at.patient)))["data"]["mdtrt_id"])


async def _2202(at: Gateway) -> Tree:
    return _key(at, await _visit(at), ipt_otp_no="O1")


async def _2204(at: Gateway) -> Tree:
    mdtrt_id = await charged(at)  # type: ignore[arg-type]
    return {
        "feedetail": [line(at.patient, mdtrt_id, n, "XTEST000000000000001", "1.00") for n in ("L1", "L2")]
    }


async def _2205(at: Gateway) -> Tree:
    return _key(at, await charged(at), chrg_bchno="B1")  # type: ignore[arg-type]


async def _2207(at: Gateway) -> Tree:
    mdtrt_id = await charged(at)  # type: ignore[arg-type]
    seen = (await at.done("2206", bill(at.patient, mdtrt_id, "86.50")))["setlinfo"]
    return bill(at.patient, mdtrt_id, "86.50", **agreed(seen))


async def _2208(at: Gateway) -> Tree:
    setl = (await at.done("2207", await _2207(at)))["setlinfo"]
    return _key(at, setl["mdtrt_id"], setl_id=setl["setl_id"])


async def _2401(at: Gateway) -> Tree:
    return admission(at.patient)


async def _admitted(at: Gateway) -> str:
    return str((await at.done("2401", admission(at.patient)))["result"]["mdtrt_id"])


async def _2301(at: Gateway) -> Tree:
    rows = [line(at.patient, await _admitted(at), "L1", "XTEST000000000000001", "10.00", med_type="21")]
    return {"feedetail": rows}


async def _2302(at: Gateway) -> Tree:
    tree = await _2301(at)
    await at.done("2301", tree)
    row = tree["feedetail"][0]
    return {"data": [{name: row[name] for name in ("feedetl_sn", "mdtrt_id", "psn_no")}]}


async def _2402(at: Gateway) -> Tree:
    return departure(at.patient, await _admitted(at))


async def _2404(at: Gateway) -> Tree:
    return _key(at, await _admitted(at))


async def _2405(at: Gateway) -> Tree:
    tree = await _2402(at)
    await at.done("2402", tree)
    return _key(at, tree["dscginfo"]["mdtrt_id"])


async def _2304(at: Gateway) -> Tree:
    rows = await _2301(at)
    await at.done("2301", rows)
    mdtrt_id = rows["feedetail"][0]["mdtrt_id"]
    await at.done("2402", departure(at.patient, mdtrt_id))
    parts = {
        "fulamt_ownpay_amt": "0",
        "overlmt_selfpay": "0",
        "preselfpay_amt": "0",
        "inscp_scp_amt": "10.00",
    }
    return stay(at.patient, mdtrt_id, "10.00", **parts)


async def _2305(at: Gateway) -> Tree:
    setl = (await at.done("2304", await _2304(at)))["setlinfo"]
    return _key(at, setl["mdtrt_id"], setl_id=setl["setl_id"])


def _key(at: Gateway, mdtrt_id: str, **fields: str) -> Tree:
    return key(at, mdtrt_id, **fields)  # type: ignore[arg-type]


Lost = tuple[str, Callable[[Gateway], Awaitable[Tree]]]
WRITES: list[Lost] = [
    ("2201", _2201),
    ("2202", _2202),
    ("2204", _2204),
    ("2205", _2205),
    ("2207", _2207),
    ("2208", _2208),
    ("2301", _2301),
    ("2302", _2302),
    ("2304", _2304),
    ("2305", _2305),
    ("2401", _2401),
    ("2402", _2402),
    ("2404", _2404),
    ("2405", _2405),
]
_each = pytest.mark.parametrize(("infno", "made"), WRITES, ids=[infno for infno, _ in WRITES])


async def lost(at: Gateway, infno: str, tree: Tree, how: str) -> Tree:
    at.centre.behave(infno, how, times=1)
    told = await at.send(infno, tree, "m1")
    assert told["outcome"] == "UNKNOWN"
    return told


@_each
async def test_one_that_was_done_and_not_told_is_found_to_be_done(
    at: Gateway, infno: str, made: Callable[[Gateway], Awaitable[Tree]]
) -> None:
    told = await lost(at, infno, await made(at), "cut")
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("DONE", "OK"), found
    assert found["evidence"]
    again = await at.send("probe", {"key": "m1"})  # asked again, the records know
    assert (again["verdict"], again["evidence"]) == ("DONE", [])


@_each
async def test_one_that_never_came_is_not_done_once_queries_have_had_their_time(
    at: Gateway, infno: str, made: Callable[[Gateway], Awaitable[Tree]]
) -> None:
    told = await lost(at, infno, await made(at), "lose")
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("CANNOT_SAY", "UNKNOWN"), found
    at.later_s = LATER_S
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("NOT_DONE", "REJECTED"), found


async def test_a_settlement_that_was_found_has_its_amounts_and_its_number(at: Gateway) -> None:
    told = await lost(at, "2207", await _2207(at), "html")
    found = await at.send("probe", {"msgid": told["msgid"]})
    (booked,) = at.centre.books.settlements.values()
    setl = found["output"]["setlinfo"]
    assert (setl["setl_id"], found["links"]["setl_id"]) == (booked.setl_id, booked.setl_id)
    assert setl["psn_part_amt"] == setl["psn_pay"]
    again = await at.send("2207", await _again(at, told), "m1")  # the message comes again: it is answered
    assert (again["outcome"], again["output"]["setlinfo"]["setl_id"]) == ("OK", booked.setl_id)
    assert len(at.centre.books.settlements) == 1


async def _again(at: Gateway, told: Tree) -> Tree:
    tree = json.loads((await at.row(told["msgid"])).request)["input"]
    assert isinstance(tree, dict)
    return tree


async def test_while_queries_lag_a_settlement_that_is_not_shown_is_not_said_to_be_none(at: Gateway) -> None:
    tree = await _2207(at)
    for query in ("5203", "5204"):
        at.centre.behave(query, "lag")
    told = await lost(at, "2207", tree, "cut")
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("CANNOT_SAY", "UNKNOWN")
    at.centre.well()
    at.later_s = LATER_S
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("DONE", "OK")


@pytest.mark.parametrize("infno", ["2202", "2402", "2404", "2405"])
async def test_a_visit_of_which_the_records_know_no_beginning_is_not_said_to_be_gone(
    at: Gateway, tmp_path: Path, infno: str
) -> None:
    tree = await dict(WRITES)[infno](at)
    stranger = Gateway(at.centre, records_at(f"sqlite:///{tmp_path}/other.db"))
    stranger.later_s = LATER_S
    told = await lost(stranger, infno, tree, "lose")
    stranger.later_s = 2 * LATER_S
    found = await stranger.send("probe", {"msgid": told["msgid"]})
    await stranger.stop()
    stranger.kept.close()
    assert (found["verdict"], found["state"]) == ("CANNOT_SAY", "UNKNOWN")


async def test_a_pharmacys_sale_is_found_by_the_visits_of_the_person(tmp_path: Path) -> None:
    said = {"fixmedins_code": "P99999900001", "fixmedins_name": "示例药店"}
    async with gateway(tmp_path, person=1, **said) as at:
        rows = [_sold(at)]
        tree = purchase(at.patient, "20.00", rows)
        told = await lost(at, "2102", tree, "cut")
        found = await at.send("probe", {"msgid": told["msgid"]})
        (booked,) = at.centre.books.settlements.values()
        assert (found["verdict"], found["links"].get("setl_id")) == ("DONE", booked.setl_id), found


def _sold(at: Gateway) -> Tree:
    row = line(at.patient, "", "F1", "ZTEST000000000000001", "10.00", "2")
    for name in ("mdtrt_id", "chrg_bchno", "psn_no"):
        row.pop(name, None)
    return row


@pytest.mark.parametrize("how", ["cut", "garbage", "lose"])
@pytest.mark.parametrize(
    ("infno", "made"),
    [(infno, made) for infno, made in WRITES if infno in ("2207", "2208", "2304", "2305", "2401")],
    ids=["2207", "2208", "2304", "2305", "2401"],
)
async def test_2601_undoes_what_may_have_been_done(
    at: Gateway, infno: str, made: Callable[[Gateway], Awaitable[Tree]], how: str
) -> None:
    told = await lost(at, infno, await made(at), how)
    found = await at.send("reverse", {"msgid": told["msgid"]})
    if how == "lose":  # it may still be on its way: what is not found now may be booked in a moment
        assert (found["outcome"], found["state"]) == ("UNKNOWN", "UNKNOWN")
        at.later_s = LATER_S
        found = await at.send("reverse", {"msgid": told["msgid"]})
    assert (found["outcome"], found["state"]) == ("OK", "REVERSED"), found
    assert found["by"]["infno"] == "2601"
    row = await at.row(told["msgid"])
    assert (row.state, row.reversed_by) == ("REVERSED", found["by"]["msgid"])
    done = at.centre.books.done.get(told["msgid"])
    assert done is None if how == "lose" else done is not None and done.state == "reversed"
    again = await at.send("reverse", {"msgid": told["msgid"]})
    assert again["outcome"] == "OK"


async def test_a_reversal_that_was_lost_is_said_again_until_it_is_known(at: Gateway) -> None:
    told = await lost(at, "2207", await _2207(at), "cut")
    at.centre.behave("2601", "cut", times=2)
    for _ in range(2):
        found = await at.send("reverse", {"msgid": told["msgid"]})
        assert (found["outcome"], found["state"]) == ("UNKNOWN", "UNKNOWN")
    assert len(await at.kept.search(infno="2601", state="UNKNOWN")) == 2
    assert (await at.send("reverse", {"msgid": told["msgid"]}))["outcome"] == "OK"
    assert await at.kept.search(state="UNKNOWN") == []
    (booked,) = at.centre.books.settlements.values()
    assert booked.state == "reversed"
    assert at.centre.books.accounts[at.patient.psn_no].balance_fen == at.patient.balance_fen


async def test_what_is_known_to_be_done_is_undone_by_business_and_once(at: Gateway) -> None:
    made = await at.send("2207", await _2207(at), "m1")
    at.centre.behave("2208", "cut", times=1)
    at.centre.behave("5203", "refuse", times=1)
    first = await at.send("reverse", {"key": "m1"})  # nobody can say yet whether 2208 was done
    assert (first["outcome"], first["by"]["infno"]) == ("UNKNOWN", "2208")
    second = await at.send("reverse", {"key": "m1"})  # it is asked for, and not cancelled twice
    assert (second["outcome"], second["state"]) == ("OK", "REVERSED")
    assert second["by"]["msgid"] == first["by"]["msgid"]
    states = sorted(one.state for one in at.centre.books.settlements.values())
    assert len(states) == 2
    assert (await at.row(made["msgid"])).reversed_by == first["by"]["msgid"]


async def test_an_undoing_that_was_refused_may_be_asked_again(at: Gateway) -> None:
    await at.send("2207", await _2207(at), "m1")
    at.centre.behave("2208", "refuse", times=1)
    assert (await at.send("reverse", {"key": "m1"}))["outcome"] == "REJECTED"
    assert (await at.send("reverse", {"key": "m1"}))["outcome"] == "OK"


@pytest.mark.parametrize(
    ("infno", "made", "undo"),
    [("2201", _2201, "2202"), ("2204", _2204, "2205"), ("2301", _2301, "2302"), ("2402", _2402, "2405")],
)
async def test_where_2601_may_not_it_is_undone_only_once_it_is_known_to_be_done(
    at: Gateway, infno: str, made: Callable[[Gateway], Awaitable[Tree]], undo: str
) -> None:
    told = await lost(at, infno, await made(at), "cut")
    found = await at.send("reverse", {"msgid": told["msgid"]})
    assert (found["outcome"], found["state"], found["by"]["infno"]) == ("OK", "REVERSED", undo), found
    with pytest.raises(Refused, match="JL-N024"):
        await at.send("reverse", {"msgid": (await _other(at, infno, made))["msgid"], "by": "2601"})


async def _other(at: Gateway, infno: str, made: Callable[[Gateway], Awaitable[Tree]]) -> Tree:
    at.centre.behave(infno, "lose", times=1)
    tree = await _again(at, {"msgid": (await at.kept.search(infno=infno, state="REVERSED"))[0].msgid})
    return await at.send(infno, tree, "other")


async def test_the_centre_has_too_much_and_2601_takes_it_away(at: Gateway) -> None:
    made = await at.send("2207", await _2207(at), "m1")
    found = await at.send("reverse", {"msgid": made["msgid"], "by": "2601"})
    assert (found["outcome"], found["by"]["infno"]) == ("OK", "2601")
    assert [one async for one in at.kept.settled("H99999900001", 0, 10**14)] == []


async def test_2601_takes_away_what_the_centre_has_and_the_records_say_was_refused(at: Gateway) -> None:
    told = await lost(at, "2207", await _2207(at), "cut")
    await at.kept.end(await at.row(told["msgid"]), "REJECTED", "-1", "", b"", {})
    found = await at.send("reverse", {"msgid": told["msgid"], "by": "2601"})
    assert (found["outcome"], found["state"], found["by"]["infno"]) == ("OK", "REVERSED", "2601")
    assert at.centre.books.done[told["msgid"]].state == "reversed"


async def test_a_query_that_fails_says_nothing(at: Gateway) -> None:
    told = await lost(at, "2207", await _2207(at), "cut")
    at.centre.behave("5204", "cut", times=1)
    with pytest.raises(Unreachable):
        await at.send("probe", {"msgid": told["msgid"]})
    at.centre.behave("5204", "refuse", times=1)
    at.later_s = LATER_S
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("CANNOT_SAY", "UNKNOWN")


async def test_an_undoing_that_never_left_is_tried_for_as_long_as_the_centre_is_away(at: Gateway) -> None:
    await at.send("2207", await _2207(at), "m1")
    await at.centre.leave()
    for _ in range(60):
        with pytest.raises(Unreachable):
            await at.send("reverse", {"key": "m1"})
    await at.centre.open()
    assert (await at.send("reverse", {"key": "m1"}))["outcome"] == "OK"


async def test_a_probe_that_saw_nothing_says_done_where_the_answer_came_in_meanwhile(
    at: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await lost(at, "2207", await _2207(at), "lose")
    at.later_s = LATER_S
    row, end = await at.row(told["msgid"]), at.kept.end

    async def answered_first(*said: Any) -> Any:
        await end(
            row, "OK", "0", "", b'{"infcode":0,"output":{"setlinfo":{"setl_id":"S1"}}}', {"setl_id": "S1"}
        )
        return await end(*said)

    monkeypatch.setattr(at.kept, "end", answered_first)
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"], found["links"]["setl_id"]) == ("DONE", "OK", "S1")


async def test_a_clock_that_was_set_back_does_not_hide_what_was_done(at: Gateway) -> None:
    tree = await _2207(at)
    await at.centre.leave()
    with pytest.raises(Unreachable):
        await at.send("2207", tree, "m1")
    await at.centre.open()
    at.later_s = -30.0
    made = await at.send("2207", tree, "m1")
    assert made["outcome"] == "OK"
    assert (await at.send("probe", {"key": "m1"}))["msgid"] == made["msgid"]
    for direction, outcome in (("probe", "OK"), ("undo", "OK")):
        headers = {"param.code": "2207", "key": "m1", "direction": direction}
        assert (await at.destination.send(Message(b"{}", headers=headers, id="m2"))).code == outcome


async def test_while_the_first_process_may_wait_still_nothing_is_said_not_to_be_there(at: Gateway) -> None:
    tree = await _2207(at)
    told = await lost(at, "2207", tree, "lose")
    at.later_s = 65.0  # over the lag of a row that ended at once, and not over the time that an answer has
    found = await at.send("probe", {"msgid": told["msgid"]})
    assert (found["verdict"], found["state"]) == ("CANNOT_SAY", "UNKNOWN")


@pytest.mark.parametrize("tree", [{}, {"msgid": "H99999900001202601010000000001"}, {"key": "nobody"}])
async def test_an_exchange_that_is_not_there_cannot_be_meant(at: Gateway, tree: Tree) -> None:
    for name in ("probe", "reverse"):
        with pytest.raises(Refused, match=r"JL-N0(01|23)"):
            await at.send(name, tree)
