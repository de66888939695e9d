"""HTTP/1.1 as far as the centre needs it: large bodies, files, and answers that go wrong on the way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.sandbox.centre.misbehaviour import Act

MAX_BODY = 128_000_000  # a file of 30 MB as a JSON array of its bytes
_PIECE = 1 << 18
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    query: str = ""


async def read(reader: asyncio.StreamReader) -> Asked:
    """The next request. Raises OSError and its kin when the caller hangs up, or sends too much or nonsense."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])
    }
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY or "transfer-encoding" in headers:
        raise ConnectionAbortedError("a body of a length that is not taken")
    body = await reader.readexactly(int(length))
    url = urlsplit(rest.rpartition(" ")[0])
    return Asked(method, unquote(url.path), headers, body, url.query)


_JSON = "application/json;charset=UTF-8"


def framed(
    body: bytes, status: int = 200, kind: str = _JSON, headers: Mapping[str, str] | None = None
) -> bytes:
    return _head(len(body), status, kind, headers) + body


async def say(
    writer: asyncio.StreamWriter,
    body: bytes,
    status: int = 200,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    writer.write(framed(body, status, kind or _JSON, headers))
    await writer.drain()


async def say_file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act, path: Path) -> None:
    """Piece by piece, whatever its size; `cut` after half of it."""
    if act.kind not in ("well", "cut", "late", "delayed"):
        return await say_as(reader, writer, act, path.name.encode())
    if act.kind == "late":
        await asyncio.sleep(act.seconds)
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        writer.write(_head(left, 200, "application/octet-stream"))
        if act.kind == "cut":
            writer.write(file.read(left // 2))
            await writer.drain()
            raise ConnectionAbortedError("told to hang up")
        while piece := await asyncio.to_thread(file.read, _PIECE):
            writer.write(piece)
            await writer.drain()


async def silence(reader: asyncio.StreamReader) -> None:
    """Until the caller gives up, or the party leaves."""
    while await reader.read(_PIECE):
        pass
    raise ConnectionAbortedError("the caller gave up")


async def say_as(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    act: Act,
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    """What was done is told, or something else is."""
    match act.kind:
        case "mute":
            await silence(reader)
        case "cut":
            said = framed(body, status, _JSON, headers)
            writer.write(said[: len(said) - len(body) // 2])
            await writer.drain()
            raise ConnectionAbortedError("told to hang up")
        case "error":
            text = (act.text or "Internal Server Error").encode()
            await say(writer, text, int(act.code or 500), "text/plain")
        case "html" | "page":
            await say(writer, _PAGE, 502 if act.kind == "html" else 200, "text/html")
        case "garbage":
            await say(writer, b"\xff\xfe\x00\x81 " + body[:40][::-1])
        case "half":
            await say(writer, body[: len(body) // 2], status, "", headers)
        case "double":
            await say(writer, body, status, "", headers)
            await say(writer, body, status, "", headers)
        case _:
            if act.kind == "late":
                await asyncio.sleep(act.seconds)
            await say(writer, body, status, "", headers)


def _head(length: int, status: int, kind: str, headers: Mapping[str, str] | None = None) -> bytes:
    said = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    )
    return "\r\n".join((*said, "", "")).encode()
