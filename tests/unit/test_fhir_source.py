"""The FHIR source: what it takes, what the engine gets of it, and how it answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from endpoint_parts import FakeEngine
from fhir_parts import CREATE, JSON, PATIENT, bundle, issues, valid
from pydantic import ValidationError

from config import registry
from endpoints.base import Ground
from endpoints.fhir_r4.source import FhirSource
from endpoints.web import WebServer
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[FhirSource]]
ALL = {"Patient": ["create", "update", "read", "vread", "history", "search"], "Bundle": ["transaction"]}


@pytest.fixture
async def fhir(web: WebServer) -> AsyncIterator[Open]:
    """Opens a channel's FHIR source on `web`."""
    opened: list[FhirSource] = []

    async def open(
        engine: FakeEngine, accepts: Any = None, channel: str = "record", results: Any = None, **options: Any
    ) -> FhirSource:
        made = registry.sources.get("fhir")
        ground = Ground(channel, "fhir", web=web, results=results)
        opened.append(made(made.Options(accepts=accepts or ALL, **options), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


def asked(message: Message) -> str:
    """What a read or a search asks, as the engine gets it."""
    tree = json.loads(message.body)
    assert valid(tree)["type"] == "batch"
    return str(tree["entry"][0]["request"]["url"])


# What the engine gets


async def test_a_create_is_taken_as_it_came_with_what_its_request_said(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await fhir(engine)
    body = json.dumps(PATIENT, ensure_ascii=False).encode()
    said = {**JSON, "if-none-exist": "identifier=P0001", "prefer": "return=minimal", "x-request-id": "r1"}
    answer = await client.post("/fhir/Patient?_format=json", content=body, headers=said)
    message = engine.got[0]
    assert (answer.status_code, message.body) == (202, body)
    kept = dict(message.headers)
    assert (kept["fhir.interaction"], kept["fhir.type"], kept["fhir.url"]) == ("create", "Patient", "Patient")
    assert (kept["if-none-exist"], kept["fhir.prefer"]) == ("identifier=P0001", "return=minimal")
    assert (kept["method"], kept["x-request-id"]) == ("POST", "r1")


QUESTIONS: list[Any] = [
    ("/fhir/Patient/17", "Patient/17"),
    ("/fhir/Patient/17?_summary=text&_format=json", "Patient/17?_summary=text"),
    ("/fhir/Patient/17/_history/3", "Patient/17/_history/3"),
    ("/fhir/Patient/17/_history?_count=5", "Patient/17/_history?_count=5"),
    ("/fhir/Patient/_history", "Patient/_history"),
    ("/fhir/Patient?identifier=urn:a|1&name=%E6%9D%8E", "Patient?identifier=urn%3Aa%7C1&name=%E6%9D%8E"),
]  # fmt: skip


async def test_a_question_is_a_message_that_says_what_is_asked(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine(Reply("answered", body=json.dumps(PATIENT).encode(), format="fhir"))
    await fhir(engine)
    for path, url in QUESTIONS:
        answer = await client.get(path)
        assert (answer.status_code, asked(engine.got[-1])) == (200, url)


async def test_a_search_may_have_its_parameters_in_its_body(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine(Reply("answered", body=json.dumps(bundle("batch")).encode(), format="fhir"))
    await fhir(engine)
    await client.post("/fhir/Patient/_search?_count=3", data={"name": "李", "_format": "json"})
    assert asked(engine.got[0]) == "Patient?_count=3&name=%E6%9D%8E"
    over = await client.post("/fhir/Patient/_search", data={"name": "x" * 70_000})
    assert (over.status_code, issues(over.json())) == (413, [("error", "too-long")])


async def test_a_conditional_read_keeps_its_condition(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine(Reply("answered", headers={"status": "304", "etag": 'W/"3"'}))
    await fhir(engine)
    answer = await client.get("/fhir/Patient/17", headers={"if-none-match": 'W/"3"'})
    request = json.loads(engine.got[0].body)["entry"][0]["request"]
    assert (answer.status_code, answer.content, request["ifNoneMatch"]) == (304, b"", 'W/"3"')


async def test_what_was_packed_is_taken_as_it_was_before(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await fhir(engine)
    body = json.dumps(PATIENT).encode()
    packed = {**JSON, "content-encoding": "gzip"}
    assert (
        await client.post("/fhir/Patient", content=gzip.compress(body), headers=packed)
    ).status_code == 202
    assert engine.got[0].body == body


async def test_a_key_makes_a_request_known(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await fhir(engine, idempotency_key="required")
    without = await client.post("/fhir/Patient", json=PATIENT)
    assert (without.status_code, issues(without.json())) == (400, [("error", "invalid")])
    await client.post("/fhir/Patient", json=PATIENT, headers={"idempotency-key": "k1"})
    assert engine.got[0].once is not None


# What is refused


REFUSED: list[Any] = [
    ("POST", "/fhir/Observation", PATIENT, {}, 404, "not-supported"),
    ("POST", "/fhir/patient", PATIENT, {}, 404, "not-supported"),
    ("GET", "/fhir/Patient/a%20b", None, {}, 404, "not-found"),
    ("GET", "/fhir/Patient/1/_history/2/3", None, {}, 404, "not-found"),
    ("GET", "/fhir/Patient/1/$everything/x", None, {}, 404, "not-found"),
    ("DELETE", "/fhir/Patient/1", None, {}, 405, "not-supported"),
    ("PATCH", "/fhir/Patient/1", PATIENT, {}, 405, "not-supported"),
    ("GET", "/fhir?_type=Patient", None, {}, 405, "not-supported"),
    ("PUT", "/fhir/Patient", PATIENT, {}, 400, "invalid"),
    ("POST", "/fhir/Patient", PATIENT, {"content-type": "application/fhir+xml"}, 415, "not-supported"),
    ("POST", "/fhir/Patient", PATIENT, {"content-type": "application/json; fhirVersion=5.0"}, 415, "not-supported"),
    ("GET", "/fhir/Patient/1", None, {"accept": "application/fhir+xml"}, 406, "not-supported"),
    ("GET", "/fhir/Patient/1", None, {"accept": "application/fhir+json; fhirVersion=5.0"}, 406, "not-supported"),
    ("GET", "/fhir/Patient/1?_format=xml", None, {}, 406, "not-supported"),
    ("GET", "/fhir/metadata?_format=xml", None, {}, 406, "not-supported"),
    ("GET", "/fhir/Patient?" + "&".join(f"a={n}" for n in range(101)), None, {}, 400, "invalid"),
]  # fmt: skip


async def test_what_is_not_taken_is_refused_by_an_outcome(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await fhir(engine)
    for method, path, body, headers, status, code in REFUSED:
        content = json.dumps(body).encode() if body is not None else None
        answer = await client.request(
            method, path, content=content, headers={**(JSON if body else {}), **headers}
        )
        assert (answer.status_code, issues(answer.json())) == (status, [("error", code)])
        assert answer.headers["content-type"] == "application/fhir+json"
        assert engine.got == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/fhir/Patient", {**PATIENT, "resourceType": "Observation"}),
        ("PUT", "/fhir/Patient/17", PATIENT),
        ("PUT", "/fhir/Patient/17", {**PATIENT, "id": "18"}),
        ("POST", "/fhir", bundle("batch", CREATE)),
        ("POST", "/fhir", PATIENT),
    ],
)
async def test_a_body_that_is_not_what_the_path_says_is_refused_and_filed(
    fhir: Open, client: httpx2.AsyncClient, method: str, path: str, body: Any
) -> None:
    engine = FakeEngine()
    await fhir(engine)
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, issues(answer.json())) == (400, [("error", "invalid")])
    assert [one.fault_code for one in engine.refused] == ["JL-E701"]


async def test_a_body_over_the_limit_is_refused_by_an_outcome_and_filed(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await fhir(engine, max_size="1KB")
    answer = await client.post("/fhir/Patient", content=b" " * 2000, headers=JSON)
    assert (answer.status_code, issues(answer.json())) == (413, [("error", "too-long")])
    assert engine.refused[0].fault_code == "JL-E201"


async def test_who_is_not_known_hears_so_in_fhir(fhir: Open, client: httpx2.AsyncClient) -> None:
    await fhir(FakeEngine(), callers=["app"])
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert (answer.status_code, issues(answer.json())) == (401, [("error", "login")])
    assert "www-authenticate" in answer.headers


async def test_a_paused_channel_says_when_to_come_back(fhir: Open, client: httpx2.AsyncClient) -> None:
    (await fhir(FakeEngine())).pause()
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert (answer.status_code, issues(answer.json())) == (503, [("error", "transient")])
    assert answer.headers["retry-after"] == "5"


# How it answers


REPLIES: list[Any] = [
    (Reply("accepted", id="7"), 202, ("information", "informational")),
    (Reply("pending", id="7"), 202, ("information", "informational")),
    (Reply("failed", code="JL-B001", text="no broker", retry_after_s=9), 503, ("error", "transient")),
    (Reply("refused", id="7", code="JL-M020", text="not JSON"), 400, ("error", "structure")),
    (Reply("refused", id="7", code="JL-M080", text="another under this key"), 422, ("error", "invalid")),
    (Reply("refused", id="7", code="JL-M081", text="under way"), 409, ("error", "conflict")),
    (Reply("refused", id="7", code="JL-E711", text="status 409"), 409, ("error", "conflict")),
    (Reply("refused", id="7", code="JL-E712", text="status 412"), 412, ("error", "conflict")),
    (Reply("refused", id="7", code="JL-E224", text="status 401"), 502, ("error", "exception")),
    (Reply("answered", id="7", body=b"written"), 200, ("information", "informational")),
]  # fmt: skip


async def test_each_reply_has_its_status_and_an_outcome(fhir: Open, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await fhir(engine)
    for reply, status, issue in REPLIES:
        engine.reply = reply
        answer = await client.post("/fhir", json=bundle("transaction", CREATE))
        assert (answer.status_code, issues(answer.json())) == (status, [issue])
        assert answer.headers["jingluo-state"] == reply.state


async def test_every_fault_of_a_resource_is_named_by_its_path(fhir: Open, client: httpx2.AsyncClient) -> None:
    faults = (("/name/0/family", "is missing", "JL-V001"), ("/gender", "must be one of male", "JL-V006"))
    await fhir(FakeEngine(Reply("refused", id="7", code="JL-V001", text="...", faults=faults)))
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert answer.status_code == 422
    assert issues(answer.json()) == [("error", "required"), ("error", "code-invalid")]
    said = [one["expression"] for one in answer.json()["issue"]]
    assert said == [["Patient.name[0].family"], ["Patient.gender"]]


async def test_a_party_that_says_no_is_heard_in_its_own_words(fhir: Open, client: httpx2.AsyncClient) -> None:
    own = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "duplicate"}]}
    body = json.dumps(own).encode()
    await fhir(FakeEngine(Reply("refused", id="7", code="JL-E712", text="status 412", body=body)))
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert (answer.status_code, answer.json()) == (412, own)


async def test_a_place_is_under_our_base_whatever_the_party_calls_itself(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await fhir(engine)
    for said, heard in [
        ("Patient/9", "Patient/9"),
        ("/r4/Patient/9/_history/2", "Patient/9/_history/2"),
        ("https://other.example/a/Patient/9", "Patient/9"),
        ("https://other.example/login", None),
    ]:
        headers = {"status": "204", "fhir.base": "http://emr.local/r4", "location": said}
        engine.reply = Reply("answered", id="7", headers=headers)
        answer = await client.put("/fhir/Patient/9", json={**PATIENT, "id": "9"})
        place = f"{client.base_url}/fhir/{heard}" if heard else None
        assert (answer.status_code, answer.content, answer.headers.get("location")) == (204, b"", place)
    wished = {"prefer": "return=OperationOutcome"}
    outcome = await client.put("/fhir/Patient/9", json={**PATIENT, "id": "9"}, headers=wished)
    assert (outcome.status_code, issues(outcome.json())) == (200, [("information", "informational")])


PARTY = {
    "status": "201",
    "fhir.base": "http://emr.local/r4",
    "location": "http://emr.local/r4/Patient/9/_history/1",
}
KEPT = json.dumps({**PATIENT, "id": "9"}).encode()


@pytest.mark.parametrize(
    ("prefer", "body"),
    [
        ("", KEPT),
        ("return=representation", KEPT),
        ("return=minimal", b""),
        ("handling=strict, return=minimal", b""),
    ],
)
async def test_a_party_that_created_is_heard_with_its_place_under_our_base(
    fhir: Open, client: httpx2.AsyncClient, prefer: str, body: bytes
) -> None:
    headers = PARTY | {"etag": 'W/"1"'}
    await fhir(FakeEngine(Reply("answered", id="7", body=KEPT, format="fhir", headers=headers)))
    answer = await client.post("/fhir/Patient", json=PATIENT, headers={"prefer": prefer})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (201, body, 'W/"1"')
    assert answer.headers["location"] == f"{client.base_url}/fhir/Patient/9/_history/1"


async def test_an_outcome_is_given_to_who_wants_one(fhir: Open, client: httpx2.AsyncClient) -> None:
    await fhir(FakeEngine(Reply("answered", id="7", body=KEPT, format="fhir", headers=PARTY)))
    answer = await client.post("/fhir/Patient", json=PATIENT, headers={"prefer": "return=OperationOutcome"})
    assert (answer.status_code, issues(answer.json())) == (201, [("information", "informational")])


async def test_links_of_a_partys_bundle_lead_to_us_and_nothing_else_is_touched(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    theirs = "http://emr.local/r4"
    found = """{"resourceType": "Bundle", "type": "searchset", "total": 1,
      "link": [{"relation": "next", "url": "%s?page=2"}, {"relation": "self", "url": "%s/Patient?name=a"}],
      "entry": [{"fullUrl": "%s/Observation/1", "resource": {"resourceType": "Observation", "status": "final",
        "identifier": [{"system": "%s/ids", "value": "1"}], "code": {"text": "Hb"}, "valueQuantity": {"value": 1.50},
        "subject": {"reference": "%s/Patient/9"}}}]}"""
    body = found.replace("%s", theirs).encode()
    await fhir(
        FakeEngine(
            Reply("answered", body=body, format="fhir", headers={"status": "200", "fhir.base": theirs})
        )
    )
    answer = await client.get("/fhir/Patient?name=a")
    ours = f"{client.base_url}/fhir"
    wanted = json.loads(found.replace("%s", ours))
    wanted["entry"][0]["resource"]["identifier"][0]["system"] = f"{theirs}/ids"
    assert answer.json() == wanted
    assert b"1.50" in answer.content


async def test_the_base_may_be_another_to_callers(fhir: Open, client: httpx2.AsyncClient) -> None:
    await fhir(FakeEngine(Reply("answered", headers=PARTY)), public="https://fhir.hospital.example/r4")
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert answer.headers["location"] == "https://fhir.hospital.example/r4/Patient/9/_history/1"


async def test_a_question_that_nobody_answered_may_be_asked_again(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    await fhir(FakeEngine(Reply("pending", id="7")))
    answer = await client.get("/fhir/Patient/17")
    assert (answer.status_code, issues(answer.json())) == (504, [("error", "timeout")])


async def test_an_answer_that_comes_later_is_asked_for_at_the_place_that_was_named(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    async def results(caller: str, id: str, wait_s: float) -> Reply | None:
        return Reply("answered", id=id, body=KEPT, format="fhir", headers=PARTY) if id == "7" else None

    await fhir(FakeEngine(Reply("pending", id="7")), results=results)
    first = await client.post("/fhir/Patient", json=PATIENT)
    place = first.headers["content-location"]
    assert place == f"{client.base_url}/fhir/_async/record/7"
    later = await client.get(place)
    assert (later.status_code, later.json()["id"]) == (201, "9")
    unknown = await client.get(f"{client.base_url}/fhir/_async/record/8")
    assert (unknown.status_code, issues(unknown.json())) == (404, [("error", "not-found")])


# Several channels


async def test_channels_share_a_base_by_type_and_interaction(fhir: Open, client: httpx2.AsyncClient) -> None:
    one, two, rest = FakeEngine(), FakeEngine(), FakeEngine(Reply("answered", body=KEPT, format="fhir"))
    await fhir(one, {"Patient": "create"}, "one")
    await fhir(two, {"Patient": "update", "Bundle": ["transaction", "batch"]}, "two")
    await fhir(rest, {"*": ["read", "search"]}, "rest")
    await client.post("/fhir/Patient", json=PATIENT)
    await client.put("/fhir/Patient/17", json={**PATIENT, "id": "17"})
    await client.post("/fhir", json=bundle("batch", CREATE))
    await client.get("/fhir/Observation/1")
    await client.get("/fhir?_type=Patient")
    assert issues((await client.get("/fhir/Invented/1")).json()) == [("error", "not-supported")]
    assert [len(engine.got) for engine in (one, two, rest)] == [1, 2, 2]
    with pytest.raises(OSError, match="create of Patient is taken by one"):
        await fhir(FakeEngine(), {"Patient": "create"}, "three")
    with pytest.raises(OSError, match="taken by two"):
        await fhir(FakeEngine(), {"Bundle": "batch"}, "four")


async def test_a_channel_that_leaves_leaves_the_others(fhir: Open, client: httpx2.AsyncClient) -> None:
    one = await fhir(FakeEngine(), {"Patient": "create"}, "one")
    two = await fhir(FakeEngine(), {"Patient": "update"}, "two")
    one.close()
    assert (await client.post("/fhir/Patient", json=PATIENT)).status_code == 405
    await fhir(FakeEngine(), {"Patient": "create"}, "three")
    assert (await client.post("/fhir/Patient", json=PATIENT)).status_code == 202
    two.close()
    assert (await client.put("/fhir/Patient/1", json={**PATIENT, "id": "1"})).status_code == 405


async def test_the_last_that_leaves_takes_the_base_along(fhir: Open, client: httpx2.AsyncClient) -> None:
    (await fhir(FakeEngine())).close()
    answer = await client.get("/fhir/metadata")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_the_capability_statement_says_what_the_channels_take(
    fhir: Open, client: httpx2.AsyncClient
) -> None:
    await fhir(FakeEngine(), {"Patient": ["create", "update"], "Bundle": ["transaction"]}, "one")
    await fhir(FakeEngine(), {"*": ["read", "search"]}, "two", callers=["anybody"])
    answer = await client.get("/fhir/metadata")
    assert answer.headers["etag"].startswith('W/"')
    said = valid(answer.json())
    rest = said["rest"][0]
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert {one["code"] for one in patient["interaction"]} == {"create", "update", "read", "search-type"}
    assert {one["code"] for one in rest["interaction"]} == {"transaction", "search-system"}
    assert len(rest["resource"]) == 146


@pytest.mark.parametrize(
    ("accepts", "said"),
    [
        ({}, "at least 1"),
        ({"Pateint": "create"}, "did you mean 'Patient'"),
        ({"Patient": "batch"}, "batch is of Bundle"),
        ({"Patient": []}, "at least 1"),
        ({"Patient": "delete"}, "'create', 'update'"),
    ],
)
def test_what_cannot_be_taken_is_said(accepts: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FhirSource.Options(accepts=accepts)  # type: ignore[call-arg]
