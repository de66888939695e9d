"""The lookout of an engine that has the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from router.alerts.figures import Figures
from router.alerts.lookout import Lookout
from router.alerts.money import Counts, Money
from router.alerts.states import States
from router.alerts.teller import Deliver, Teller
from router.alerts.upkeep import Upkeep
from router.board import Way
from router.store.settlement_book import SettlementBook, open_settlements

if TYPE_CHECKING:
    from router.engine import Engine


def lookout_of(engine: Engine, now_ms: Callable[[], int]) -> Lookout:
    def oldest() -> dict[Way, int]:
        seen = {outlet.way: outlet.oldest_ms() for outlet in engine.outlets}
        return {way: at_ms for way, at_ms in seen.items() if at_ms is not None}

    def intake(name: str) -> Deliver | None:
        work = engine.works.get(name)
        return work.intake.deliver if work is not None else None

    figures = Figures(
        engine.store,
        engine.journal,
        engine.broker,
        engine.conservation,
        engine.queues,
        oldest,
        engine.settings.alerts,
        now_ms(),
    )
    upkeep = Upkeep(engine.settings, engine.makers.blobs, lambda: engine.site.callers)
    money = _Money(engine, now_ms)
    looks = (States(engine), figures, upkeep, Money(money.findings))
    teller = Teller(intake)
    return Lookout(
        engine.broker, engine.alerts, looks, lambda: engine.site.channels, teller, now_ms, money.close
    )


class _Money:
    """The settlements' database: that of the engine's desk; where it does not deliver, one of its own."""

    def __init__(self, engine: Engine, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._own: SettlementBook | None = None

    def findings(self) -> Counts | None:
        """None while there is no settlement here."""
        desk = self._engine.makers.desk
        book = desk.book if desk is not None else self._own
        if not self._engine.site.settlements and not (book is not None and book.used):
            return None
        if book is None:
            book = self._own = open_settlements(self._engine.settings, self._now_ms)
        return book.findings

    def close(self) -> None:
        if self._own is not None:
            self._own.close()
