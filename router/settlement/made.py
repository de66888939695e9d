"""The settlements' desk of a process that delivers."""

from __future__ import annotations

from collections.abc import Callable

from channels.loader import Site
from config.settings import Settings
from endpoints.base import HandOver
from router.settlement.calls import ChannelCalls
from router.settlement.desk import Desk
from router.settlement.owner import Owner
from router.settlement.publishing import Publisher, Tell
from router.store.settlement_book import open_settlements
from router.store.settlement_outbox import Outbox
from transforms.library import Library


def desk_of(
    settings: Settings, site: Callable[[], Site], hand_over: HandOver, now_ms: Callable[[], int]
) -> Desk | None:
    """None where this process does not deliver. `site` is that of the moment."""
    if "delivery" not in settings.roles:
        return None
    owner = Owner(settings.var / "settlements")
    calls = ChannelCalls(lambda: site().channels, hand_over, now_ms)
    library = Library(settings.maps, settings.tables)
    book = open_settlements(settings, now_ms)

    def publisher(outbox: Outbox, tell: Tell) -> Publisher:
        return Publisher(outbox, tell, lambda: site().channels, hand_over, now_ms)

    return Desk(book, calls, lambda: site().settlements, library, owner, now_ms, publisher)
