"""The hospital information system: sends patients' comings and goings and orders, takes results."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence

from deploy.sandbox.books import SentBook
from deploy.sandbox.messages import Letter
from deploy.sandbox.mllp import MllpParty, MllpSender


class His(MllpParty):
    """`sent` is its book of what it sent, `received` of the results that came back."""

    def __init__(self, port: int = 0, seed: int = 0) -> None:
        super().__init__("his", port, seed)
        self.sent = SentBook()

    async def send(
        self,
        letters: Sequence[tuple[str, Letter]],
        port: int,
        connections: int = 4,
        tell: Callable[[], object] = lambda: None,
    ) -> None:
        """Sends (patient, letter) pairs; one patient's go over one connection, so they stay in order."""
        heaps: list[list[Letter]] = [[] for _ in range(connections)]
        for patient, letter in letters:
            heaps[zlib.crc32(patient.encode()) % connections].append(letter)
        await asyncio.gather(*(self._send_all(heap, port, tell) for heap in heaps))

    async def _send_all(self, letters: list[Letter], port: int, tell: Callable[[], object]) -> None:
        sender = MllpSender("127.0.0.1", port, self.sent)
        try:
            for letter in letters:
                await sender.send(letter)
                tell()
        finally:
            sender.hang_up()
