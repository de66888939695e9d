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
    looks = (States(engine), figures, upkeep, Money(lambda: _findings(engine)))
    return Lookout(engine.broker, engine.alerts, looks, lambda: engine.site.channels, Teller(intake), now_ms)


def _findings(engine: Engine) -> Counts | None:
    """Of a process that delivers: there settlements are looked at."""
    desk = engine.makers.desk
    used = desk is not None and (desk.book.used or bool(engine.site.settlements))
    return desk.book.findings if desk is not None and used else None
