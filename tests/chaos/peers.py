"""Senders and receivers of a trial, outside the engine: they number, send again, answer, and note what happened."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from random import Random

from verdict import Copy, Number, Sent

from deploy.sandbox.messages import read
from deploy.sandbox.mllp import MllpParty, frame, read_frame
from deploy.sandbox.party import MAX_MESSAGE

ANSWER_S = 12.0  # what a sender waits for its answer before it sends again on a new connection
BETWEEN_S = (0.05, 0.4)  # two sendings of the same message
KINDS = ("ADT^A01", "ADT^A08", "ADT^A31", "SIU^S12")  # the trial's site sends each another way
_OFTEN = (60, 25, 10, 5)  # of a hundred
_LONG = 30_000  # characters, of a message's longest note
_LARGE, _LARGE_SIZE = 0.005, 400_000  # a share of messages are over 1 MB, and travel another way
_TOO_MANY = 400  # sendings of one message: then somebody is wrong


def now() -> float:
    """The trial's clock, seconds."""
    return time.monotonic()


def adt(of: Number, kind: str, note: str) -> bytes:
    """An invented message. MSH-10 names key and number, PID-3 is the key."""
    return (
        f"MSH|^~\\&|HIS|A|HUB|A|20260105080000||{kind}|{control_id(of)}|P|2.5|||||CHN|UNICODE UTF-8\r"
        f"EVN|{kind[4:]}|20260105080000\rPID|1||{of.key}^^^HIS||测试^甲||19800101|F\r"
        f"PV1|1|I|W3^12^1||||||||||||||||V{of.key}\rNTE|1|L|{note}\r"
    ).encode()


def control_id(of: Number) -> str:
    return f"{of.channel}.{of.key}.{of.number}"


def number_of(control: str) -> Number:
    """Of an id that no sender made: a number that was never sent."""
    parts = control.split(".")
    if len(parts) != 3 or not parts[2].isdigit():
        return Number("", control, 0)
    return Number(parts[0], parts[1], int(parts[2]))


class Sender:
    """One key's sender of one channel: one message at a time, each until it is told yes.

    `goes_to` says by the kind of a message where it shall arrive. A share `again` of its messages it sends once more
    although it was told yes, as a sender does that has lost the answer.
    """

    def __init__(
        self,
        channel: str,
        key: str,
        port: int,
        goes_to: Callable[[str], tuple[str, ...]],
        chance: Random,
        pause_s: float,
        again: float = 0.0,
    ) -> None:
        self.book: list[Sent] = []
        self.yes_at: list[float] = []
        self.gave_up = ""
        self._channel, self._key, self._port = channel, key, port
        self._goes_to = goes_to
        self._chance = chance
        self._pause_s = pause_s
        self._again = again
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, enough: asyncio.Event) -> None:
        """Until enough, and the message in hand is accepted."""
        while not enough.is_set() and not self.gave_up:
            of = Number(self._channel, self._key, len(self.book) + 1)
            (kind,) = self._chance.choices(KINDS, _OFTEN)
            note = "记" * self._chance.choice((0, 20, 300, self._chance.randrange(_LONG)))
            if self._chance.random() < _LARGE:
                note = "记" * _LARGE_SIZE
            sent = Sent(of, self._goes_to(kind))
            self.book.append(sent)
            await self._until_yes(sent, adt(of, kind, note))
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause_s))
        self._hang_up()

    async def _until_yes(self, sent: Sent, body: bytes) -> None:
        wanted = 2 if self._chance.random() < self._again else 1
        while sent.codes.count("AA") < wanted:
            if len(sent.codes) >= _TOO_MANY:
                self.gave_up = (
                    f"{control_id(sent.of)} was not accepted in {_TOO_MANY} sendings: {sent.codes[-1]}"
                )
                return
            sent.codes.append("")  # it counts from now on, answered or not
            try:
                sent.codes[-1] = await asyncio.wait_for(self._ask(sent.of, body), ANSWER_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self._hang_up()
            if sent.codes[-1] == "AA":
                self.yes_at.append(now())
            else:
                await asyncio.sleep(self._chance.uniform(*BETWEEN_S))

    async def _ask(self, of: Number, body: bytes) -> str:
        if self._line is None:
            self._line = await asyncio.open_connection("127.0.0.1", self._port, limit=MAX_MESSAGE)
        reader, writer = self._line
        writer.write(frame(body))
        said = await read_frame(reader)
        found = re.search(rb"\rMSA\|(\w\w)\|" + re.escape(control_id(of).encode()) + rb"\b", said)
        if found is None:
            raise ConnectionAbortedError("no answer to what was sent")
        return found[1].decode()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None


class Sink(MllpParty):
    """A receiver over MLLP that notes every copy, and whether it says yes to it.

    It misbehaves as `behaviour` is told (deploy/sandbox/behaviour.py). The engine's id stands in ZID-1 where the
    destination's map puts it there.
    """

    def __init__(self, name: str, port: int, seed: int) -> None:
        super().__init__(name, port, seed)
        self.copies: list[Copy] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            text, charset = read(await read_frame(reader))
            act = self.behaviour.next()
            id = text.rpartition("\rZID|")[2].strip("\r|") if "\rZID|" in text else ""
            yes, late = act.kind in ("well", "slow"), act.kind == "slow"
            self.copies.append(Copy(number_of(text.split("|", 10)[9]), now(), yes, id, late))
            await self._answer(writer, act, text, charset.codec)
