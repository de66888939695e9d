"""The FHIR destination: what it asks of a server, and what it makes of the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import Request, Response
from fhir_parts import CREATE, PATIENT, UPDATE, bundle
from pydantic import ValidationError

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.fhir_r4.destination import FhirDestination
from endpoints.fhir_r4.reading import question
from endpoints.web import WebServer
from schemas.message import Message, Receipt

Send = Callable[..., Awaitable[Receipt]]
URL = "http://emr.example/r4"
TAKEN = {"method": "POST", "fhir.interaction": "create", "fhir.url": "Patient"}


def made(**options: Any) -> FhirDestination:
    kind = registry.destinations.get("fhir")
    found: FhirDestination = kind(kind.Options(**{"url": URL, **options}), Ground("adt.emr", "fhir"))
    return found


def message(resource: Any, **headers: str) -> Message:
    return Message(json.dumps(resource).encode(), id="0199", headers=headers)


def outcome(severity: str = "error", code: str = "invalid", **more: Any) -> bytes:
    issue = {"severity": severity, "code": code, **more}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def answered(kind: str, *statuses: str) -> bytes:
    entries = [{"response": {"status": status}} for status in statuses]
    return json.dumps({"resourceType": "Bundle", "type": f"{kind}-response", "entry": entries}).encode()


# What it asks


class Server:
    """Keeps what it is asked, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer = Response(b"", 201)

    async def handle(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, target, dict(request.headers), await request.body()))
        return self.answer


@pytest.fixture
def server(web: WebServer) -> Server:
    one = Server()
    web.add_route("/r4", ["POST", "GET"], one.handle)
    web.add_route("/r4/{rest:path}", ["POST", "PUT", "GET"], one.handle)
    return one


@pytest.fixture
def send(web: WebServer) -> Send:
    async def sent(what: Message, **options: Any) -> Receipt:
        one = made(**{"url": f"http://127.0.0.1:{web.port}/r4/", **options})
        await one.start()
        try:
            return await one.send(what)
        finally:
            await one.stop()

    return sent


async def test_a_transaction_goes_to_the_base_as_it_is_with_the_messages_id(
    server: Server, send: Send
) -> None:
    sent = message(bundle("transaction", CREATE))
    server.answer = Response(
        answered("transaction", "201 Created"), 200, {"etag": 'W/"2"'}, "application/fhir+json"
    )
    receipt = await send(sent, interaction="transaction", auth={"bearer": "t0"}, prefer="minimal")
    method, target, headers, body = server.asked[0]
    assert (method, target, body) == ("POST", "/r4", sent.body)
    assert (headers["content-type"], headers["accept"]) == ("application/fhir+json", "application/fhir+json")
    assert (headers["idempotency-key"], headers["authorization"]) == ("0199", "Bearer t0")
    assert headers["prefer"] == "return=minimal"
    assert (receipt.code, receipt.format, receipt.headers["etag"]) == ("200", "fhir", 'W/"2"')


async def test_a_resource_is_sent_as_it_says_or_as_it_came_or_as_the_destination_is_told(
    server: Server, send: Send
) -> None:
    criteria = "Patient?identifier=urn:oid:1.2.3%7CP0001"
    mapped = {"resourceType": "Observation", "status": "final", "code": {"text": "Hb"}}
    for what, options, wanted in [
        (message(PATIENT), {}, "POST /r4/Patient"),
        (message({**PATIENT, "id": "17"}), {}, "PUT /r4/Patient/17"),
        (message({**PATIENT, "id": "17"}, **TAKEN), {}, "POST /r4/Patient"),
        (message(PATIENT, method="PUT", **{"fhir.url": criteria}), {}, f"PUT /r4/{criteria}"),
        (message(mapped, **TAKEN), {}, "POST /r4/Observation"),
        (message({**PATIENT, "id": "17"}), {"interaction": "create"}, "POST /r4/Patient"),
        (message(PATIENT), {"interaction": "update", "match": "identifier"}, f"PUT /r4/{criteria}"),
        (message({"resourceType": "Bundle", "type": "collection"}), {}, "POST /r4/Bundle"),
    ]:
        await send(what, **options)
        method, target, _, body = server.asked[-1]
        assert (f"{method} {target}", body) == (wanted, what.body)


async def test_conditions_are_kept_or_made_of_the_first_identifier_that_has_a_system(
    server: Server, send: Send
) -> None:
    await send(
        message(PATIENT, **TAKEN, **{"if-none-exist": "identifier=P0001", "fhir.prefer": "return=minimal"})
    )
    assert server.asked[-1][2]["if-none-exist"] == "identifier=P0001"
    assert server.asked[-1][2]["prefer"] == "return=minimal"
    known = [{"value": "1"}, {"system": "urn:oid:1.2", "value": "a,b|c"}]
    await send(message({**PATIENT, "identifier": known}), interaction="create", match="identifier")
    assert server.asked[-1][2]["if-none-exist"] == r"identifier=urn%3Aoid%3A1.2%7Ca%5C%2Cb%5C%7Cc"


async def test_a_question_is_asked_by_get_and_its_answer_is_the_partys(server: Server, send: Send) -> None:
    body = json.dumps({**PATIENT, "id": "17"}).encode()
    server.answer = Response(body, 200, media_type="application/fhir+json")
    what = Message(question("Patient?name=a%20b", 'W/"3"'), id="0199")
    receipt = await send(what, interaction="question")
    method, target, headers, sent = server.asked[0]
    assert (method, target, sent, receipt.answer) == ("GET", "/r4/Patient?name=a+b", b"", body)
    assert headers["if-none-match"] == 'W/"3"'
    assert "idempotency-key" not in headers
    await send(Message(question("?_getpages=7"), headers={"fhir.interaction": "search"}))
    assert server.asked[1][:2] == ("GET", "/r4?_getpages=7")


@pytest.mark.parametrize(
    ("what", "options"),
    [
        (b"MSH|", {}),
        (b"[]", {}),
        (json.dumps(PATIENT).encode(), {"interaction": "transaction"}),
        (json.dumps(bundle("batch", CREATE)).encode(), {"interaction": "transaction"}),
        (json.dumps(PATIENT).encode(), {"interaction": "update"}),
        (json.dumps({**PATIENT, "id": "../admin"}).encode(), {"interaction": "update"}),
        (json.dumps({"resourceType": "Patient"}).encode(), {"interaction": "create", "match": "identifier"}),
        (json.dumps(bundle("batch", CREATE)).encode(), {"interaction": "question"}),
        (question("http://elsewhere.example/Patient"), {"interaction": "question"}),
        (question("Patient/../../admin"), {"interaction": "question"}),
        (question("Patient/17", "a\r\nx: y"), {"interaction": "question"}),
    ],
)
def test_what_cannot_be_sent_so_is_refused_for_good(what: bytes, options: Any) -> None:
    with pytest.raises(Refused) as caught:
        made(**options).heard(Message(what), "", b"", {})
    assert (caught.value.code, caught.value.retry) == ("JL-E716", False)


# What it makes of the answer


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (400, "JL-E710", False),
        (401, "JL-E224", False),
        (404, "JL-E710", False),
        (409, "JL-E711", True),
        (412, "JL-E712", False),
        (422, "JL-E713", False),
        (500, "JL-E224", True),
        (302, "JL-E224", False),
    ],
)
def test_a_no_says_what_kind_it_is_and_whether_to_try_again(status: int, code: str, retry: bool) -> None:
    with pytest.raises(Refused) as caught:
        made().heard(message(PATIENT), str(status), outcome(), {})
    assert (caught.value.code, caught.value.retry, caught.value.answer) == (code, retry, outcome())


def test_a_conflict_over_a_named_version_is_not_tried_again() -> None:
    named = {**TAKEN, "method": "PUT", "fhir.url": "Patient/17", "if-match": 'W/"3"'}
    with pytest.raises(Refused) as caught:
        made().heard(message({**PATIENT, "id": "17"}, **named), "409", b"", {})
    assert (caught.value.code, caught.value.retry) == ("JL-E711", False)


def test_a_busy_party_is_asked_again_when_it_wishes() -> None:
    with pytest.raises(Unreachable) as caught:
        made().heard(message(PATIENT), "503", outcome(), {"retry-after": "7"})
    assert (caught.value.code, caught.value.after_s) == ("JL-E223", 7.0)


def test_the_reason_names_codes_and_places_and_nothing_of_a_patient() -> None:
    told = {
        "details": {"coding": [{"code": "MSG_DUPLICATE_ID"}, {"code": "张 三"}], "text": "P0001"},
        "diagnostics": "测试甲 19800101",
        "expression": ["Patient.identifier[0]", "Patient.name.where(family='测试')"],
    }
    with pytest.raises(Refused) as caught:
        made().heard(message(PATIENT), "422", outcome(code="duplicate", **told), {})
    assert caught.value.text == "status 422: error duplicate MSG_DUPLICATE_ID at Patient.identifier[0]"


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_that_there_is_no_such_thing_is_an_answer_if_fhir_says_so(status: int) -> None:
    what = Message(question("Patient/17"), headers={"fhir.interaction": "read"})
    receipt = made().heard(what, str(status), outcome(code="not-found"), {})
    assert (receipt.code, receipt.headers["status"], receipt.headers["fhir.base"]) == (
        str(status),
        str(status),
        URL,
    )
    with pytest.raises(Refused):
        made().heard(what, str(status), b"<html>nothing here</html>", {})


def test_a_question_that_is_answered_by_what_is_no_resource_is_asked_again() -> None:
    what = Message(question("Patient/17"), headers={"fhir.interaction": "read"})
    with pytest.raises(Unreachable) as caught:
        made().heard(what, "200", b"<html/>", {})
    assert (caught.value.code, caught.value.maybe_done) == ("JL-E714", False)
    assert made().heard(what, "304", b"", {"etag": 'W/"3"'}).headers["status"] == "304"


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"<html/>",
        outcome(),
        outcome("information"),
        answered("batch", "201"),
        answered("transaction"),
        answered("transaction", "201", "200"),
    ],
)
def test_a_yes_to_a_transaction_that_is_none_is_tried_again(answer: bytes) -> None:
    with pytest.raises(Unreachable) as caught:
        made().heard(message(bundle("transaction", CREATE)), "200", answer, {})
    assert (caught.value.code, caught.value.maybe_done) == ("JL-E714", True)


def test_what_a_party_takes_to_do_it_later_is_delivered_and_no_answer_to_a_question() -> None:
    kept = outcome("information", "informational")
    assert made().heard(message(bundle("transaction", CREATE)), "202", kept, {}).code == "202"
    with pytest.raises(Unreachable):
        made().heard(Message(question("Patient/17"), headers={"fhir.interaction": "read"}), "202", kept, {})


def test_a_yes_with_an_error_in_it_is_none() -> None:
    with pytest.raises(Unreachable, match="says no"):
        made().heard(message(PATIENT), "200", outcome("fatal"), {})
    assert made().heard(message(PATIENT), "201", outcome("warning"), {}).code == "201"


ONCE = {**CREATE, "ifNoneExist": "identifier=P0001"}
VERSION = {"method": "PUT", "url": "Patient/1", "ifMatch": 'W/"1"'}


@pytest.mark.parametrize(
    ("kind", "requests", "statuses", "retry"),
    [
        ("batch", [UPDATE, ONCE], ["200 OK", "503 Service Unavailable"], True),
        ("batch", [ONCE, UPDATE], ["201", "429"], True),
        ("batch", [CREATE, UPDATE], ["201", "503"], False),  # the first would be there twice
        ("batch", [CREATE, UPDATE], ["503", "200"], True),
        ("batch", [VERSION, UPDATE], ["200", "503"], False),
        ("batch", [UPDATE, UPDATE], ["503", "422"], False),
        ("batch", [UPDATE], [""], False),
        ("transaction", [UPDATE, UPDATE], ["200", "503"], False),
    ],
)
def test_a_bundle_some_of_which_failed_is_sent_again_only_where_nothing_is_doubled(
    kind: str, requests: Any, statuses: list[str], retry: bool
) -> None:
    with pytest.raises(Refused) as caught:
        made().heard(message(bundle(kind, *requests)), "200", answered(kind, *statuses), {})
    assert (caught.value.code, caught.value.retry) == ("JL-E715", retry)
    assert caught.value.answer == answered(kind, *statuses)


def test_entries_that_failed_are_named_with_their_issues() -> None:
    said = json.loads(answered("batch", "201", "422 Unprocessable", "404"))
    said["entry"][1]["response"]["outcome"] = json.loads(outcome(expression=["Patient.gender"]))
    with pytest.raises(Refused) as caught:
        made().heard(message(bundle("batch", ONCE, ONCE, ONCE)), "200", json.dumps(said).encode(), {})
    assert (
        caught.value.text
        == "2 of 3 entries failed: entry[1] 422 (error invalid at Patient.gender); entry[2] 404"
    )


def test_a_test_that_says_yes_and_no_more_is_answered_as_by_a_party_that_did_it() -> None:
    for what in (
        message(bundle("transaction", CREATE, UPDATE)),
        message(PATIENT),
        Message(question("Patient/1")),
    ):
        assert made().heard(what, "", b"", {}).code == "200"


def test_options_that_contradict_each_other_are_said() -> None:
    for wrong in (
        {"match": "identifier"},
        {"url": "http://a/r4?x=1"},
        {"tls": {"ca": "a.pem"}},
        {"interaction": "x"},
    ):
        with pytest.raises(ValidationError):
            made(**wrong)
