"""What will end one day, and a disk without room: found in a thread, whatever the disk does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace as Such
from typing import Any

import pytest
from authority import Authority
from blob_parts import blobs_in

from channels.loader import load_site
from config.settings import load_settings
from router.alerts import upkeep as looking
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name
from router.alerts.upkeep import Upkeep

DOOR = "from: {{mllp: {{port: 0, tls: {{certificate: {0.certificate.name}, key: {0.key.name}}}}}}}\n"
REST = "format: hl7v2\nto: {a: {send: {file: {folder: out}}}}\n"


def test_certificates_and_keys_that_end_soon_are_found_and_a_full_disk(tmp_path: Path) -> None:
    made = Authority(tmp_path)
    soon, late = made.issue("soon", "127.0.0.1", days=20.5), made.issue("late", "127.0.0.1", days=300)
    (tmp_path / "channels").mkdir()
    for name, pair in (("one", soon), ("two", soon), ("three", late)):
        text = f"channel: {name}\n{DOOR.format(pair)}{REST}"
        (tmp_path / "channels" / f"{name}.yaml").write_text(text)
    settings = load_settings(tmp_path, {})
    site = load_site(settings, {})
    assert len(site.channels) == 3
    now_s = time.time()
    kiosk = Such(name="kiosk", keys=(Such(until=now_s + 86_400), Such(until=now_s + 10.5 * 86_400)))
    app = Such(name="app", keys=(Such(until=now_s + 86_400), Such(until=None)))
    callers: Any = Such(known={"kiosk": kiosk, "app": app, "his": Such(name="his", keys=())})
    room: Any = Such(has_room=lambda: False)
    upkeep = Upkeep(settings, room, lambda: callers)
    found = Findings()
    asyncio.run(upkeep.look(site.channels, found, int(now_s * 1000)))
    assert found.raised == {
        Name("certificate", about=soon.certificate.name): Fact(20, 30),
        Name("key", about="kiosk"): Fact(10, 30),
        Name("disk"): Fact(),
    }


async def test_a_share_that_hangs_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_PATIENCE_S", 0.05)
    go_on = Event()
    nobody: Any = Such(known={})
    asked = []
    room: Any = Such(has_room=lambda: (asked.append(1), go_on.wait()))
    upkeep = Upkeep(load_settings(tmp_path, {}), room, lambda: nobody)
    for _ in range(3):
        found = Findings()
        await upkeep.look((), found, 0)
        assert found == Findings(unseen={"disk", "certificate", "key"})
    assert len(asked) == 1, "one thread waits for it"
    go_on.set()
    async with asyncio.timeout(10):
        while True:
            found = Findings()
            await upkeep.look((), found, 0)
            if not found.unseen:
                break
            await asyncio.sleep(0.01)
    assert found == Findings()


async def test_a_look_that_fails_is_not_the_last_one(tmp_path: Path) -> None:
    nobody: Any = Such(known={})
    stale = [OSError(116, "Stale file handle")]

    def has_room() -> bool:
        if stale:
            raise stale.pop()
        return False

    room: Any = Such(has_room=has_room)
    upkeep = Upkeep(load_settings(tmp_path, {}), room, lambda: nobody)
    with pytest.raises(OSError, match="Stale"):
        await upkeep.look((), Findings(), 0)
    found = Findings()
    await upkeep.look((), found, 0)
    assert found.raised == {Name("disk"): Fact()}


def test_a_share_that_cannot_be_looked_at_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(place: Path) -> bool:
        raise OSError(116, "Stale file handle")

    blobs = blobs_in(tmp_path)
    monkeypatch.setattr(Path, "exists", stale)
    assert not blobs.has_room()
