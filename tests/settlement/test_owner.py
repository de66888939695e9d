"""Who has settlements shows that it lives, and others see at once that it is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.crypto import SiteKeys
from router.settlement.book import New
from router.settlement.commands import Call
from router.settlement.desk import Desk
from router.settlement.owner import Owner
from router.settlement.runner import LEASE_MS, Told
from router.store.settlement_book import settlement_book
from tests.settlement.simulated import INFO, REQUEST, TEXT, definition
from transforms.library import Library

NOW = 1_700_000_000_000


def killed(owner: Owner) -> None:
    """The system takes its lock away; its file stays."""
    assert owner._held is not None
    os.close(owner._held)
    owner._held = None


def test_who_lives_is_not_gone_and_who_was_killed_is(tmp_path: Path) -> None:
    one, other = Owner(tmp_path / "settlements"), Owner(tmp_path / "settlements")
    assert one.gone() == []
    one.hold()
    other.hold()
    assert (one.gone(), other.gone()) == ([], [])
    killed(one)
    assert other.gone() == [one.name]
    other.forget(one.name)
    assert other.gone() == []
    other.let_go()
    assert list((tmp_path / "settlements").iterdir()) == []


class Prompt:
    """Parties that do everything at once."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def call(self, settlement: Any, call: Call) -> Told:
        if call.operation == "einvoice.issue":
            self.done.set()
        return Told("OK", reply={"setlinfo": INFO})


def test_what_a_killed_process_had_goes_on_long_before_its_lease_ends(tmp_path: Path) -> None:
    async def taken_over() -> str:
        book = settlement_book(f"sqlite:///{tmp_path}/jingluo.db", lambda: SiteKeys(bytes(16)), lambda: NOW)
        dead = Owner(tmp_path / "settlements")
        dead.hold()
        made = definition()
        pipelines: Mapping[str, Any] = {"outpatient": None}
        await book.define(made.digest, "outpatient", _data())
        await book.begin(New("S1", "outpatient", made.digest, REQUEST, NOW))
        assert await book.claim("S1", dead.name, NOW, NOW + LEASE_MS) == 1
        killed(dead)
        parties = Prompt()
        desk = Desk(
            book, parties, lambda: pipelines, Library([], []), Owner(tmp_path / "settlements"), lambda: NOW
        )
        desk.start()
        await asyncio.wait_for(parties.done.wait(), 30)
        told = await desk.show("S1", 10)
        await desk.stop()
        return str(told["state"])

    assert asyncio.run(taken_over()) == "COMPLETED"


def _data() -> Any:
    from config.text import parse

    return parse(TEXT, "outpatient.yaml").data
