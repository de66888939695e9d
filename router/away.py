"""How many of a queue's messages wait elsewhere for their next try.

On RabbitMQ a delay queue belongs to all destinations, and what waits there counts to nobody's limit. So a destination
sends only a part of its messages there at once; while that part is away, the others wait in their own queue, where they
are counted, and where who lets in more of them sees it. A receiver that is down is tried no oftener for it.
"""

from __future__ import annotations

import asyncio
import heapq

_LEAST = 100  # messages that may always be away
_SHARE = 10  # or one in so many of what may wait in the queue
_BACK = 0.3  # of them are back before more are sent


class Away:
    """Those that this process sent, until their time has come: then they are in their queue again."""

    def __init__(self, limit: int) -> None:
        """`limit`: how many messages the queue takes."""
        self.most = max(_LEAST, limit // _SHARE)
        self._due: list[float] = []  # loop time, a heap

    def sent(self, delay_s: float) -> None:
        heapq.heappush(self._due, asyncio.get_running_loop().time() + delay_s)

    @property
    def full(self) -> bool:
        return len(self._due) >= self.most and self._count() >= self.most

    def room_in_s(self) -> float:
        """How long until a good part of them is back; 0 where there is room."""
        wanted = self._count() - int(self.most * (1 - _BACK))
        if wanted <= 0:
            return 0.0
        return max(heapq.nsmallest(wanted, self._due)[-1] - asyncio.get_running_loop().time(), 0.0)

    def _count(self) -> int:
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
        return len(self._due)
