"""Each minute: what changed since is held against what must hold, and what is stuck is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from channels.settling.accounts import ACCOUNTS
from channels.settling.model import Definition
from router.settlement.invariants import LATE_MS, Broken, Held, broken, overdrawn
from router.settlement.ledger_shown import Checked, Unsound
from router.settlement.operators import Operators
from router.store.settlement_book import SettlementBook

log = structlog.get_logger()

EVERY_S = 60.0
BACK_MS = 3_600_000  # how far back a process looks at its start
_SETTLED_MS = 15_000  # a commit may be seen so long after the time that it says
_PAGE = 200
_MOST = 5_000  # settlements of one look; what is left is looked at next time
_STUCK = 1_000


class Watch:
    """One process's. Two of them find the same."""

    def __init__(
        self,
        book: SettlementBook,
        operators: Operators,
        definition: Callable[[str], Awaitable[Definition]],
        now_ms: Callable[[], int],
    ) -> None:
        self._book = book
        self._operators = operators
        self._definition = definition
        self._now_ms = now_ms
        self._after: tuple[int, str] = (now_ms() - BACK_MS, "")

    async def once(self) -> None:
        """Raises Unreachable."""
        looked, until_ms = 0, self._now_ms() - _SETTLED_MS
        while looked < _MOST:
            page = await self._book.findings.changed(self._after, until_ms, _PAGE)
            await self.check([number for _, number in page])
            looked += len(page)
            if page:
                self._after = page[-1]
            if len(page) < _PAGE:
                break
        await self.check(await self._book.findings.overdue(self._now_ms() - LATE_MS, _PAGE))
        stuck = await self._operators.stuck("", _STUCK)
        await self._book.findings.stuck({one.number: one.stuck for one in stuck})

    async def page(self, after: str, limit: int) -> Checked:
        """Looks at the next settlements by their numbers."""
        numbers = await self._book.findings.numbers(after, limit)
        found, now_ms = await self.check(numbers), self._now_ms()
        said = [
            Unsound(book=book, rule=one.rule, found_ms=now_ms, closed_ms=0, text=one.text)
            for book, each in found.items()
            for one in each
        ]
        last = numbers[-1] if len(numbers) == limit else ""
        return Checked(settlements=len(numbers), found=said, after=last)

    async def check(self, numbers: Sequence[str]) -> dict[str, list[Broken]]:
        """What does not hold of these, and of the accounts that they post to; it is written down."""
        if not numbers:
            return {}
        now_ms, shut = self._now_ms(), [Broken("rows", "its rows do not open 数据被改动")]
        found: dict[str, list[Broken]] = dict.fromkeys(numbers, shut)
        kinds = {kind for kind, account in ACCOUNTS.items() if account.floor}
        for held in await self._book.findings.held(numbers):
            try:
                definition = await self._definition(held.settlement.digest)
            except ValueError as error:  # the others are looked at all the same
                found[held.settlement.number] = [
                    Broken("rows", f"its pipeline cannot be read: {error}"[:200])
                ]
                continue
            kinds |= {kind for kind, account in definition.accounts.items() if account.floor}
            found[held.settlement.number] = _broken(definition, held, now_ms)
        sums = await self._book.findings.floors(kinds, numbers)
        for account in sums:
            found[account] = overdrawn({account: sums[account]})
        await self._note({*numbers, *sums}, found)
        return {book: said for book, said in found.items() if said}

    async def _note(self, looked: Collection[str], found: dict[str, list[Broken]]) -> None:
        if await self._book.findings.record(looked, found):
            for book, said in found.items():
                for one in said:
                    log.error("settlement.unsound", book=book, rule=one.rule, text=one.text)


def _broken(definition: Definition, held: Held, now_ms: int) -> list[Broken]:
    """Of one that its pipeline cannot go through (JL-T007) nothing can be said."""
    try:
        return broken(definition, held, now_ms)
    except Exception:  # the others are looked at all the same
        return []
