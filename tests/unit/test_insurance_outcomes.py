"""What an answer of an insurance centre, or the want of one, means: without a wire."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from gateway_parts import options_for

from config.errors import Problem, Refused
from endpoints.base import Ground
from endpoints.insurance.destination import InsuranceDestination
from endpoints.insurance.envelope import Said, asked, msgid_of, read, written
from endpoints.insurance.facts import links
from endpoints.insurance.outcomes import Heard, Silence, judged
from endpoints.insurance.probing import Case, Told, reader
from schemas.json import Json
from schemas.message import Message
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.sample import sample

MSGID = "H99999900001202401151030000007"
AT_MS = 1_705_285_800_000  # 2024-01-15 10:30:00 in China
WRITES = [one for one in transactions() if one.centre == "institution" and one.writes and not one.inbound]
READS = [one for one in transactions() if one.centre == "institution" and not one.writes]


def answer(infcode: Any = 0, **said: Any) -> Heard:
    return Heard(200, {}, json.dumps({"infcode": infcode, **said}, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("infcode", "means"),
    [
        (0, "0"),
        ("0", "0"),
        (0.0, "0"),
        ("000", "0"),
        (-1, "-1"),
        ("-999", "-999"),
        ("E1", "E1"),
        (1.5, "1.5"),
    ],
)
def test_infcode_comes_as_number_or_text(infcode: Any, means: str) -> None:
    said = read(json.dumps({"infcode": infcode}).encode())
    assert isinstance(said, Said)
    assert said.infcode == means


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"<html></html>", b'{"infcode":null}', b'{"infcode":""}'),
        *(
            b'{"infcode":true}',
            b'{"infcode":[0]}',
            b'{"infcode":0',
            b'{"infcode":0,"infcode":-1}',
            b"\x00\xff",
        ),
        b'{"infcode":0,"output":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_has_no_clear_infcode_is_no_answer(body: bytes) -> None:
    assert isinstance(read(body), str)
    assert judged(transaction("2207"), Heard(200, {}, body)).outcome == "UNKNOWN"
    assert judged(transaction("2206"), Heard(200, {}, body)).outcome is None


@pytest.mark.parametrize(
    ("output", "means"), [("null", None), ('""', None), ("[]", []), ('[{"a":1}]', [{"a": 1}]), ("{}", {})]
)
def test_an_output_is_an_object_a_list_or_nothing(output: str, means: Any) -> None:
    said = read(f'{{"infcode":"0","output":{output}}}'.encode())
    assert isinstance(said, Said)
    assert said.output == means


def test_money_is_read_with_every_digit_and_gbk_where_it_is_that() -> None:
    body = '{"infcode":0,"err_msg":"成功","output":{"setlinfo":{"acct_pay":67.60}}}'
    for raw in (body.encode(), body.encode("gb18030")):
        said = read(raw)
        assert isinstance(said, Said)
        assert (said.err_msg, said.output["setlinfo"]["acct_pay"]) == ("成功", D("67.60"))


@pytest.mark.parametrize("one", WRITES, ids=lambda one: str(one.name))
def test_a_transaction_that_writes_is_unknown_where_its_answer_is_lost(one: Any) -> None:
    session = one.code in ("9001", "9002")  # a sign-in that nobody heard of is made anew
    for silence in (
        Silence(True, "JL-E221", "no answer"),
        Heard(500, {}, b""),
        Heard(502, {}, b'{"infcode":0}'),
        Heard(302, {}, b""),
        Heard(200, {}, b"<html>"),
    ):
        assert judged(one, silence).outcome == (None if session else "UNKNOWN")
    assert judged(one, Silence(False, "JL-E220", "no connection")).outcome is None
    assert judged(one, answer(-1, err_msg="不符合规定")).outcome == "REJECTED"
    assert judged(one, answer(-1, err_msg="报文ID重复")).outcome == (None if session else "UNKNOWN")
    made = {"setl_id": "S1", "mdtrt_id": "M1"}
    assert judged(one, answer(output=made)).outcome == ("PROCESSING" if one.code == "3211" else "OK")
    assert judged(one, Heard(403, {}, b"")).outcome == "REJECTED"


@pytest.mark.parametrize("words", ["费用明细流水号重复", "处方流水号已存在", "门诊流水号[O1]已存在"])
def test_a_number_that_is_there_already_is_a_refusal_and_not_a_message_that_came_twice(words: str) -> None:
    for name in ("2204", "2201", "2206"):
        assert judged(transaction(name), answer(-1, err_msg=words)).outcome == "REJECTED"
    for twice in ("报文ID重复", "交易流水号重复", "流水号已存在", "msgid H1 已存在"):
        assert judged(transaction("2207"), answer(-1, err_msg=twice)).outcome == "UNKNOWN"


@pytest.mark.parametrize("one", READS, ids=lambda one: str(one.name))
def test_a_transaction_that_changes_nothing_may_be_asked_again(one: Any) -> None:
    for silence in (Silence(True, "JL-E221", ""), Heard(503, {}, b""), Heard(200, {}, b"<html>")):
        assert judged(one, silence).outcome is None
    assert judged(one, answer(-1)).outcome == "REJECTED"


@pytest.mark.parametrize(
    "said",
    [
        {"msgid": "H99999900001202401151030000008"},
        {"infno": "2208"},
        {"output": {"setlinfo": {"medins_setl_id": "H99999900001202401151030000008"}}},
        {"output": {"setlinfo": {"mdtrt_id": "another"}}},
        {"output": {"setlinfo": {"psn_no": "another"}}},
    ],
)
def test_the_answer_to_another_message_is_none(said: Any) -> None:
    mine = sample(transaction("2207"))
    assert judged(transaction("2207"), answer(**said), MSGID, mine).outcome == "UNKNOWN"
    right = {
        "msgid": MSGID,
        "infno": "2207",
        "output": {"setlinfo": {"setl_id": "S1", "medins_setl_id": MSGID}},
    }
    assert judged(transaction("2207"), answer(**right), MSGID, mine).outcome == "OK"


def test_a_task_is_under_way_until_its_files_are_there() -> None:
    asked_for = transaction("3212")
    assert judged(asked_for, answer(output={"data": [{"task_status": "1"}]})).outcome == "PROCESSING"
    assert judged(asked_for, answer(output={"data": [{"file_qury_no1": "F1"}]})).outcome == "OK"


def test_a_file_comes_in_place_of_an_envelope() -> None:
    zipped = Heard(200, {"content-type": "application/octet-stream"}, b"PK\x03\x04...")
    assert judged(transaction("9102"), zipped).file == b"PK\x03\x04..."
    assert judged(transaction("2207"), zipped).outcome == "UNKNOWN"


def test_a_msgid_is_institution_second_and_serial_in_chinas_time() -> None:
    assert msgid_of("H99999900001", AT_MS, 7) == MSGID
    assert msgid_of("H99999900001", AT_MS, 10_007) == "H99999900001202401151030010007"


def test_a_letter_that_gbk_has_not_in_its_four_bytes_leaves_all_the_same() -> None:
    head, tail = written({"infno": "2207", "opter_name": "𠮷"}, {"a": D("1.50")}, "GBK")
    assert json.loads((head + b"M" + tail).decode("gb18030")) == {
        "infno": "2207",
        "msgid": "M",
        "opter_name": "𠮷",
        "input": {"a": 1.5},
    }


def test_what_a_caller_says_beside_the_input_is_told_from_an_input() -> None:
    assert asked({"data": {"input": 1}}).input == {"data": {"input": 1}}
    assert asked({"input": {"data": {}}, "opter": 7, "msgid": "x"}).fields == {"opter": "7"}
    assert asked({"input": {}, "soft": "x"}, {"soft": ""}).fields == {"soft": "x"}


def _heard(name: str, code: str = "", body: bytes = b"") -> Any:
    destination = InsuranceDestination(
        options_for("http://127.0.0.1:1", transaction=name), Ground("a.b", "json", now=lambda: AT_MS / 1000)
    )
    tree = {"input": sample(transaction(name)), "insuplc_admdvs": "999901"}
    return json.loads(destination.heard(Message(Json().encode(tree), id="m1"), code, body, {}).answer)


def test_a_channels_test_hears_what_the_wire_would_make_of_an_answer() -> None:
    assert _heard("2207")["outcome"] == "OK"
    assert _heard("2207", "200", b'{"infcode":-1,"err_msg":"no"}')["err_msg"] == "no"
    assert _heard("2207", "502")["outcome"] == "UNKNOWN"
    with pytest.raises(Refused, match="JL-N013") as said:
        _heard("2206", "502")
    assert said.value.retry


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"transaction": "2270"}, "2270"),
        ({"transaction": "prob"}, "did you mean probe"),
        ({"transaction": "7102"}, "called by the centre"),
        ({"fixmedins_code": "H1"}, "fixmedins_code"),
        ({"mdtrtarea_admvs": "9999"}, "mdtrtarea_admvs"),
        ({"sign_in": {"expired": ["("]}}, "no regular expression"),
        ({"url": "ftp://x"}, "url"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(said: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        options_for(**{"url": "http://127.0.0.1:1", **said})


def test_a_province_that_there_is_not_is_found_by_check(tmp_path: Path) -> None:
    problems: list[Problem] = []
    options_for("http://127.0.0.1:1", province="guangdon").files(tmp_path, problems)
    assert [(one.at, one.code, one.hint) for one in problems] == [
        (("province",), "JL-C014", "did you mean guangdong?")
    ]


def test_an_exchange_is_found_by_what_its_input_and_its_output_name() -> None:
    fees = {
        "feedetail": [{"psn_no": "P1", "mdtrt_id": "M1", "chrg_bchno": 7, "setl_id": None}, {"psn_no": "P2"}]
    }
    assert links(fees, {"setlinfo": {"setl_id": "S1", "mdtrt_id": "M2"}}) == {
        **{"psn_no": "P1", "mdtrt_id": "M1", "chrg_bchno": "7", "setl_id": "S1"}
    }
    card = {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": "9999991980"}}
    assert links(card) == {"certno": "9999991980"}
    assert links({"data": {"mdtrt_cert_type": "03", "mdtrt_cert_no": "Z1", "psn_no": {}}}, None, []) == {}


def test_a_settlement_that_is_shown_without_its_lines_is_not_said_to_be_cancelled() -> None:
    facts = {"psn_no": "P1", "mdtrt_id": "M1", "setl_id": "S1"}
    for none in (Told({"data": []}), Told(refused="未查询到", nothing=True)):
        reading = reader(Case("2208", MSGID, datetime(2024, 1, 15), {}, facts))
        assert reading is not None
        assert next(reading).infno == "5203"
        assert reading.send(Told({"setlinfo": {"setl_id": "S1"}})).infno == "5204"
        with pytest.raises(StopIteration) as end:
            reading.send(none)
        assert end.value.value.verdict == "CANNOT_SAY"
