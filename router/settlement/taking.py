"""What is due is taken by the hundred: what only waits on is put back at once, the rest is driven."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import structlog
from msgspec import Struct

from channels.settling.model import Definition
from config.errors import Unreachable
from router.settlement.book import Settlement
from router.settlement.commands import Wait
from router.settlement.rows import State
from router.settlement.runner import LEASE_MS, Runner

log = structlog.get_logger()


class Taken(Struct, frozen=True):
    """One that was claimed, as it stood then."""

    settlement: Settlement
    fence: int


class Waits(NamedTuple):
    """One that is to be looked at again at `due_ms`."""

    taken: Taken
    state: State
    due_ms: int


class Pool(Protocol):
    """All methods raise StoreDown while the database is away."""

    async def take(
        self, owner: str, now_ms: int, until_ms: int, limit: int, without: Sequence[str] = ()
    ) -> tuple[Sequence[Taken], Sequence[str]]:
        """Claims active settlements whose time has come and that nobody has, or whose holder is late; none of these.
        And the numbers of those whose rows do not open."""

    async def put_back(self, owner: str, waits: Sequence[Waits]) -> None:
        """Each as `Book.write` would release it; one that was told something meanwhile stays as it was, and due."""


class Taker:
    """One process's."""

    def __init__(
        self,
        pool: Pool,
        runner: Runner,
        definitions: Callable[[str], Awaitable[Definition]],
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._runner = runner
        self._definitions = definitions
        self._owner = owner
        self._now_ms = now_ms

    async def take(self, limit: int, without: Sequence[str]) -> tuple[list[Taken], int]:
        """Those that are to be driven (`Runner.drive_on`), and how many there were in all. None of `without`, which are
        being driven: a call may take longer than a lease."""
        now = self._now_ms()
        taken, shut = await self._pool.take(self._owner, now, now + LEASE_MS, limit, without)
        for number in shut:
            log.error("settlement.not_driven", settlement=number, code="JL-K002")
        waits, others = [], []
        for one in taken:
            wait = await self._waits(one.settlement)
            if wait is None:
                others.append(one)
            else:
                waits.append(Waits(one, wait.state, max(wait.until_ms, 1)))
        if waits:
            await self._pool.put_back(self._owner, waits)
        return others, len(taken) + len(shut)

    async def _waits(self, settlement: Settlement) -> Wait | None:
        """As the runner says. What cannot be read any more is driven, and fails there: alone."""
        try:
            return self._runner.waits(await self._definitions(settlement.digest), settlement)
        except Unreachable:
            raise
        except Exception:
            return None
