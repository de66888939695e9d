"""The settlements' desk of a process that delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from channels.loader import Site
from channels.model import Channel
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

    def kind(system: str) -> str:
        return kind_of(site().channels, system)

    return Desk(book, calls, lambda: site().settlements, library, owner, now_ms, publisher, kind)


def kind_of(channels: Iterable[Channel], system: str) -> str:
    """To what kind of endpoint the calls of a system go; '' where no channel takes them."""
    taking = (one for one in channels if one.kind == "calls" and one.options.of == system)
    return next((branch.kind for one in taking for branch in one.branches), "")
