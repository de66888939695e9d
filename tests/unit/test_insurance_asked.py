"""The transactions of the insurance platform at a door: which, by whom, with what faults, in JSON and in XML."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from caller_parts import SECRETS, House
from lxml import etree
from openapi_spec_validator import validate

from config import registry
from config.errors import BadMessage, Problem
from endpoints.base import Described, Ground, WebOptions
from endpoints.insurance.doors import Told, doors
from schemas.json import Json
from schemas.message import Message, Reply
from schemas.nhsa import catalogue
from schemas.nhsa.profile import national

DOORS = doors(Told(national(), True, True, ()))
CALLERS = """\
callers:
  his:
    token: {issuer: sso, audience: jingluo, claims: {sub: his}, secret: secret://token-key}
    scopes: [insurance.query, insurance.settle, insurance.upload]
  kiosk:
    token: {issuer: sso, audience: jingluo, claims: {sub: kiosk}, secret: secret://token-key}
    scopes: [insurance.1101]
  shop:
    token: {issuer: sso, audience: jingluo, claims: {sub: shop}, secret: secret://token-key}
    scopes: [orders]
"""
ANSWER = {
    "outcome": "OK",
    "infno": "2207",
    "msgid": "H99999900001202401151030000007",
    "infcode": "0",
    "err_msg": "",
    "output": {"setlinfo": {"setl_id": "S1", "psn_name": "张㛃"}, "setldetail": [{"a": 1}, {"a": 2}]},
}


def token(who: str) -> dict[str, str]:
    now = int(time.time())
    claims = {"iss": "sso", "aud": "jingluo", "sub": who, "iat": now, "exp": now + 600}
    return {"authorization": "Bearer " + jwt.encode(claims, SECRETS["token-key"], "HS256")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.know(CALLERS)
    await made.start()
    yield made
    await made.stop()


async def opened(house: House, kind: str, **options: Any) -> None:
    made = registry.sources.get(kind)
    ground = Ground("insurance", "json", web=house.web, described=Described("医保", operations=DOORS))
    source = made(made.Options(**options), ground)
    house._opened.append(source)
    await source.start(house.engine.deliver)


async def rest(house: House) -> None:
    scope = {"scope": "insurance.{code}", "idempotency_key": "writes"}
    await opened(house, "http", path="/v1/insurance/{code}", **scope)


async def post(house: House, code: str, body: Any, who: str = "his", key: str = "K1") -> httpx2.Response:
    headers = token(who) | ({"idempotency-key": key} if key else {})
    sent = body if isinstance(body, bytes) else Json().encode(body)
    return await house.client.post(
        f"/v1/insurance/{code}", content=sent, headers=headers | {"content-type": "application/json"}
    )


# What a door knows of each


def test_the_transactions_that_an_institution_calls_are_at_the_door_and_no_others() -> None:
    called = [t.name for t in catalogue.transactions() if t.centre == "institution" and not t.inbound]
    assert list(DOORS) == [*called, "probe", "reverse"]
    assert {"2207", "2203A", "4101A"} < set(DOORS)
    assert {"7102", "MP-6201", "D001"}.isdisjoint(DOORS)


def test_a_sites_own_province_has_its_own_rules_at_the_door(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    text = 'profile: here\nrules: {"2207": {data.invono: {required: true}}}\n'
    (tmp_path / "profiles" / "here.yaml").write_text(text, "utf-8")
    options = registry.destinations.get("nhsa").Options(
        url="http://centre.example", fixmedins_code="H99999900001", fixmedins_name="示例医院", mdtrtarea_admvs="999900",
        recer_sys_code="MBS", province="here",
    )  # fmt: skip
    problems: list[Problem] = []
    options.files(tmp_path, problems)
    assert problems == []
    asked = options.operations()
    tree = Json().decode(Json().encode(DOORS["2207"].sample()))
    assert [fault.path for fault in asked["2207"].faults(tree)] == ["/input/data/invono"]
    assert options.model_copy(update={"transaction": "2207"}).operations() == {}


@pytest.mark.parametrize("name", DOORS)
def test_the_sample_of_each_is_valid_in_json_and_as_xml(name: str) -> None:
    door = DOORS[name]
    tree = Json().decode(Json().encode(door.sample()))
    assert door.faults(tree) == []
    if "input" not in tree:
        assert Json().decode(door.of_xml(as_xml("Request", tree))) == tree
        return
    assert [fault for fault in door.faults(tree["input"]) if fault.code != "JL-N005"] == []
    assert Json().decode(door.of_xml(as_xml("Request", tree))) == {"infno": name, **tree} or lists_of_one(
        name
    )


def lists_of_one(name: str) -> bool:
    """Where the tables do not know what is in a list, one item of it comes back as itself."""
    return name in ("9101",) or catalogue.transaction(name).open


def as_xml(root: str, tree: Any) -> bytes:
    def element(name: str, value: Any) -> list[Any]:
        if isinstance(value, list):
            return [made for one in value for made in element(name, one)]
        made = etree.Element(name)
        if isinstance(value, dict):
            made.extend(child for key, one in value.items() for child in element(key, one))
        else:
            made.text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else str(value)
        return [made]

    return bytes(etree.tostring(element(root, tree)[0], encoding="GB18030", xml_declaration=True))


def test_a_fault_of_the_envelopes_input_is_shown_where_it_stands() -> None:
    tree = DOORS["2207"].sample()
    del tree["input"]["data"]["mdtrt_id"]
    (fault,) = DOORS["2207"].faults(tree)
    assert (fault.path, "就诊ID" in fault.text) == ("/input/data/mdtrt_id", True)
    assert DOORS["2207"].faults(["a"])[0].text.startswith("must be an object")


# By REST


async def test_a_valid_request_is_delivered_as_it_came(house: House) -> None:
    await rest(house)
    response = await post(house, "2207", DOORS["2207"].sample())
    assert response.status_code == 202
    (message,) = house.engine.got
    assert message.headers["param.code"] == "2207"
    assert message.headers["caller.name"] == "his"
    assert Json().decode(message.body) == Json().decode(Json().encode(DOORS["2207"].sample()))


async def test_an_invalid_one_is_refused_with_each_field_in_chinese_and_filed(house: House) -> None:
    await rest(house)
    body = DOORS["2207"].sample()
    del body["input"]["data"]["mdtrt_id"]
    body["input"]["data"]["medfee_sumamt"] = "很多"
    response = await post(house, "2207", body)
    assert (response.status_code, house.engine.got) == (400, [])
    said = response.json()
    assert {error["path"] for error in said["errors"]} == {
        "/input/data/mdtrt_id",
        "/input/data/medfee_sumamt",
    }
    assert "医疗费总额" in response.text
    assert "很多" not in response.text
    (filed,) = house.engine.refused
    assert filed.fault_code == said["code"]


async def test_what_nobody_knows_is_not_found_and_says_what_was_meant(house: House) -> None:
    await rest(house)
    response = await post(house, "2270", {})
    assert (response.status_code, response.json()["code"]) == (404, "JL-E206")
    assert "did you mean" in response.json()["detail"]
    assert (await post(house, "7102", {})).status_code == 404
    assert house.engine.got == house.engine.refused == []


@pytest.mark.parametrize(
    ("who", "code", "status"),
    [
        ("his", "2207", 202),
        ("his", "1101", 202),
        ("his", "2208", 403),
        ("kiosk", "1101", 202),
        ("kiosk", "2207", 403),
    ],
)
async def test_a_caller_may_what_its_scopes_name_one_by_one_or_by_kind(
    house: House, who: str, code: str, status: int
) -> None:
    await rest(house)
    response = await post(house, code, DOORS[code].sample(), who)
    assert response.status_code == status
    if status == 403:
        assert response.json()["code"] == "JL-E213"
        assert house.refused == [("insurance", "scope")]


async def test_a_caller_with_no_scope_of_the_door_does_not_come_in(house: House) -> None:
    await rest(house)
    assert (await post(house, "1101", DOORS["1101"].sample(), "shop")).status_code == 403
    assert (await house.client.post("/v1/insurance/1101", content=b"{}")).status_code == 401
    assert house.engine.got == []


async def test_what_changes_something_needs_a_key_and_a_question_none(house: House) -> None:
    await rest(house)
    response = await post(house, "2207", DOORS["2207"].sample(), key="")
    assert (response.status_code, response.json()["code"]) == (400, "JL-E217")
    assert (await post(house, "1101", DOORS["1101"].sample(), key="")).status_code == 202


async def test_what_is_no_json_the_engine_says(house: House) -> None:
    await rest(house)
    assert (await post(house, "1101", b"<data/>")).status_code == 202  # the fake engine reads nothing
    assert house.engine.got[0].body == b"<data/>"


def needed(document: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """The components of these paths: of all a validator would take half a minute."""
    names = {f"insurance.{path[-4:]}" for path in paths}
    schemas = document["components"]["schemas"]
    few = {
        name: schema
        for name, schema in schemas.items()
        if name.removesuffix(".answer") in names | {"Problem"}
    }
    return document["components"] | {"schemas": few}


async def test_the_document_has_a_path_for_each_with_its_schema_and_an_example(house: House) -> None:
    await rest(house)
    document = (await house.client.get("/openapi.json")).json()
    some = [path for path in document["paths"] if path[-4:] in ("2207", "1101", "5204", "9101")]
    validate(
        {
            **document,
            "paths": {path: document["paths"][path] for path in some},
            "components": needed(document, some),
        }
    )
    paths = [path for path in document["paths"] if path.startswith("/v1/insurance/")]
    assert len(paths) == len(DOORS)
    settle, person = (document["paths"][f"/v1/insurance/{code}"]["post"] for code in ("2207", "1101"))
    key = {p["name"]: p["required"] for p in settle["parameters"]}
    assert key == {"Idempotency-Key": True}
    assert {p["name"]: p["required"] for p in person["parameters"]} == {"Idempotency-Key": False}
    content = settle["requestBody"]["content"]["application/json"]
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert "就诊ID" in json.dumps(schema, ensure_ascii=False)
    assert DOORS["2207"].faults(Json().decode(json.dumps(content["examples"]["1"]["value"]).encode())) == []
    assert settle["security"]


async def test_the_document_is_made_once_and_anew_where_a_door_came(house: House) -> None:
    bare = {"accept-encoding": "identity"}
    assert (await house.client.get("/openapi.json")).json()["paths"] == {}
    await rest(house)
    packed, plain = (
        await house.client.get("/openapi.json"),
        await house.client.get("/openapi.json", headers=bare),
    )
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    made = house.web._rendered
    assert (await house.client.get("/openapi.json")).content == packed.content
    assert house.web._rendered is made
    assert (await house.client.head("/openapi.json")).status_code == 200


async def test_a_scope_names_one_word_of_its_request() -> None:
    made: type[WebOptions] = registry.sources.get("http").Options
    for scope in ("insurance.{cod}", "{code}.{code}", "insurance.{code"):
        with pytest.raises(ValueError, match=r"scope|may stand"):
            made(path="/v1/insurance/{code}", scope=scope)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="here none"):
        made(path="/v1/insurance", scope="a.{code}")  # type: ignore[call-arg]


# By SOAP, for old HIS

CALL = """<?xml version="1.0" encoding="{charset}"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<Call xmlns="http://tempuri.org/"><tradeCode>{code}</tradeCode><xml><![CDATA[{xml}]]></xml></Call></s:Body></s:Envelope>"""


async def soap(house: House) -> None:
    await opened(
        house, "soap", path="/soap/insurance", convention="call", charset="GBK", scope="insurance.{action}"
    )


async def call(house: House, code: str, xml: str, who: str = "his") -> dict[str, str]:
    body = CALL.format(charset="GBK", code=code, xml=xml).encode("gb18030")
    headers = token(who) | {"content-type": "text/xml; charset=GBK", "soapaction": '""'}
    response = await house.client.post("/soap/insurance", content=body, headers=headers)
    assert response.status_code == 200, response.text
    assert b"GBK" in response.content[:60]
    document = etree.fromstring(response.content)
    result = document.findtext(".//{*}CallResult") or ""
    answer = etree.fromstring(result.encode())
    return {etree.QName(one).localname: one.text or "" for one in answer.iter() if isinstance(one.tag, str)}


def request(code: str, number: str = "T1", **changed: str) -> str:
    tree = DOORS[code].sample()
    for name, value in changed.items():
        next(iter(tree["input"].values()))[name] = value
    inside = as_xml("Request", tree).decode("gb18030")
    trade = f"<TradeCode>{code}</TradeCode>" + (f"<HISTradeNo>{number}</HISTradeNo>" if number else "")
    return inside.replace("<Request>", f"<Request>{trade}")


async def test_a_call_comes_to_the_channel_as_the_same_json(house: House) -> None:
    await soap(house)
    answer = await call(house, "2207", request("2207"))
    assert answer["ResultCode"] == "0000"
    (message,) = house.engine.got
    assert Json().decode(message.body) == {
        "infno": "2207",
        **Json().decode(Json().encode(DOORS["2207"].sample())),
    }
    assert message.once is not None


async def test_an_answer_is_xml_with_its_code_first(house: House) -> None:
    house.engine.reply = Reply("answered", id="1", body=Json().encode(ANSWER), format="json")
    await soap(house)
    answer = await call(house, "2207", request("2207"))
    assert (answer["ResultCode"], answer["outcome"], answer["setl_id"]) == ("0000", "OK", "S1")
    assert answer["psn_name"] == "张㛃"


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [("REJECTED", "9999", "余额不足"), ("UNKNOWN", "0004", "勿重发"), ("PROCESSING", "0004", "勿重发")],
)
async def test_the_other_outcomes_have_codes_of_their_own(
    house: House, outcome: str, code: str, said: str
) -> None:
    told = ANSWER | {"outcome": outcome, "infcode": "-1", "err_msg": "余额不足", "output": None}
    house.engine.reply = Reply("answered", id="1", body=Json().encode(told), format="json")
    await soap(house)
    answer = await call(house, "2207", request("2207"))
    assert (answer["ResultCode"], answer["outcome"]) == (code, outcome)
    assert said in answer["ResultContent"]


@pytest.mark.parametrize(
    ("code", "xml", "who", "error", "said"),
    [
        ("2207", request("2207", medfee_sumamt="很多"), "his", "JL-V", "医疗费总额"),
        ("2207", request("2207", number=""), "his", "JL-E217", "HISTradeNo"),
        ("2207", "这不是XML", "his", "JL-", ""),
        ("2270", "<Request/>", "his", "JL-E213", ""),
        ("2208", request("2208"), "his", "JL-E213", "无权"),
        ("2207", request("2207"), "kiosk", "JL-E213", "无权"),
    ],
)
async def test_what_cannot_be_done_says_why_in_the_conventions_words(
    house: House, code: str, xml: str, who: str, error: str, said: str
) -> None:
    await soap(house)
    answer = await call(house, code, xml, who)
    assert answer["ResultCode"] == "9999"
    assert answer["ResultContent"].startswith(error)
    assert said in answer["ResultContent"]
    assert house.engine.got == []


async def test_what_is_still_under_way_is_not_taken_for_a_refusal(house: House) -> None:
    house.engine.reply = Reply("refused", code="JL-M081", text="still under way")
    await soap(house)
    answer = await call(house, "2207", request("2207"))
    assert answer["ResultCode"] == "0004"
    assert "勿重发" in answer["ResultContent"]


async def test_the_same_number_is_the_same_request_whatever_its_blanks(house: House) -> None:
    await soap(house)
    await call(house, "2207", request("2207"))
    await call(house, "2207", request("2207").replace("><", "> <"))
    await call(house, "2207", request("2207", medfee_sumamt="1.00"))
    await call(house, "2207", request("2207", number="T2"))
    first, again, other, next_one = (message.once for message in house.engine.got)
    assert first == again
    assert first is not None
    assert other is not None
    assert next_one is not None
    assert first.key == other.key != next_one.key
    assert first.of != other.of


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b"<a/>", b'{"outcome": "OK", "a b": 1, "output": [[1], {"x": []}]}']
)
def test_an_answer_of_any_kind_does_no_harm(answer: bytes) -> None:
    try:
        outlined = DOORS["2207"].in_xml(answer)
    except BadMessage:
        return
    etree.fromstring(f"<a>{outlined.inside}</a>")


def test_jingluo_test_gives_a_call_and_reads_its_answer() -> None:
    made = registry.sources.get("soap")
    ground = Ground("insurance", "json", described=Described(operations=DOORS))
    source = made(made.Options(path="/soap/insurance", convention="call"), ground)
    came = source.received(Message(CALL.format(charset="UTF-8", code="2207", xml=request("2207")).encode()))
    assert json.loads(came.body)["infno"] == "2207"
    told = source.told(came, Reply("answered", body=Json().encode(ANSWER), format="json"))
    assert (told.code, b"<setl_id>S1</setl_id>" in told.body) == ("0000", True)
    assert source.received(Message(request("2207", number="").encode())).fault_code == "JL-E217"
