"""How the FHIR source answers: statuses, outcomes, a party's words, and places under our own base."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from endpoint_parts import FakeEngine
from fhir_parts import CREATE, KEPT, PATIENT, bundle, issues

from endpoints.fhir_r4.source import FhirSource
from schemas.message import Reply

Open = Callable[..., Awaitable[FhirSource]]


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
