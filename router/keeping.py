"""The hourly jobs that drop what is over: of the journal's rows, the process that writes them, between two batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from channels.model import Channel
from config.settings import Settings
from router.chore import Chore
from router.store import Keep, Rules, StoreError
from router.store.insurance_records import InsuranceRecords

EVERY_S = 3600.0
_FIRST_S = 60.0  # a start has other things to do


def rules_of(settings: Settings, channels: Iterable[Channel]) -> Rules:
    own = {c.name: Keep(c.keep.body_s, c.keep.rows_s) for c in channels if c.keep is not None}
    return Rules(own, Keep(settings.journal.keep.body, settings.journal.keep.rows))


class Keeping(Chore):
    """Once an hour, while it runs. `keep` drops what is over by these rules and says how much that was."""

    def __init__(
        self,
        keep: Callable[[Rules], Awaitable[int]],
        rules: Callable[[], Rules],
        first_s: float = _FIRST_S,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__("keeping", self._once, first_s, every_s)
        self._keep = keep
        self._rules = rules

    async def _once(self) -> None:
        rules = self._rules()
        if not rules.end_anything:
            return
        try:
            await self._keep(rules)
        except StoreError as error:
            if error.code != "JL-J003":  # nothing was ever written
                raise


class InsuranceKeeping(Chore):
    """Once an hour, in a process that talked with an insurance centre; `stop` closes what is remembered of it."""

    def __init__(self, records: InsuranceRecords, keep_s: float, now_ms: Callable[[], int]) -> None:
        super().__init__("insurance", self._once, _FIRST_S, EVERY_S)
        self._records = records
        self._keep_ms = int(keep_s * 1000)
        self._now_ms = now_ms

    async def stop(self) -> None:
        await super().stop()
        await asyncio.to_thread(self._records.close)

    async def _once(self) -> None:
        if self._records.used:
            await self._records.forget(self._now_ms() - self._keep_ms)
