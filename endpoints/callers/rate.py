"""How often: a token bucket for each name. After a pause `burst` at once, then `rate` a second."""

from __future__ import annotations

MAX_NAMES = 10_000


class Rates:
    """Of this process. A bucket is one number: when it would be full again (GCRA)."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def wait_s(self, name: str, rate: float, burst: int, now: float) -> float:
        """0 where one more may come, which is counted; else after how many seconds it may."""
        full_at = self._full_at.get(name, 0.0)
        if not now <= full_at <= now + burst / rate:  # full for long, or by a clock that was put back
            full_at = now
        wait = full_at + 1 / rate - now - burst / rate
        if wait > 1e-9:
            return wait
        if len(self._full_at) >= MAX_NAMES:
            self._full_at.clear()  # so many in use at once are nobody's real callers
        self._full_at[name] = full_at + 1 / rate
        return 0.0
