"""MLLP as the parties speak it: their own few lines, so that the engine's framing meets another's.

A frame is 0x0B, the message, 0x1C, 0x0D.
"""

from __future__ import annotations

import asyncio
import re

from deploy.sandbox.behaviour import Act
from deploy.sandbox.books import SentBook
from deploy.sandbox.messages import Letter, answer, read
from deploy.sandbox.party import MAX_MESSAGE, Party

_END = b"\x1c\r"


def frame(body: bytes) -> bytes:
    return b"\x0b" + body + _END


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message. Raises IncompleteReadError when the other side hangs up."""
    await reader.readuntil(b"\x0b")
    return (await reader.readuntil(_END))[: -len(_END)]


class MllpParty(Party):
    """Takes messages over MLLP, keeps them, answers as its behaviour says."""

    def __init__(self, name: str, port: int = 0, seed: int = 0) -> None:
        super().__init__(name, port, seed)
        self.received: list[str] = []  # control ids, in the order of arrival
        self.texts: dict[str, str] = {}  # by control id

    def keep(self, control: str, text: str, body: bytes) -> None:
        """Writes the message into the book."""
        self.received.append(control)
        self.texts[control] = text

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = await read_frame(reader)
            text, charset = read(body)
            act = self.behaviour.next()
            if act.kind != "refuse":
                self.keep(text.split("|", 10)[9], text, body)
            await self._answer(writer, act, text, charset.codec)

    async def _answer(self, writer: asyncio.StreamWriter, act: Act, text: str, codec: str) -> None:
        if act.kind == "mute":
            return
        if act.kind == "slow":
            await asyncio.sleep(act.seconds)
        code = act.code or "AE" if act.kind == "refuse" else "AA"
        said = frame(answer(text, code, "ANOTHER" if act.kind == "lie" else "").encode(codec))
        if act.kind == "garbage":
            said = frame(b"\xff\xfe\x00 no answer at all")
        if act.kind == "cut":
            writer.write(said[: len(said) // 2])
            raise ConnectionAbortedError("told to hang up in the middle of the answer")
        writer.write(said)
        await writer.drain()


class MllpSender:
    """Sends letters one by one over one connection, each until it is accepted or refused for good (AR)."""

    def __init__(self, host: str, port: int, book: SentBook, timeout_s: float = 35, tries: int = 20) -> None:
        self._address = (host, port)
        self._book = book
        self._timeout_s = timeout_s
        self._tries = tries
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, letter: Letter) -> str:
        """The last answer's code: AA, AE, AR, or "" when nobody answered."""
        self._book.answers[letter.control] = code = ""
        for attempt in range(self._tries):
            if attempt:
                self._book.repeated += 1
                await asyncio.sleep(min(0.1 * 2**attempt, 2))
            try:
                code = await asyncio.wait_for(self._ask(letter), self._timeout_s)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self.hang_up()
                continue
            self._book.answers[letter.control] = code
            if code in ("AA", "AR"):
                break
        return code

    async def _ask(self, letter: Letter) -> str:
        if self._line is None:
            self._line = await asyncio.open_connection(*self._address, limit=MAX_MESSAGE)
        reader, writer = self._line
        writer.write(frame(letter.body))
        said = await read_frame(reader)
        found = re.search(rb"\rMSA\|(\w\w)\|" + re.escape(letter.control.encode()) + rb"\b", said)
        if found is None:
            raise ConnectionAbortedError("this is no answer to what was sent")
        return found[1].decode()

    def hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None
