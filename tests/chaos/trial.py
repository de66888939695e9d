"""One trial: a scene, senders, a fault; afterwards the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from balance import unbalanced, wait_for_balance
from faults import FAULTS
from peers import Sender, now
from scene import Scene
from servers import Servers
from shape import draw
from verdict import Copy, Sent, Verdict, Window, judge

TRIAL_S = 240.0  # what a trial may take that has the machine to itself
LOAD_S = 60.0  # no further fault begins when they took so long
DRAIN_S = 90.0  # until what was accepted has arrived
JOURNAL_S = 45.0  # until the journal knows it; what it then does not know is judged
NOTICED_S = 1.0
THROUGH_S = 10.0
RECORDED_S = 0.3
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
    """`fault` is one, or several with `+` between that happen in turn. `folder` is empty and the trial's own.

    `stacks` are those that there are. `long`: times as in a hospital, and more than once.
    A trial that takes longer than `limit_s` is broken.
    """

    def __init__(
        self,
        seed: int,
        fault: str,
        folder: Path,
        stacks: tuple[str, ...],
        messages: int,
        long: bool = False,
        limit_s: float = TRIAL_S,
    ) -> None:
        self.long = long
        self._limit_s = limit_s
        self._chance = Random(seed)
        self._fault = fault
        self._faults = [FAULTS[name] for name in fault.split("+")]
        possible = tuple(stack for stack in stacks if all(stack in each.stacks for each in self._faults))
        self.shape = shape = draw(seed, self._chance, possible, messages)
        self.scene = Scene(shape, {each.needs for each in self._faults}, folder)
        self.windows: list[Window] = []
        self._enough = asyncio.Event()
        self._senders = [
            Sender(
                channel.name,
                f"K{number}",
                self.scene.doors[channel.name],
                channel.goes_to,
                Random(f"{seed} {channel.name} {number}"),
                shape.pause_s,
                AGAIN if channel.duplicates else 0.0,
            )
            for channel in shape.channels
            for number in range(shape.keys)
        ]

    async def run(self, servers: Servers) -> Result:
        """Never longer than its limit. What goes wrong stands in the result."""
        began = now()
        shape = self.shape
        what = f"{shape.stack}, {len(shape.processes)} process{'es' if len(shape.processes) > 1 else ''}"
        result = Result(shape.seed, self._fault, what)
        ended = False
        try:
            async with asyncio.timeout(self._limit_s), self.scene.up(servers):
                await self._load()
                result.broken += await self._drained()
                result.broken += await self.scene.engine.stop()
                result.broken += await asyncio.to_thread(self._left)
                ended = True
        except Exception as error:  # whatever it is, the other trials are run
            result.broken.append(f"{type(error).__name__}: {error} (at {_where(error)})")
        result.verdict = self._judged()
        if not ended:
            result.verdict.lost.clear()  # what has not come was perhaps still on its way
        result.broken += result.verdict.broken
        result.outage_s = self._outage_s()
        result.took_s = now() - began
        return result

    @contextlib.contextmanager
    def window(self, name: str, *, cuts: bool) -> Iterator[None]:
        """The time of a fault. Who is cut off goes on for a moment until it notices."""
        begin = now()
        try:
            yield
        finally:
            self.windows.append(Window(name, begin, now() + (NOTICED_S if cuts else 0.0), cuts))

    async def _load(self) -> None:
        """Senders send; the fault happens; then it is enough, and each sender's last message is accepted."""
        sending = asyncio.gather(*(sender.run(self._enough) for sender in self._senders))
        try:
            await self._until_accepted(self.shape.messages // 3)
            began = now()
            for fault in self._faults * (self.shape.repeats if self.long else 1):
                if now() - began > LOAD_S:
                    break
                await fault.act(self, self._chance)
                await asyncio.sleep(self._chance.uniform(0, 1))
            await self._until_accepted(self.shape.messages)
            self._enough.set()
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def accepted(self) -> int:
        """How often a sender was told yes so far."""
        return sum(len(sender.yes_at) for sender in self._senders)

    async def _until_accepted(self, count: int) -> None:
        while self.accepted() < count:
            self.scene.engine.check()
            await asyncio.sleep(0.02)

    async def gets_through(self) -> None:
        """Until what was accepted so far has arrived, if it soon does, and is recorded.

        Else the same message may be under way at three crashes in a row, and is parked as poison, rightly.
        """
        waiting = set(self._judged().lost)
        await _until(lambda: waiting.isdisjoint(self._judged().lost), THROUGH_S)
        await asyncio.sleep(RECORDED_S)

    async def _drained(self) -> list[str]:
        """Until every receiver has what it shall have, and nothing more comes."""
        stopped = [sender.gave_up for sender in self._senders if sender.gave_up]
        sinks = self.scene.sinks.values()
        await _until(lambda: not self._judged().lost, DRAIN_S)
        await _until(lambda: all(not s.copies or s.copies[-1].at < now() - QUIET_S for s in sinks), DRAIN_S)
        await asyncio.to_thread(wait_for_balance, self.scene.journal, self._book(), self._copies(), JOURNAL_S)
        return stopped

    def _left(self) -> list[str]:
        return unbalanced(self.scene.journal, self._book(), self._copies()) + self.scene.left()

    def _book(self) -> list[Sent]:
        return [sent for sender in self._senders for sent in sender.book]

    def _copies(self) -> dict[str, list[Copy]]:
        return {name: sink.copies for name, sink in self.scene.sinks.items()}

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


def _where(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
