"""The laboratory: takes patients and orders over MLLP, and sends a result to every order soon after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from deploy.sandbox.books import SentBook
from deploy.sandbox.labs import PANELS, measure
from deploy.sandbox.messages import Letter, oru, read, segments
from deploy.sandbox.mllp import MllpParty, MllpSender

_ANALYSERS = 4  # results on their way at once


class Lis(MllpParty):
    """`received` is its book of patients and orders, `sent` of the results it sent."""

    def __init__(
        self, port: int = 0, seed: int = 0, results_port: int = 0, turnaround_s: float = 0.05
    ) -> None:
        super().__init__("lis", port, seed)
        self.sent = SentBook()
        self.results_port = results_port  # the engine's door for results; 0: no results are sent
        self.tell: Callable[[], object] = lambda: None
        self._chance = Random(seed)
        self._turnaround_s = turnaround_s
        self._orders: set[str] = set()
        self._finished = 0
        self._samples: asyncio.Queue[Letter] = asyncio.Queue()
        self._analysers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await super().open()
        if not self._analysers:
            self._analysers = [asyncio.create_task(self._analyse()) for _ in range(_ANALYSERS)]

    async def close(self) -> None:
        await super().close()
        for task in self._analysers:
            task.cancel()
        await asyncio.gather(*self._analysers, return_exceptions=True)

    @property
    def owed(self) -> int:
        """How many orders still wait for their result to be accepted."""
        return len(self._orders) - self._finished

    def keep(self, control: str, text: str, body: bytes) -> None:
        super().keep(control, text, body)
        found = segments(text)
        # An order that comes a second time is the same order: one sample, one result.
        if "OBR" in found and self.results_port and control not in self._orders:
            self._orders.add(control)
            self._samples.put_nowait(self._result(control, found, body))

    def _result(self, control: str, order: dict[str, str], body: bytes) -> Letter:
        fields = order["OBR"].split("|")
        panel = PANELS[fields[4].split("^")[0]]
        at = datetime.strptime(fields[7][:14], "%Y%m%d%H%M%S") + timedelta(minutes=40)
        return oru(order, panel, measure(panel, self._chance), f"R{control}", at, read(body)[1])

    async def _analyse(self) -> None:
        sender: MllpSender | None = None
        try:
            while True:
                letter = await self._samples.get()
                await asyncio.sleep(self._turnaround_s)
                sender = sender or MllpSender("127.0.0.1", self.results_port, self.sent)
                await sender.send(letter)
                self._finished += 1
                self.tell()
        finally:
            if sender is not None:
                sender.hang_up()
