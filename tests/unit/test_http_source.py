"""The HTTP source's answers, and the web server's limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from endpoint_parts import Door, FakeEngine
from fastapi import Request, Response
from pydantic import ValidationError

from config import registry
from config.settings import LimitSettings
from endpoints.limits import too_large
from endpoints.rest.source import HttpSource
from endpoints.web import WebServer
from schemas.message import Reply


async def raw(web: WebServer, *pieces: bytes) -> bytes:
    """What the server says to bytes, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


# The source


REFUSED = {
    "title": "Bad Request",
    "status": 400,
    "detail": "not JSON",
    "code": "JL-M010",
    "id": "7",
    "path": "byte 3",
    "state": "refused",
}
FAILED = {
    "title": "Service Unavailable",
    "status": 503,
    "detail": "no broker",
    "code": "JL-B001",
    "state": "failed",
}


@pytest.mark.parametrize(
    ("reply", "status", "told"),
    [
        (Reply("accepted", id="7"), 202, {"id": "7", "state": "accepted"}),
        (Reply("refused", id="7", code="JL-M010", text="not JSON", path="byte 3"), 400, REFUSED),
        (Reply("failed", code="JL-B001", text="no broker", retry_after_s=9), 503, FAILED),
    ],
)
async def test_each_reply_has_its_status(
    door: Door, client: httpx2.AsyncClient, reply: Reply, status: int, told: dict[str, Any]
) -> None:
    await door(FakeEngine(reply))
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, answer.json()) == (status, told)
    assert answer.headers["content-type"] == (
        "application/json" if status == 202 else "application/problem+json"
    )
    assert answer.headers.get("retry-after") == ("9" if status == 503 else None)


async def test_a_pending_message_is_not_to_be_sent_again(door: Door, client: httpx2.AsyncClient) -> None:
    await door(FakeEngine(Reply("pending", id="7")))
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert "do not send it again" in answer.json()["detail"]
    assert "请勿重发" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("format", "option", "content_type"),
    [
        ("fhir", "", "application/fhir+json"),
        ("xml", "", "application/xml"),
        ("hl7v2", "", "x-application/hl7-v2+er7"),
        ("json", "application/problem+json", "application/problem+json"),
    ],
)
async def test_a_destinations_answer_comes_back_in_its_own_type(
    door: Door, client: httpx2.AsyncClient, format: str, option: str, content_type: str
) -> None:
    await door(FakeEngine(Reply("answered", body=b"<a/>", format=format)), response=option)
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, answer.content) == (200, b"<a/>")
    assert answer.headers["content-type"] == content_type


async def test_the_message_keeps_what_the_protocol_knew_but_no_credential(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await door(
        engine, format="xml", method="PUT", path="/v1/{ward}/beds", headers=["X-Request-Id", "x-absent"]
    )
    headers = {
        "content-type": "text/xml; charset=GBK",
        "authorization": "Bearer t",
        "cookie": "s=1",
        "x-request-id": "r1",
    }
    await client.put("/v1/%E5%86%85%E7%A7%91/beds?q=1", content="<床/>".encode("gbk"), headers=headers)
    message = engine.got[0]
    assert dict(message.headers) == {
        "content-type": "text/xml",
        "method": "PUT",
        "path": "/v1/内科/beds",
        "query.q": "1",
        "param.ward": "内科",
        "x-request-id": "r1",
    }
    assert (message.source, message.charset, message.body) == ("http 127.0.0.1", "gbk", "<床/>".encode("gbk"))


def test_a_header_with_a_credential_cannot_be_kept() -> None:
    with pytest.raises(ValidationError, match="credential"):
        HttpSource.Options(path="/v1", headers=["Authorization"])  # type: ignore[call-arg]


async def test_a_get_becomes_a_json_object_of_its_parameters(door: Door, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await door(engine, method="GET", path="/v1/patients/{id}")
    assert (await client.get("/v1/patients/007?lang=中&tag=a&tag=b")).status_code == 202
    assert json.loads(engine.got[0].body) == {"id": "007", "lang": "中", "tag": ["a", "b"]}


async def test_where_the_format_is_form_data_so_are_parameters_and_bodies(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine, form = FakeEngine(), registry.formats.get("form")
    await door(engine, format="form", method="GET", path="/v1/forms/{id}")
    await door(engine, format="form")
    assert (await client.get("/v1/forms/007?lang=中&tag=a&tag=b")).status_code == 202
    assert (await client.post("/v1/patients", data={"name": "张 三"})).status_code == 202
    files = {"report": ("a.txt", b"x", "text/plain")}
    assert (await client.post("/v1/patients", data={"name": "张"}, files=files)).status_code == 202
    assert [form.decode(message.body, message.charset) for message in engine.got] == [
        {"id": "007", "lang": "中", "tag": ["a", "b"]},
        {"name": "张 三"},
        {"name": "张", "report": {"filename": "a.txt", "type": "text/plain", "content": "eA=="}},
    ]


async def test_an_unknown_content_type_is_415_and_says_what_is_taken(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await door(engine, format="fhir")
    answer = await client.post("/v1/patients", content=b"a=1", headers={"content-type": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (415, "JL-E212")
    assert answer.headers["accept"] == "application/fhir+json, application/json"
    assert engine.got == []


async def test_a_body_over_the_doors_limit_is_413_and_the_connection_goes_on(
    door: Door, client: httpx2.AsyncClient, web: WebServer
) -> None:
    engine = FakeEngine()
    await door(engine, max_size="1KB")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    known = await client.post(
        "/v1/patients", content=b"x" * 1001, headers={"content-type": "application/json"}
    )
    unknown = await client.post("/v1/patients", content=pieces())
    assert [a.status_code for a in (known, unknown)] == [413, 413]
    assert known.json()["detail"] == "the body is larger than 1000 bytes"
    assert [(m.body, m.fault_code) for m in engine.refused] == [
        (b"x" * 1001, "JL-E201"),
        (b"x" * 1100, "JL-E201"),
    ]
    assert engine.refused[0].headers["path"] == "/v1/patients"
    assert (await client.post("/v1/patients", content=b"x" * 1000)).status_code == 202
    assert (len(engine.got), web.connections) == (1, 1)


@pytest.mark.parametrize("size", [5_000, 1_500_000])
async def test_of_a_body_that_is_too_large_the_head_is_filed(
    door: Door, client: httpx2.AsyncClient, size: int
) -> None:
    engine = FakeEngine()
    await door(engine, max_size="4500B")
    answer = await client.post("/v1/patients", content=b"0123456789" * (size // 10))
    assert (answer.status_code, answer.json()["code"]) == (413, "JL-E201")
    (filed,) = engine.refused
    # Over the limit of the whole server not a byte is read.
    assert filed.body == ((b"0123456789" * 410)[:4096] if size < 1_000_000 else b"")


async def test_a_sender_that_asks_before_it_sends_too_much_is_told_so_at_once(
    door: Door, web: WebServer
) -> None:
    engine = FakeEngine()
    await door(engine, max_size="1KB")
    head = b"POST /v1/patients HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\nconnection: close\r\n"
    answer = await raw(web, head + b"expect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert [message.fault_code for message in engine.refused] == ["JL-E201"]


async def test_a_slow_body_is_408_and_its_connection_closed(door: Door, web: WebServer) -> None:
    engine = FakeEngine()
    await door(engine, body_within="100ms")
    answer = await raw(web, b"POST /v1/patients HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n", b"12345")
    assert b"408 Request Timeout" in answer
    assert b"JL-E203" in answer
    assert [(m.body, m.fault_code) for m in engine.refused] == [(b"12345", "JL-E203")]


async def test_a_paused_door_is_503_until_it_resumes(door: Door, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    opened = await door(engine)
    opened.pause()
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, "retry-after" in answer.headers, engine.got) == (503, True, [])
    opened.resume()
    assert (await client.post("/v1/patients", json={})).status_code == 202


async def test_more_requests_at_once_than_allowed_are_503_and_the_others_are_answered(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine(held=True)
    await door(engine, requests=1)
    first = asyncio.create_task(client.post("/v1/patients", json={}))
    await engine.has(1)
    assert (await client.post("/v1/patients", json={})).status_code == 503
    engine.open[0].set_result(Reply("accepted", id="1"))
    assert (await first).status_code == 202


async def test_a_stopped_door_has_answered_and_is_gone(door: Door, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine(held=True)
    opened = await door(engine)
    asked = asyncio.create_task(client.post("/v1/patients", json={}))
    await engine.has(1)
    stopping = asyncio.create_task(opened.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    engine.open[0].set_result(Reply("accepted", id="1"))
    await stopping
    assert (await asked).status_code == 202
    assert (await client.post("/v1/patients", json={})).status_code == 404


async def test_two_doors_cannot_have_one_route_but_one_path_by_two_methods(door: Door) -> None:
    await door(FakeEngine())
    with pytest.raises(OSError, match="taken"):
        await door(FakeEngine())
    await door(FakeEngine(), method="PUT")


async def test_the_interface_is_described(door: Door, client: httpx2.AsyncClient) -> None:
    await door(FakeEngine(), format="fhir", path="/v1/{ward}")
    described = (await client.get("/openapi.json")).json()["paths"]["/v1/{ward}"]["post"]
    assert described["summary"] == "patients"
    assert [one["name"] for one in described["parameters"]] == ["ward", "Idempotency-Key"]
    assert "application/fhir+json" in described["requestBody"]["content"]


# The server


async def test_no_body_is_larger_than_the_engines_limit_wherever_it_goes(
    web: WebServer, client: httpx2.AsyncClient
) -> None:
    async def take(request: Request) -> Response:
        return Response(str(len(await request.body())))

    web.add_route("/any", ["POST"], take)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100_000

    assert (await client.post("/any", content=b"x" * 1_000_001)).json()["code"] == "JL-E201"
    assert (await client.post("/any", content=pieces())).json()["code"] == "JL-E201"
    assert (await client.post("/any", content=b"x" * 1_000_000)).text == "1000000"


async def test_what_still_comes_of_a_refused_body_is_let_go_by_and_the_connection_goes_on(
    web: WebServer,
) -> None:
    async def take(request: Request) -> Response:
        raise too_large(1)

    web.add_route("/any", ["POST"], take)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    piece = b"c350\r\n" + b"x" * 50_000 + b"\r\n"
    writer.write(b"POST /any HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + piece)
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 413 ")
    for _ in range(4):  # more than any head may have
        writer.write(piece)
        await writer.drain()
    writer.write(b"0\r\n\r\nGET /none HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 404 ")
    web.body_within_s = 0.1
    writer.write(b"POST /any HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + piece)
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 413 ")
    writer.write(piece)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


async def test_headers_over_the_limit_are_431_also_when_they_never_end(
    web: WebServer, client: httpx2.AsyncClient
) -> None:
    assert (await client.get("/", headers={"x": "y" * 70_000})).json()["code"] == "JL-E202"
    answer = await raw(web, b"GET / HTTP/1.1\r\n", *[b"x: " + b"y" * 8000 + b"\r\n"] * 9)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_headers_that_do_not_end_in_time_are_408_and_others_are_served(web: WebServer) -> None:
    web.head_within_s = 0.1
    slow = asyncio.create_task(raw(web, b"GET / HTTP/1.1\r\nhost: a\r\n"))
    silent = asyncio.create_task(raw(web))
    served = await raw(web, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert served.startswith(b"HTTP/1.1 404 ")
    assert (await slow).startswith(b"HTTP/1.1 408 ")
    assert await silent == b""


async def test_more_connections_than_allowed_are_503_and_the_others_stay(web: WebServer) -> None:
    ask = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    kept = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(5)]
    for reader, writer in kept:
        writer.write(ask)
        assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 404 Not Found\r\n"
    refused = await raw(web, ask)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in refused
    kept[0][1].write(ask)
    await kept[0][0].readuntil(b"HTTP/1.1 404")
    for _, writer in kept:
        writer.close()


async def test_a_port_in_use_is_an_os_error(web: WebServer) -> None:
    with pytest.raises(OSError, match="in use"):
        await WebServer("127.0.0.1", web.port, LimitSettings()).start()


async def test_a_bug_is_500_without_a_word_of_it(web: WebServer, client: httpx2.AsyncClient) -> None:
    async def broken() -> Response:
        raise RuntimeError("patient P0001")

    web.add_route("/broken", ["GET"], broken)
    answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "JL-E200")
    assert "P0001" not in answer.text
