"""The HTTP destination's reading of a receiver."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from fastapi import Request, Response
from pydantic import ValidationError

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.rest.client import Client
from endpoints.rest.destination import HttpDestination
from endpoints.web import WebServer
from schemas.message import Message

Answer = Callable[[Request], Awaitable[Response]]


@pytest.fixture
async def sender(web: WebServer) -> AsyncIterator[Callable[..., Awaitable[HttpDestination]]]:
    opened: list[HttpDestination] = []

    async def open(
        answer: Answer, path: str = "/emr", route: str = "/emr", **options: Any
    ) -> HttpDestination:
        web.add_route(route, ["POST", "GET", "PUT"], answer)
        made = registry.destinations.get("http")
        options = {"url": f"http://127.0.0.1:{web.port}{path}", **options}
        opened.append(made(made.Options(**options), Ground("adt.emr", "fhir", now=lambda: 1_000_000_000.0)))
        await opened[-1].start()
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


Sender = Callable[..., Awaitable[HttpDestination]]
MESSAGE = Message(b'{"a": 1}', id="0199")


def saying(status: int, body: bytes = b"", **headers: str) -> Answer:
    async def answer() -> Response:
        return Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer  # type: ignore[return-value]


async def test_a_message_is_posted_in_its_type_with_its_id_and_the_sites_credential(sender: Sender) -> None:
    seen: dict[str, str] = {}

    async def answer(request: Request) -> Response:
        seen.update(request.headers)
        return Response(
            b'{"got": ' + str(len(await request.body())).encode() + b"}", 201, media_type="application/json"
        )

    destination = await sender(answer, auth={"bearer": "t0"}, headers={"x-site": "A"})
    receipt = await destination.send(MESSAGE)
    assert (receipt.code, receipt.answer, receipt.format) == ("201", b'{"got": 8}', "json")
    assert seen["content-type"] == "application/fhir+json"
    assert (seen["idempotency-key"], seen["authorization"], seen["x-site"]) == ("0199", "Bearer t0", "A")


def test_a_credential_is_not_shown() -> None:
    options = HttpDestination.Options(url="http://a", auth={"user": "u", "password": "p4ss"})  # type: ignore[call-arg]
    assert "p4ss" not in repr(options)


@pytest.mark.parametrize("status", [408, 425, 429, 503])
async def test_a_receiver_that_is_busy_is_asked_again_when_it_wishes(sender: Sender, status: int) -> None:
    destination = await sender(saying(status, retry_after="7"))
    with pytest.raises(Unreachable) as caught:
        await destination.send(MESSAGE)
    assert (caught.value.after_s, caught.value.maybe_done) == (7.0, False)


@pytest.mark.parametrize(
    ("wish", "after_s"),
    [
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60.0),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 0.0),
        ("99999999", 86400.0),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_wish_is_seconds_or_a_date(sender: Sender, wish: str, after_s: float | None) -> None:
    destination = await sender(saying(503, retry_after=wish))
    with pytest.raises(Unreachable) as caught:
        await destination.send(MESSAGE)
    assert caught.value.after_s == after_s


@pytest.mark.parametrize("status", [502, 504])
async def test_behind_a_gateway_the_receiver_may_have_it(sender: Sender, status: int) -> None:
    destination = await sender(saying(status))
    with pytest.raises(Unreachable) as caught:
        await destination.send(MESSAGE)
    assert caught.value.maybe_done


@pytest.mark.parametrize(
    ("status", "retry"), [(400, False), (404, False), (422, False), (500, True), (302, False)]
)
async def test_a_no_says_whether_another_try_can_help(sender: Sender, status: int, retry: bool) -> None:
    destination = await sender(saying(status, b"why", location="/elsewhere"))
    with pytest.raises(Refused, match=str(status)) as caught:
        await destination.send(MESSAGE)
    assert (caught.value.retry, caught.value.answer) == (retry, b"why")


async def test_an_answer_over_the_limit_is_an_error(sender: Sender) -> None:
    destination = await sender(saying(200, b"x" * 1001), max_answer="1KB")
    with pytest.raises(Refused, match="JL-E225"):
        await destination.send(MESSAGE)


async def test_nobody_listening_means_the_receiver_cannot_have_it(sender: Sender) -> None:
    destination = await sender(saying(200), url="http://127.0.0.1:1/")
    with pytest.raises(Unreachable, match="JL-E220") as caught:
        await destination.send(MESSAGE)
    assert not caught.value.maybe_done


async def test_silence_means_the_receiver_may_have_it(sender: Sender) -> None:
    over = asyncio.Event()

    async def silent() -> Response:
        await over.wait()
        return Response()

    destination = await sender(silent, timeout="100ms")
    with pytest.raises(Unreachable, match="JL-E221") as caught:
        await destination.send(MESSAGE)
    over.set()
    assert caught.value.maybe_done


async def test_a_query_fills_the_url_and_escapes_what_it_fills_in(sender: Sender) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: Request) -> Response:
        seen.append((request.scope["raw_path"].decode(), request.url.query))
        return Response(b"{}")

    destination = await sender(
        answer, path="/emr/{ward}?v=2", route="/emr/{rest:path}", method="GET", query=True
    )
    body = json.dumps({"ward": "a/b c", "tag": ["x", "y&z"], "n": 1.50, "on": True, "none": None}).encode()
    await destination.send(Message(body))
    assert seen == [("/emr/a%2Fb%20c", "v=2&tag=x&tag=y%26z&n=1.5&on=true")]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"ward": ""}', b'{"ward": ".."}', b'{"ward": {"a": 1}}', b"[1]", b"no"]
)
async def test_a_query_that_does_not_fill_the_url_is_refused(sender: Sender, body: bytes) -> None:
    destination = await sender(saying(200), path="/emr/{ward}", method="GET", query=True)
    with pytest.raises(Refused, match="JL-E226") as caught:
        await destination.send(Message(body))
    assert not caught.value.retry


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://a"},
        {"url": "http://a", "method": "GET"},
        {"url": "http://a/{b}"},
        {"url": "http://a", "tiemout": 1},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpDestination.Options(**options)


def test_tls_that_breaks_after_the_handshake_may_have_been_after_the_request() -> None:
    broken = aiohttp.ClientOSError("cut")
    broken.__cause__ = ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]")
    error = Client._trouble(broken)
    assert isinstance(error, Unreachable)
    assert (error.code, error.maybe_done) == ("JL-E227", True)
