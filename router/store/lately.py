"""What came lately, and what died lately, of one day's rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from router.store.find import died
from router.store.tables import attempt, message

m, a = message.c, attempt.c


def latest(rows: Connection, channel: str) -> int:
    """When the channel's latest message came that was not refused (Unix ms); 0 where none did."""
    asked = select(m.received_ms).where(m.channel == channel, m.state != "refused")
    return rows.execute(asked.order_by(m.id.desc()).limit(1)).scalar() or 0


def died_since(rows: Connection, since_ms: int) -> Iterator[tuple[tuple[str, str], int]]:
    """By channel and destination, how many deliveries were given up since then."""
    many = func.count(a.message_id.distinct())
    asked = select(a.channel, a.destination, many).where(*died(), a.at_ms >= since_ms)
    found = rows.execute(asked.group_by(a.channel, a.destination))
    return (((channel, destination), count) for channel, destination, count in found)
