"""Transactions at an insurance centre by the gateway: what leaves, what is heard, and what it comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from centre_parts import agreed, bill, certificate, charged, diagnoses, line, registration
from gateway_parts import Gateway, gateway, records_at

from config.errors import Refused, Unreachable
from schemas.message import Message

Tree = dict[str, Any]


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as made:
        yield made


async def charged_by(at: Gateway, number: str = "O1") -> str:
    """An outpatient with three lines of 86.50 in all: the mdtrt_id."""
    return await charged(at, number)  # type: ignore[arg-type]  # it asks `done` and `patient` of it


async def due(at: Gateway, number: str = "O1") -> Tree:
    """The input of a settlement that the centre would take."""
    mdtrt_id = await charged_by(at, number)
    seen = (await at.done("2206", bill(at.patient, mdtrt_id, "86.50")))["setlinfo"]
    return bill(at.patient, mdtrt_id, "86.50", **agreed(seen))


async def settled(at: Gateway, key: str = "") -> Tree:
    return await at.send("2207", await due(at), key)


async def test_an_outpatient_goes_from_the_card_to_the_settlement(at: Gateway) -> None:
    told = await at.send("1101", {"data": certificate(at.patient)})
    assert told["output"]["baseinfo"]["psn_no"] == at.patient.psn_no
    made = await settled(at)
    setl = made["output"]["setlinfo"]
    assert (made["outcome"], made["infno"], made["infcode"]) == ("OK", "2207", "0")
    assert made["warnings"] == []
    assert setl["medins_setl_id"] == made["msgid"]
    assert setl["acct_pay"] == D("67.60")
    (booked,) = at.centre.books.settlements.values()
    assert booked.msgid == made["msgid"]
    for links in (
        {"psn_no": at.patient.psn_no},
        {"setl_id": setl["setl_id"]},
        {"mdtrt_id": setl["mdtrt_id"]},
    ):
        found = await at.kept.search(links=links, infno="2207")
        assert [(one.msgid, one.state) for one in found] == [(made["msgid"], "OK")]
    day = [one async for one in at.kept.settled("H99999900001", 0, 10**14)]
    assert [json.loads(one.answer)["output"]["setlinfo"]["setl_id"] for one in day] == [setl["setl_id"]]


async def test_a_message_may_be_the_input_itself_and_name_its_transaction(at: Gateway) -> None:
    body = json.dumps({"infno": "1101", "data": certificate(at.patient)}).encode()
    told = json.loads((await at.destination.send(Message(body, id="m1"))).answer)
    assert told["outcome"] == "OK"


async def test_a_whole_envelope_of_a_his_is_taken_and_what_is_the_engines_is_passed_over(at: Gateway) -> None:
    tree = {
        **{"infno": "1101", "msgid": "H99999900001202001010000000001", "sign_no": "old", "inf_time": "never"},
        **{"fixmedins_code": "H00000000000", "fixmedins_name": "x", "opter": "0007", "opter_name": "示例"},
        "input": {"data": certificate(at.patient)},
    }
    told = await at.send("1101", tree)
    assert told["outcome"] == "OK"
    row = await at.row(told["msgid"])
    sent = json.loads(row.request)
    assert (sent["fixmedins_code"], sent["opter"], sent["fixmedins_name"]) == (
        "H99999900001",
        "0007",
        "示例医院",
    )
    assert sent["msgid"] == told["msgid"] != tree["msgid"]
    assert row.opter == "0007"


async def test_what_leaves_is_the_envelope_of_the_interface(at: Gateway) -> None:
    mdtrt_id = await charged_by(at)
    tree = bill(at.patient, mdtrt_id, "86.50", invono=None)
    told = await at.send(
        "2206", {"input": tree, "insuplc_admdvs": at.patient.insuplc_admdvs, "dev_no": "K01"}
    )
    sent = json.loads((await at.row(told["msgid"])).request, parse_float=D)
    assert list(sent) == [
        *("infno", "msgid", "mdtrtarea_admvs", "insuplc_admdvs", "recer_sys_code", "dev_no", "dev_safe_info"),
        *("cainfo", "signtype", "infver", "opter_type", "opter", "opter_name", "inf_time", "fixmedins_code"),
        *("fixmedins_name", "sign_no", "input"),
    ]
    assert len(sent["msgid"]) == 30
    assert sent["msgid"][:12] == "H99999900001"
    assert sent["msgid"][12:26] == "".join(c for c in sent["inf_time"] if c.isdigit())
    assert (sent["dev_no"], sent["sign_no"][:6]) == ("K01", "999900")
    assert sent["input"]["data"]["medfee_sumamt"] == D("86.50")
    assert sent["input"]["data"]["invono"] == ""


async def test_amounts_may_leave_as_text(tmp_path: Path) -> None:
    async with gateway(tmp_path, amounts="text") as at:
        mdtrt_id = await charged_by(at)
        tree = bill(at.patient, mdtrt_id, "0")
        tree["data"]["medfee_sumamt"] = 86.5
        told = await at.send("2206", tree)
        sent = json.loads((await at.row(told["msgid"])).request)
    assert told["outcome"] == "OK"
    assert sent["input"]["data"]["medfee_sumamt"] == "86.5"


@pytest.mark.parametrize(
    ("tree", "code", "says"),
    [
        ({"data": {"mdtrt_id": "1"}}, "JL-N003", "psn_no 人员编号: is required 必填"),
        ({"data": "x"}, "JL-N003", "object"),
        ({"input": {"data": {}}, "cainfo": "x" * 1025}, "JL-N004", "cainfo: longer than 1024"),
        ({"input": {"data": {}}, "opter": ["0001"]}, "JL-N004", "opter: must be text"),
        ({"input": {"data": {}}, "optr": "0001"}, "JL-N004", "no such field"),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_leaves(
    at: Gateway, tree: Tree, code: str, says: str
) -> None:
    body = json.dumps(tree).encode()
    with pytest.raises(Refused, match=code) as said:
        await at.destination.send(Message(body, headers={"param.code": "2207"}, id="m1"))
    assert says in said.value.text
    assert not said.value.retry
    assert not at.centre.books.msgids
    assert await at.kept.search() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"data": {}, "data": {}}', b"\xff", b'{"a":' * 200])
async def test_a_message_that_is_no_object_is_refused(at: Gateway, body: bytes) -> None:
    with pytest.raises(Refused, match="JL-N001"):
        await at.destination.send(Message(body, headers={"param.code": "2207"}, id="m1"))


@pytest.mark.parametrize("name", ["", "9999", "2207x", "MP-6201", "7102", "../2207"])
async def test_a_transaction_that_is_none_of_this_party_is_refused(at: Gateway, name: str) -> None:
    with pytest.raises(Refused, match="JL-N002"):
        await at.destination.send(Message(b"{}", headers={"param.code": name}, id="m1"))


async def test_a_patient_needs_the_insured_place_unless_it_is_said_to_be_the_hospitals(
    at: Gateway, tmp_path: Path
) -> None:
    tree = {"input": registration(at.patient)}
    with pytest.raises(Refused, match="JL-N005"):
        await at.send("2201", tree)
    other = tmp_path / "other"
    other.mkdir()
    async with gateway(other, insured_place="hospital") as local:
        told = await local.send("2201", {"input": registration(local.patient)})
        sent = json.loads((await local.row(told["msgid"])).request)
    assert sent["insuplc_admdvs"] == "999900"


async def test_a_refusal_of_the_centre_is_an_answer_with_its_words(at: Gateway) -> None:
    nothing = dict.fromkeys(("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt"), "0")
    tree = bill(at.patient, "999900G0000000009999", "1.00", inscp_scp_amt="1.00", **nothing)
    told = await at.send("2207", tree, "m1")
    assert (told["outcome"], told["infcode"], told["output"]) == ("REJECTED", "-1", None)
    assert told["err_msg"] == "未查询到就诊登记信息"
    row = await at.row(told["msgid"])
    assert (row.state, row.infcode, row.text) == ("REJECTED", "-1", "未查询到就诊登记信息")


@pytest.mark.parametrize(
    ("option", "kind", "code"), [("rejected", "refuse", "JL-N010"), ("unknown", "cut", "JL-N011")]
)
async def test_a_refusal_or_an_unknown_may_be_a_dead_letter(
    tmp_path: Path, option: str, kind: str, code: str
) -> None:
    async with gateway(tmp_path, **{option: "dead"}) as at:
        tree = await due(at)
        at.centre.behave("2207", kind, times=1)
        with pytest.raises(Refused, match=code) as said:
            await at.send("2207", tree)
    assert not said.value.retry
    assert (
        json.loads(said.value.answer or b"")["outcome"]
        == {"rejected": "REJECTED", "unknown": "UNKNOWN"}[option]
    )


UNHEARD = ["lose", "cut", "error", "html", "page", "garbage", "half", "status", "repeat"]


@pytest.mark.parametrize("kind", UNHEARD)
async def test_a_settlement_without_a_clear_answer_is_unknown_and_is_never_sent_again(
    at: Gateway, kind: str
) -> None:
    tree = await due(at)
    at.centre.behave("2207", kind, times=1)
    told = await at.send("2207", tree, "m1")
    assert told["outcome"] == "UNKNOWN"
    assert (await at.row(told["msgid"])).state == "UNKNOWN"
    heard = len(at.centre.books.msgids)
    again = await at.send("2207", tree, "m1")
    assert (again["outcome"], again["msgid"]) == ("UNKNOWN", told["msgid"])
    assert len(at.centre.books.msgids) == heard
    with pytest.raises(Refused, match="JL-N019"):  # replayed as a message of its own
        await at.send("2207", tree, "m2", parent="m1")


@pytest.mark.parametrize("kind", ["mute", "deaf", "late"])
async def test_a_settlement_that_nobody_answers_in_time_is_unknown(at: Gateway, kind: str) -> None:
    tree = await due(at)
    hasty = Gateway(at.centre, at.kept, at.patient, timeout="2s")  # for this request alone
    at.centre.behave("2207", kind, times=1, seconds=60)
    told = await hasty.send("2207", tree, "m1")
    await hasty.stop()
    assert told["outcome"] == "UNKNOWN"
    assert [one["code"] for one in told["warnings"]] == ["JL-E221"]


@pytest.mark.parametrize("kind", ["lose", "cut", "error", "html", "page", "garbage", "half", "status"])
async def test_a_query_without_an_answer_may_be_asked_again(at: Gateway, kind: str) -> None:
    at.centre.behave("1101", kind, times=1)
    tree = {"data": certificate(at.patient)}
    with pytest.raises(Unreachable):
        await at.send("1101", tree, "m1")
    assert (await at.send("1101", tree, "m1"))["outcome"] == "OK"
    assert await at.kept.search(state="UNKNOWN") == []
    assert await at.kept.search(state="sent") == []


async def test_an_answer_that_comes_twice_is_one(at: Gateway) -> None:
    at.centre.behave("2207", "double", times=1)
    told = await settled(at)
    assert told["outcome"] == "OK"
    assert (await at.send("1101", {"data": certificate(at.patient)}))["outcome"] == "OK"


async def test_nothing_left_where_nobody_listens_and_it_is_sent_when_somebody_does(at: Gateway) -> None:
    tree = await due(at)
    port = at.centre.port
    await at.centre.stop()
    with pytest.raises(Unreachable) as said:
        await at.send("2207", tree, "m1")
    assert not said.value.maybe_done
    at.centre._port = port  # type: ignore[attr-defined]
    await at.centre.start()
    assert (await at.send("2207", tree, "m1"))["outcome"] == "OK"
    assert len(at.centre.books.settlements) == 1


async def test_the_same_message_again_has_the_same_answer_and_is_booked_once(at: Gateway) -> None:
    tree = await due(at)
    told = await at.send("2207", tree, "m1")
    assert await at.send("2207", tree, "m1") == told
    assert len(at.centre.books.settlements) == 1
    with pytest.raises(Refused, match="JL-N019"):
        await at.send("2207", tree, "m2", parent="m1")


async def test_a_settlement_whose_process_died_is_unknown_and_not_sent_again(at: Gateway) -> None:
    tree = await due(at)
    at.centre.behave("2207", "mute", times=1)
    sending = asyncio.create_task(at.send("2207", tree, "m1"))
    while not at.centre.books.settlements:  # noqa: ASYNC110 - the centre has no event of it
        await asyncio.sleep(0.01)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    told = await at.send("2207", tree, "m1")
    assert (told["outcome"], told["warnings"][0]["code"]) == ("UNKNOWN", "JL-N020")
    assert len(at.centre.books.settlements) == 1
    assert (await at.row(told["msgid"])).state == "UNKNOWN"


async def test_who_takes_over_from_a_process_that_lived_after_all_tells_what_that_one_heard(
    at: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, end = await due(at), at.kept.end

    async def away(*said: Any) -> Any:
        raise Unreachable("JL-E850", "the database is away")

    monkeypatch.setattr("endpoints.insurance.party._END_WAIT_S", 0.0)
    monkeypatch.setattr(at.kept, "end", away)
    told = await at.send("2207", tree, "m1")
    assert [one["code"] for one in told["warnings"]] == ["JL-N021"]

    async def answered_first(row: Any, *said: Any) -> Any:
        answer = json.dumps({"infcode": 0, "output": told["output"]}, default=str).encode()
        await end(row, "OK", "0", "", answer, {})
        return await end(row, *said)

    monkeypatch.setattr(at.kept, "end", answered_first)
    again = await at.send("2207", tree, "m1")
    assert (again["outcome"], again["msgid"]) == ("OK", told["msgid"])
    assert again["output"]["setlinfo"]["setl_id"] == told["output"]["setlinfo"]["setl_id"]


async def test_the_same_key_with_another_input_is_told_that_its_answer_is_the_firsts(at: Gateway) -> None:
    tree = await due(at)
    told = await at.send("2207", tree, "m1")
    other = await at.send("2207", {"data": {**tree["data"], "invono": "INV2"}}, "m1")
    assert other["warnings"][0]["code"] == "JL-N027"
    assert {**other, "warnings": other["warnings"][1:]} == told
    assert len(at.centre.books.settlements) == 1


@pytest.mark.parametrize("by", ["2601", "undo"])
async def test_a_message_that_comes_again_after_it_was_reversed_books_nothing(at: Gateway, by: str) -> None:
    tree = await due(at)
    made = await at.send("2207", tree, "m1")
    assert (await at.send("reverse", {"key": "m1", "by": by}))["outcome"] == "OK"
    booked = len(at.centre.books.settlements)
    again = await at.send("2207", tree, "m1")
    told = (again["outcome"], again["msgid"], again["warnings"][0]["code"])
    assert told == ("REJECTED", made["msgid"], "JL-N026")
    assert len(at.centre.books.settlements) == booked
    assert (await at.send("2207", tree, "m2", parent="m1"))[
        "outcome"
    ] == "OK"  # somebody wants it all the same


async def test_a_success_that_does_not_say_what_it_made_is_none(at: Gateway) -> None:
    at.centre.behave("2207", "null", times=1)
    told = await settled(at)
    assert (told["outcome"], told["output"]) == ("UNKNOWN", None)
    assert told["warnings"][0]["code"] == "JL-N025"


async def test_of_fifty_lines_all_arrive(at: Gateway) -> None:
    mdtrt_id = await charged_by(at)
    lines = [line(at.patient, mdtrt_id, f"L{n}", "XTEST000000000000001", "1.25", "2") for n in range(50)]
    told = await at.send("2204", {"feedetail": lines})
    assert len(told["output"]["result"]) == 50
    assert told["warnings"] == []


async def test_messages_without_an_id_are_each_a_thing_of_its_own(at: Gateway) -> None:
    first = await at.send("2201", {"input": registration(at.patient, "O1"), "insuplc_admdvs": "999901"})
    second = await at.send("2201", {"input": registration(at.patient, "O2"), "insuplc_admdvs": "999901"})
    assert first["msgid"] != second["msgid"]
    assert len(at.centre.books.visits) == 2


async def test_without_a_database_nothing_leaves(at: Gateway) -> None:
    at.kept.close()
    none = records_at("")
    lent = Gateway(at.centre, none)
    with pytest.raises(Unreachable, match="JL-E852"):
        await lent.send("1101", {"data": certificate(at.patient)})
    await lent.stop()
    assert not at.centre.books.msgids


async def test_diagnoses_may_be_told_twice_as_messages_of_their_own(at: Gateway) -> None:
    mdtrt_id = str((await at.done("2201", registration(at.patient)))["data"]["mdtrt_id"])
    tree = diagnoses(at.patient, mdtrt_id)
    assert (await at.send("2203A", tree, "m1"))["outcome"] == "OK"
    assert (await at.send("2203A", tree, "m2", parent="m1"))["outcome"] == "OK"
