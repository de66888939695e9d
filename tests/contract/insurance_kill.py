"""The process dies at the moment a request leaves for the centre: nothing that left is forgotten, or sent again.

`make insurance-kill TIMES=200` prints a table. Each time a process of its own begins a settlement
and is killed (SIGKILL): when the centre has the connection, the first bytes, the whole request, when it answers, or
some milliseconds after it began. Then what the centre got is looked for in the records, and the same message is
given to a new process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway_parts import options_for, records_at

from endpoints.base import Ground
from endpoints.insurance.destination import InsuranceDestination
from router.clock import now_ms
from schemas.json import Json
from schemas.message import Message
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

MOMENTS = ("connected", "first bytes", "arrived", "answered", "soon")
PATIENCE_S = 60.0
_MSGID = re.compile(rb'"msgid":"(\w{30})"')
_ANSWER = b'{"infcode":0,"inf_refmsgid":"1","err_msg":"","output":{}}'


class Centre:
    """Takes a request, says so, and answers; at the moment that it was told it kills who asks."""

    def __init__(self) -> None:
        self.moment = ""
        self.victim = 0
        self.arrived: list[str] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def kill(self, moment: str) -> None:
        if moment == self.moment and self.victim:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)
            self.victim = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.kill("connected")
            body = await reader.read(1 << 20)
            self.kill("first bytes")
            while (found := _MSGID.search(body)) is None or not body.endswith(b"}"):
                more = await reader.read(1 << 20)
                if not more:
                    break
                body += more
            if found is not None:
                self.arrived.append(found[1].decode())
                self.kill("arrived")
                head = (
                    f"HTTP/1.1 200 OK\r\ncontent-length: {len(_ANSWER)}\r\nconnection: close\r\n\r\n".encode()
                )
                writer.write(head + _ANSWER)
                await writer.drain()
                self.kill("answered")
        writer.close()


@dataclass
class Counts:
    """Of all kills of one moment."""

    kills: int = 0
    got: int = 0  # by the centre, before the process died
    stored: int = 0  # of those, in the records
    then: Counter[str] = field(default_factory=Counter)  # what the same message came to in a new process
    twice: int = 0  # messages that the centre got twice


async def run(database: str, times: int, seed: int = 0) -> dict[str, Counts]:
    """`times` kills, the moments in turn."""
    chance = random.Random(seed)
    centre, counts = Centre(), {moment: Counts() for moment in MOMENTS}
    await centre.start()
    kept = records_at(database)
    async with _breeder(database, centre.url) as breeder:
        for n in range(times):
            moment = MOMENTS[n % len(MOMENTS)]
            count, key = counts[moment], f"m{n}"
            centre.arrived, centre.moment = [], moment
            centre.victim = victim = await breeder.begin(key)
            if moment == "soon":
                await asyncio.sleep(chance.random() * 0.3)
                centre.kill("soon")
            await breeder.ended(victim)
            centre.moment, got = "", list(centre.arrived)
            count.kills += 1
            count.got += len(got)
            count.stored += sum([await kept.find(msgid) is not None for msgid in got])
            await breeder.begin(key)
            told = await breeder.told()
            count.then[told] += 1
            count.twice += len(centre.arrived) > 1
            if got and told == "sent now":
                count.twice += 1
    kept.close()
    await centre.stop()
    return counts


class _Breeder:
    """A process that has imported everything, and forks one that sends a message as often as it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begin(self, key: str) -> int:
        """The new process's id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{key}\n".encode())
        await self._process.stdin.drain()
        return int(await self._line("pid"))

    async def ended(self, pid: int) -> None:
        """However it ended."""
        while not (await self._line("end")).startswith(str(pid)):
            pass

    async def told(self) -> str:
        """The outcome of one that was not killed."""
        told = await self._line("told")
        await self._line("end")
        return told

    async def _line(self, what: str) -> str:
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(PATIENCE_S):
                line = (await self._process.stdout.readline()).decode().strip()
            if not line:
                raise AssertionError(f"the process that forks others ended: {await self._process.wait()}")
            kind, _, said = line.partition(" ")
            if kind == what:
                return said


@contextlib.asynccontextmanager
async def _breeder(database: str, url: str) -> AsyncIterator[_Breeder]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--breed", database, url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        yield _Breeder(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE_S)


def breed(database: str, url: str) -> None:
    """Forks a process for each line, which is the message's key, and says what became of it."""
    import aiohttp  # noqa: F401
    import sqlalchemy.dialects.postgresql  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _say(f"told {asyncio.run(_send(database, url, line.strip()))}")
            except BaseException as error:  # this process must not go on as if it were the one that forks
                _say(f"told {type(error).__name__}")
            os._exit(0)
        _say(f"pid {pid}")
        _, status = os.waitpid(pid, 0)
        _say(f"end {pid} {status}")


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def _send(database: str, url: str, key: str) -> str:
    """What the caller hears; `sent now` where it was not given before."""
    kept = records_at(database)
    options = options_for(url, sign_in=False, insured_place="hospital")
    lent = Ground("his.insurance", "json", now=lambda: now_ms() / 1000, insurance=kept)
    destination = InsuranceDestination(options, lent)
    body = Json().encode(sample(transaction("2207")))
    before = {one.msgid for one in await kept.of_key(options.fixmedins_code, key)}
    told: dict[str, Any] = json.loads(
        (await destination.send(Message(body, headers={"param.code": "2207"}, id=key))).answer
    )
    await destination.stop()
    kept.close()
    return str(told["outcome"]) if told["msgid"] in before else "sent now"


def table(counts: dict[str, Counts]) -> str:
    lines = [f"{'killed when':<14}{'kills':>7}{'centre got':>12}{'in records':>12}{'sent twice':>12}  then"]
    for moment, one in counts.items():
        then = ", ".join(f"{name} {count}" for name, count in sorted(one.then.items()))
        lines.append(f"{moment:<14}{one.kills:>7}{one.got:>12}{one.stored:>12}{one.twice:>12}  {then}")
    total = [
        sum(getattr(one, name) for one in counts.values()) for name in ("kills", "got", "stored", "twice")
    ]
    lines.append(f"{'all':<14}{total[0]:>7}{total[1]:>12}{total[2]:>12}{total[3]:>12}")
    return "\n".join(lines)


def main() -> int:
    """0 where nothing was forgotten and nothing sent twice."""
    if sys.argv[1:2] == ["--breed"]:
        breed(*sys.argv[2:4])
        return 0
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--times", type=int, default=200)
    said.add_argument("--database", default="", help="without it a file of SQLite")
    said.add_argument("--seed", type=int, default=0)
    given = said.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or f"sqlite:///{folder}/journal.db"
        counts = asyncio.run(run(database, given.times, given.seed))
    print(table(counts))
    wrong = sum(one.got - one.stored + one.twice for one in counts.values())
    print(f"insurance-kill: {given.times} kills, forgotten or sent twice: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
