"""The hourly job that drops what is over: the process that writes the rows does it, between two batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from channels.model import Channel
from config.settings import Settings
from router.chore import Chore
from router.store import Keep, Rules, StoreError

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
