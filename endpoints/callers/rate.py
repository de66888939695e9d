"""How often: a token bucket for each name. After a pause `burst` at once, then `rate` a second."""

from __future__ import annotations

MAX_NAMES = 10_000


class Rates:
    """Of this process. A bucket is one number: when it would be full again (GCRA)."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def wait_s(self, name: str, rate: float, burst: int, now: float, *, counts: bool = True) -> float:
        """0 where one more may come, which `counts`; else after how many seconds it may."""
        full_at = self._full_at.get(name, 0.0)
        if not now <= full_at <= now + burst / rate:  # full for long, or by a clock that was put back
            full_at = now
        wait = full_at + 1 / rate - now - burst / rate
        if wait > 1e-9:
            return wait
        if not counts:
            return 0.0
        if len(self._full_at) >= MAX_NAMES:
            self._full_at.clear()  # so many in use at once are nobody's real callers
        self._full_at[name] = full_at + 1 / rate
        return 0.0


MOST_FAILED = 10  # at once, and a second


class Failures:
    """Proofs that failed, of one caller from one address. Each costs a verification: an SM2 signature's takes 1 ms."""

    def __init__(self) -> None:
        self._rates = Rates()

    def wait_s(self, caller: str, address: str, now: float) -> float:
        """0 where another proof may be looked at; else after how many seconds."""
        return self._rates.wait_s(f"{caller} {address}", MOST_FAILED, MOST_FAILED, now, counts=False)

    def add(self, caller: str, address: str, now: float) -> None:
        self._rates.wait_s(f"{caller} {address}", MOST_FAILED, MOST_FAILED, now)
