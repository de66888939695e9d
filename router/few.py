"""Log lines that an outage would repeat without end: the first of each minute are written, the others counted.

The journal has every try, so nothing is lost by it.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

log = structlog.get_logger()

MOST = 20  # of one event and code, in a minute
_MINUTE_S = 60.0


class Few:
    """The lines of one channel's destination. When the minute is over, one line says how many more there were."""

    def __init__(self, channel: str, destination: str) -> None:
        self._whose = {"channel": channel, "destination": destination}
        self._counts: Counter[tuple[str, str]] = Counter()

    def say(self, event: str, code: str, **facts: object) -> None:
        if not self._counts:
            asyncio.get_running_loop().call_later(_MINUTE_S, self.over)
        self._counts[event, code] += 1
        if self._counts[event, code] <= MOST:
            log.info(event, **self._whose, code=code, **facts)

    def over(self) -> None:
        """The minute is."""
        for (event, code), count in self._counts.items():
            if count > MOST:
                log.info(f"{event}_more", **self._whose, code=code, count=count - MOST)
        self._counts.clear()
