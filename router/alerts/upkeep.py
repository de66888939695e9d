"""What takes its time to look at, so it is done in a thread: the disk's room, and what will end one day."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from channels.loader import shown
from channels.model import Channel
from config.callers import Callers
from config.settings import Settings
from config.tls import Identity
from config.tls_files import SOON, ends
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name
from router.blobs import Blobs

_DAY_S = 86_400
_AGAIN_MS = 3_600_000
_PATIENCE_S = 1.0


class Upkeep:
    """A share that hangs holds up nothing: until it answers, nothing is known of all this."""

    def __init__(self, settings: Settings, blobs: Blobs, callers: Callable[[], Callers]) -> None:
        self._settings = settings
        self._blobs = blobs
        self._callers = callers
        self._looking: asyncio.Future[dict[Name, Fact]] | None = None
        self._ending: dict[Name, Fact] = {}
        self._channels: Sequence[Channel] = ()
        self._ending_ms: int | None = None  # when was looked at what will end

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        if self._looking is None:
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look, channels, now_ms))
            await asyncio.wait([self._looking], timeout=_PATIENCE_S)
        if self._looking.done():
            looked, self._looking = self._looking, None  # whatever came of it, the next look is another one
            found.raised.update(looked.result())
        else:
            found.unseen |= {"disk", "certificate", "key"}

    def _look(self, channels: Sequence[Channel], now_ms: int) -> dict[Name, Fact]:
        """Blocks."""
        new = channels is not self._channels
        if new or self._ending_ms is None or abs(now_ms - self._ending_ms) >= _AGAIN_MS:
            self._ending = dict(self._ends(channels, now_ms / 1000))
            self._channels, self._ending_ms = channels, now_ms
        full = {} if self._blobs.has_room() else {Name("disk"): Fact()}
        return self._ending | full

    def _ends(self, channels: Sequence[Channel], now_s: float) -> Iterator[tuple[Name, Fact]]:
        for file in sorted(self._certificates(channels)):
            end_s = ends(self._settings.site / file)
            if end_s is not None and end_s - now_s < SOON.total_seconds():
                yield Name("certificate", about=shown(file, self._settings.site)), _days(end_s - now_s)
        for caller in self._callers().known.values():
            last_s = max((key.until or math.inf for key in caller.keys), default=math.inf)
            if last_s - now_s < SOON.total_seconds():
                yield Name("key", about=caller.name), _days(last_s - now_s)

    def _certificates(self, channels: Sequence[Channel]) -> set[Path]:
        """The files of ours. Those of authorities often hold some that are over, and are none the worse for it."""
        settings = self._settings
        options = [o for c in channels for o in (c.options, *(b.options for b in c.branches))]
        said = [settings.http.tls, settings.broker_tls, settings.database_tls]
        said += [getattr(each, "tls", None) for each in options]
        return {Path(tls.certificate) for tls in said if isinstance(tls, Identity) and tls.certificate}


def _days(seconds: float) -> Fact:
    return Fact(max(seconds // _DAY_S, 0), SOON.days)
