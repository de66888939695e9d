"""The FHIR source: what it takes, and what the engine gets of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from endpoint_parts import FakeEngine
from fhir_parts import CREATE, JSON, KEPT, PATIENT, bundle, issues, valid
from pydantic import ValidationError

from endpoints.fhir_r4.source import FhirSource
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[FhirSource]]


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
