"""All parties of the example hospital together: opened, played through, closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.sandbox.books import SentBook
from deploy.sandbox.branch import BranchHis
from deploy.sandbox.emr import Emr
from deploy.sandbox.folder import Folders
from deploy.sandbox.his import His
from deploy.sandbox.http import ask
from deploy.sandbox.insured import Outpatients
from deploy.sandbox.kiosk import Kiosks
from deploy.sandbox.lis import Lis
from deploy.sandbox.party import Party
from deploy.sandbox.traffic import Day

if TYPE_CHECKING:
    from deploy.sandbox.pacs import Imaging

PARTIES = ("his", "lis", "emr")
_KIOSKS = 4  # queries at once
_TRIES = 3
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Doors:
    """The engine's ports, as it opened them."""

    adt: int
    orders: int
    results: int
    http: int
    exams: int = 0
    images: int = 0


class Hospital:
    """`asked` is the kiosks' book of what they asked; every other book is its party's.

    `imaging` is None where nothing here speaks DICOM.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.his, self.lis, self.emr = His(seed=seed), Lis(seed=seed), Emr(seed=seed)
        self.folders = Folders(folder / "prices" / "in", folder / "prices" / "out")
        self.kiosks = Kiosks()
        self.branch = BranchHis()
        self.insured = Outpatients(seed)
        self.insured.kiosks.key = self.kiosks.key
        self.imaging = _imaging(folder)
        self.asked = SentBook()
        self.found = 0  # answers that held the patient who was asked for

    @property
    def parties(self) -> tuple[Party, ...]:
        return self.his, self.lis, self.emr

    def misbehave(self, told: list[tuple[str, str]]) -> None:
        """Takes (party, word) pairs: ("lis", "slow:2")."""
        for name, word in told:
            next(party for party in self.parties if party.name == name).behaviour.be(word)

    @property
    def arrived(self) -> int:
        """How many different messages have come to any party."""
        images = len(set(self.imaging.pacs.received)) if self.imaging else 0
        return len({*self.his.received, *self.lis.received}) + len(set(self.emr.received)) + images

    async def open(self) -> None:
        if self.imaging:
            self.imaging.pacs.open()
        for party in (*self.parties, self.insured.centre):
            await party.open()

    async def close(self) -> None:
        for party in (*self.parties, self.insured.centre):
            await party.close()
        if self.imaging:
            await self.imaging.pacs.close()

    def environment(self) -> dict[str, str]:
        """What the example site's files ask the environment for; the engine takes any free port."""
        return {
            "ADT_PORT": "0",
            "ORDERS_PORT": "0",
            "RESULTS_PORT": "0",
            "LIS_PORT": str(self.lis.port),
            "HIS_PORT": str(self.his.port),
            "EMR_PORT": str(self.emr.port),
            "CENTRE_PORT": str(self.insured.centre.port),
            "KIOSK_KEY": self.kiosks.key.shown,
            "BRANCH_KEY": self.insured.branch.key.shown,
            "PRICES_IN": str(self.folders.drop_dir),
            "PRICES_OUT": str(self.folders.out_dir),
            **(self.imaging.environment() if self.imaging else {}),
        }

    async def play(self, day: Day, doors: Doors, tell: Callable[[], object]) -> None:
        """Sends the whole day. `tell` is called once for every message that has its last answer."""
        self.lis.results_port, self.lis.tell = doors.results, tell
        for number, text in day.files.items():
            self.folders.drop(number, text)
            tell()
        await asyncio.gather(
            self.his.send(day.adt, doors.adt, connections=4, tell=tell),
            self.his.send(day.orders, doors.orders, connections=2, tell=tell),
            self.kiosks.report(day.checkins, doors.http, tell),
            self.branch.register(day.visits, doors.http, tell),
            self._examined(day, doors, tell),
            *self.insured.serve(day.insured, doors.http, tell),
        )
        await self._registered(day.queries)
        waiting = [(f"Q{number:06d}", patient) for number, patient in enumerate(day.queries)]
        await asyncio.gather(*(self._ask(waiting[n::_KIOSKS], doors.http, tell) for n in range(_KIOSKS)))

    async def _examined(self, day: Day, doors: Doors, tell: Callable[[], object]) -> None:
        """Examinations are ordered, and the device does those whose order was accepted."""
        if self.imaging:
            await self.his.send(day.exams, doors.exams, connections=2, tell=tell)
            ordered = len(self.ordered(day))
            await self.imaging.modality.work(ordered, doors.images, tell)

    def ordered(self, day: Day) -> list[str]:
        """The examinations to which the engine said yes to the HIS."""
        yes = set(self.his.sent.accepted)
        return [order.control for _, order in day.exams if order.control in yes]

    async def _registered(self, patients: list[str]) -> None:
        """Nobody asks for a patient before the record knows him, unless that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while not all(map(self.emr.knows, patients)):
                    self.emr.news.clear()
                    await self.emr.news.wait()

    async def _ask(self, queries: list[tuple[str, str]], port: int, tell: Callable[[], object]) -> None:
        for key, patient in queries:
            self.asked.answers[key] = ""
            for _ in range(_TRIES):
                try:
                    status, body = await ask(port, "GET", f"/v1/patients/{patient}")
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    self.asked.repeated += 1
                    continue
                self.asked.answers[key] = str(status)
                self.found += f'"{patient}"'.encode() in body
                break
            tell()


def _imaging(folder: Path) -> Imaging | None:
    if find_spec("pynetdicom") is None:
        return None
    from deploy.sandbox.pacs import Imaging

    return Imaging(folder / "worklist.db")
