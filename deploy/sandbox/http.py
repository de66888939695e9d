"""HTTP/1.1 as far as a party needs it, in plain asyncio: a server must be able to hang up in mid answer."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deploy.sandbox.behaviour import Act
from deploy.sandbox.party import MAX_MESSAGE, Party


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: Any = None  # written as JSON
    headers: Mapping[str, str] = field(default_factory=dict)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request. Raises IncompleteReadError when the caller hangs up."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(min(int(headers.get("content-length", "0")), MAX_MESSAGE))
    url = urlsplit(target)
    return Request(method, unquote(url.path), dict(parse_qsl(url.query)), headers, body)


async def ask(
    port: int,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 35,
) -> tuple[int, bytes]:
    """Status and body of a server's answer on loopback. Raises OSError, IncompleteReadError, TimeoutError."""
    said = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    said |= {"Content-Length": str(len(body))} if body else {}
    asked = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())])
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_MESSAGE)
        try:
            writer.write(asked.encode() + b"\r\n\r\n" + body)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    if not body and not head:
        raise ConnectionAbortedError("no answer")
    return int(head.split(b" ", 2)[1]), body


def written(response: Response) -> bytes:
    body = b"" if response.body is None else json.dumps(response.body, ensure_ascii=False).encode()
    head = (
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        "Content-Type: application/fhir+json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    )
    return "\r\n".join((*head, "", "")).encode() + body


class HttpParty(Party):
    """Answers requests over kept connections, as its behaviour says."""

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """What it says to a request when it behaves."""

    def refusal(self, status: int, text: str) -> Response:
        """A no, in its own words."""
        return Response(status, {"error": text})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            await self._answer(writer, self.behaviour.next(), request)

    async def _answer(self, writer: asyncio.StreamWriter, act: Act, request: Request) -> None:
        if act.kind == "refuse":
            response = self.refusal(int(act.code or 503), "told to refuse")
        else:
            response = self.answer(request)
        if act.kind == "mute":
            return
        if act.kind == "slow":
            await asyncio.sleep(act.seconds)
        if act.kind == "lie":
            response = self.refusal(200, "told to lie")
        said = b"\xff\xfe\x00 no answer at all\r\n\r\n" if act.kind == "garbage" else written(response)
        if act.kind in ("cut", "garbage"):
            writer.write(said[: len(said) // 2] if act.kind == "cut" else said)
            await writer.drain()
            raise ConnectionAbortedError("told to hang up")
        writer.write(said)
        await writer.drain()
