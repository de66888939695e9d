"""The receivers: they note a message by its control id, and say yes from a template."""

from __future__ import annotations

import asyncio
import re
from typing import Protocol, cast

import msgspec

from bench.book import Book
from bench.senders import Framed

_ACK_HEAD = b"\x0bMSH|^~\\&|SINK|HUB|HIS|A|20260105080000||ACK^A01^ACK|1|P|2.5.1\rMSA|AA|"
_ACK_TAIL = b"\r\x1c\r"
_CREATED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_IDENTIFIER = re.compile(rb'"value": ?"(B\d{12})"')


class Mode(msgspec.Struct, tag="mode"):
    """How the MLLP sink answers from now on: at once, after a time, or not at all."""

    answers: bool = True
    after_s: float = 0.0


class Desk(Protocol):
    """What a sink writes into, and who says how it answers."""

    books: list[Book]
    mode: Mode


class Sink(Framed):
    """Over MLLP: reads MSH-10."""

    def __init__(self, desk: Desk, number: int) -> None:
        super().__init__()
        self._desk = desk
        self._number = number

    def frame(self, data: bytes) -> None:
        control_id = data.split(b"|", 10)[9]
        self._desk.books[self._number].arrive(control_id)
        said = b"%b%b%b" % (_ACK_HEAD, control_id, _ACK_TAIL)
        mode = self._desk.mode
        if mode.after_s:
            asyncio.get_running_loop().call_later(mode.after_s, self.transport.write, said)
        elif mode.answers:
            self.transport.write(said)


class HttpSink(asyncio.Protocol):
    """Over HTTP: finds the identifier of a FHIR bundle. Always answers at once."""

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk = desk
        self._number = number
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (head := self._rest.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._rest, 0, head + 2)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < end:
                return
            found = _IDENTIFIER.search(self._rest, head, end)
            self._desk.books[self._number].arrive(found[1] if found else b"")
            self._rest = self._rest[end:]
            self.transport.write(_CREATED)
