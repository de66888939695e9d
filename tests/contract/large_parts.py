"""Bodies of any size that nobody holds whole: made, sent, received and compared piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from engine_parts import END, START
from process_parts import connect

LARGE_WAIT_S = 120  # seconds, on a machine with much else to do
_LINE = 65_536  # bytes of one piece


class Body:
    """An HL7 v2 message with a document of `size` bytes in an OBX, the same whenever it is made."""

    def __init__(self, control_id: str, size: int) -> None:
        self.control_id = control_id
        head = f"MSH|^~\\&|PACS|A|EMR|B|20260105080000||MDM^T02|{control_id}|P|2.5\rPID|1||P7^^^HIS\r"
        self._head = f"{head}OBX|1|ED|DOC||^application^pdf^Base64^".encode()
        self._size = size
        self.length = len(self._head) + size + 1
        self.digest = hashlib.sha256(b"".join(()))
        for piece in self.pieces():
            self.digest.update(piece)

    def pieces(self) -> Iterator[bytes]:
        yield self._head
        for at in range(0, self._size, _LINE):
            line = hashlib.sha512(f"{self.control_id} {at}".encode()).hexdigest().encode() * (_LINE // 128)
            yield line[: self._size - at]
        yield b"\r"


class Received:
    """What came: its length, digest and beginning."""

    def __init__(self) -> None:
        self.head = b""
        self.length = 0
        self.digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        self.head = self.head or piece[:1000]
        self.length += len(piece)
        self.digest.update(piece)

    def is_(self, body: Body) -> bool:
        return (self.length, self.digest.digest()) == (body.length, body.digest.digest())


class Receiver:
    """Takes one message a connection, over MLLP or HTTP, as its first byte says."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._more = asyncio.Event()

    async def start(self, port: int = 0) -> Receiver:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def has(self, count: int) -> list[Received]:
        async with asyncio.timeout(LARGE_WAIT_S):
            while len(self.got) < count:
                self._more.clear()
                await self._more.wait()
        return self.got

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while first := await reader.read(1):
                await (self._mllp if first == START else self._http)(reader, writer)
        writer.close()

    async def _mllp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came, ended = Received(), False
        while not ended:
            piece = await reader.read(_LINE)
            if not piece:
                return
            if ended := piece.endswith(b"\x1c") or piece.endswith(END):
                if piece.endswith(b"\x1c"):
                    await reader.readexactly(1)
                piece = piece.rstrip(b"\r").removesuffix(b"\x1c")
            came.take(piece)
        control_id = came.head.split(b"|")[9].decode()
        ack = f"MSH|^~\\&|EMR|B|PACS|A|20260105||ACK|{control_id}|P|2.5\rMSA|AA|{control_id}\r"
        self._took(came)
        writer.write(START + ack.encode() + END)

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        left = int(length[1]) if length else 0
        came = Received()
        while left:
            piece = await reader.read(min(left, _LINE))
            if not piece:
                return
            left -= len(piece)
            came.take(piece)
        self._took(came)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def _took(self, came: Received) -> None:
        self.got.append(came)
        self._more.set()


async def by_mllp(port: int, body: Body) -> bytes:
    """The answer."""
    reader, writer = await connect(port)
    try:
        writer.write(START)
        for piece in body.pieces():
            writer.write(piece)
            await writer.drain()
        writer.write(END)
        return (await asyncio.wait_for(reader.readuntil(END), LARGE_WAIT_S))[1:-2]
    finally:
        writer.close()


async def by_http(port: int, path: str, body: Body) -> bytes:
    """The status line."""
    reader, writer = await connect(port)
    try:
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {body.length}\r\n\r\n".encode())
        for piece in body.pieces():
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.readline(), LARGE_WAIT_S)
    finally:
        writer.close()


def by_file(folder: Path, body: Body) -> None:
    part = folder / "large.part"
    with part.open("wb") as file:
        file.writelines(body.pieces())
    part.rename(folder / "large.hl7")


def in_file(file: Path) -> Received:
    came = Received()
    with file.open("rb") as opened:
        while piece := opened.read(_LINE):
            came.take(piece)
    return came
