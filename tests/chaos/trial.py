"""One trial: a site, its engine, senders, receivers and a fault; afterwards the verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from balance import unbalanced, wait_for_end
from faults import FAULTS
from peers import Sender, Sink, now
from processes import Engine, Process
from shape import DESTINATIONS, draw, write
from verdict import Copy, Sent, Verdict, Window, judge

from bench.site import free_port

TRIAL_S = 240.0  # a trial that takes longer is broken
DRAIN_S = 90.0  # until what was accepted has arrived
JOURNAL_S = 15.0  # until the journal knows it; what it then does not know is judged
QUIET_S = 0.5  # and no further copy has come for so long
AGAIN = 0.05  # of accepted messages are sent once more, where the channel knows duplicates


@dataclass(slots=True)
class Result:
    """What a trial came to. `broken` says what was wrong, a line each; `outage_s`: the longest time without a yes."""

    seed: int
    fault: str
    what: str
    verdict: Verdict = field(default_factory=Verdict)
    broken: list[str] = field(default_factory=list)
    outage_s: float = 0.0
    took_s: float = 0.0


class Trial:
    """`folder` is empty and the trial's own."""

    def __init__(self, seed: int, fault: str, folder: Path, messages: int) -> None:
        self._chance = Random(seed)
        self._fault = FAULTS[fault]
        self.shape = draw(seed, self._chance, self._fault.stacks, messages)
        self._folder = folder
        self.windows: list[Window] = []
        self.sinks: dict[str, Sink] = {}
        self._senders: list[Sender] = []
        self._enough = asyncio.Event()

    async def run(self) -> Result:
        """Never longer than TRIAL_S. What goes wrong stands in the result."""
        began = now()
        shape = self.shape
        what = f"{shape.stack}, {len(shape.processes)} process{'es' if len(shape.processes) > 1 else ''}"
        result = Result(shape.seed, self._fault.name, what)
        try:
            async with asyncio.timeout(TRIAL_S), self._started():
                await self._load()
                result.broken += await self._drained()
                result.broken += await self.engine.stop()
                result.broken += await asyncio.to_thread(
                    unbalanced, self.database, self._book(), self._copies()
                )
        except (TimeoutError, RuntimeError, OSError) as error:
            result.broken.append(f"{type(error).__name__}: {error}")
        result.verdict = self._judged()
        result.broken += result.verdict.broken
        result.outage_s = self._outage_s()
        result.took_s = now() - began
        return result

    @contextlib.contextmanager
    def window(self, name: str, *, cuts: bool) -> Iterator[None]:
        """The time of a fault."""
        begin = now()
        try:
            yield
        finally:
            self.windows.append(Window(name, begin, now(), cuts))

    @contextlib.asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        """Sinks and engine are up within; the engine's processes are ended by whoever runs trials."""
        shape = self.shape
        for channel in shape.channels:
            for destination in DESTINATIONS:
                name = f"{channel.name}.{destination}"
                self.sinks[name] = Sink(name, shape.seed)
                await self.sinks[name].open()
        doors = {channel.name: free_port() for channel in shape.channels}
        write(self._folder, shape, doors, {name: sink.port for name, sink in self.sinks.items()})
        self.broker, self.database = "embedded", f"sqlite:///{self._folder}/var/journal.db"
        processes = [
            Process(
                self._folder, roles, self.broker, self.database, self._folder / f"{roles or 'engine'}.log"
            )
            for roles in shape.processes
        ]
        self.engine = Engine(processes, list(doors.values()))
        self._senders = [
            Sender(
                channel.name,
                f"K{number}",
                doors[channel.name],
                channel.goes_to,
                Random(f"{shape.seed} {channel.name} {number}"),
                shape.pause_s,
                AGAIN if channel.duplicates else 0.0,
            )
            for channel in shape.channels
            for number in range(shape.keys)
        ]
        self.engine.start()
        try:
            await self.engine.until_open()
            yield
        finally:
            for sink in self.sinks.values():
                await sink.close()

    async def _load(self) -> None:
        """Senders send; a fault or more happens; then it is enough, and each sender's last message is accepted."""
        sending = asyncio.gather(*(sender.run(self._enough) for sender in self._senders))
        try:
            await self._until_accepted(self.shape.messages // 3)
            for _ in range(self._chance.randrange(1, 4)):
                await self._fault.act(self, self._chance)
                await asyncio.sleep(self._chance.uniform(0, 1))
            await self._until_accepted(self.shape.messages)
            self._enough.set()
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _until_accepted(self, count: int) -> None:
        while sum(len(sender.yes_at) for sender in self._senders) < count:
            self.engine.check()
            await asyncio.sleep(0.02)

    async def _drained(self) -> list[str]:
        """Until every receiver has what it shall have, and nothing more comes."""
        stopped = [sender.gave_up for sender in self._senders if sender.gave_up]
        sinks = self.sinks.values()
        await _until(lambda: not self._judged().lost, DRAIN_S)
        await _until(lambda: all(not s.copies or s.copies[-1].at < now() - QUIET_S for s in sinks), DRAIN_S)
        await asyncio.to_thread(wait_for_end, self.database, JOURNAL_S)
        return stopped

    def _book(self) -> list[Sent]:
        return [sent for sender in self._senders for sent in sender.book]

    def _copies(self) -> dict[str, list[Copy]]:
        return {name: sink.copies for name, sink in self.sinks.items()}

    def _judged(self) -> Verdict:
        channels = self.shape.channels
        ordered = [channel.name for channel in channels if channel.lanes]
        known = [channel.name for channel in channels if channel.duplicates]
        return judge(self._book(), self._copies(), self.windows, ordered, known)

    def _outage_s(self) -> float:
        yes = sorted(at for sender in self._senders for at in sender.yes_at)
        return max((after - before for before, after in pairwise(yes)), default=0.0)


async def _until(met: Callable[[], bool], within_s: float) -> bool:
    """Whether it came to that. What is waited for tells nobody when it happens."""
    end = now() + within_s
    while not (well := met()) and now() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return well
