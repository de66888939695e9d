"""A site's own destination that some messages kill: `{killer: {into: FILE}}`. Installed for a test by `install`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from config.registry import destinations
from endpoints.base import Ground, Options
from schemas.message import Message, Receipt


def install(folder: Path) -> Path:
    """Where it is found as a site's package: for PYTHONPATH."""
    info = folder / "killer-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: killer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jingluo.plugins]\nkiller = killer\n")
    (folder / "killer.py").write_text(Path(__file__).read_text())
    return folder


@destinations.register("killer")
class Killer:
    """Appends each message's MSH-10 to a file; one that begins with KILL ends the process as a crash would.

    The first that begins with ONCE does so too, and no other. Beside the file, `<file>.ids` has of each
    MSH-10, the message's id, and whether it may have come before.
    """

    class Options(Options):
        into: str
        slow: float = 0.05

    def __init__(self, options: Any, ground: Ground) -> None:
        self._options = options

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def send(self, message: Message) -> Receipt:
        control_id = message.body.split(b"|")[9].decode()
        first = not any(id.startswith("ONCE") for id in self._noted())
        self._note(control_id)
        self._note(f"{control_id} {message.id} {message.redelivered}", ".ids")
        if control_id.startswith("KILL") or (first and control_id.startswith("ONCE")):
            await asyncio.sleep(self._options.slow)  # others are under way
            os.kill(os.getpid(), signal.SIGSEGV)
        await asyncio.sleep(self._options.slow * 2)
        return Receipt("OK")

    def _noted(self) -> list[str]:
        into = Path(self._options.into)
        return into.read_text().split() if into.exists() else []

    def _note(self, line: str, beside: str = "") -> None:
        with Path(self._options.into + beside).open("a") as file:
            file.write(line + "\n")
