"""What the engine lends a destination that has a statement (对账单): it is kept, and compared with our books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol


class Statements(Protocol):
    async def receive(
        self,
        system: str,
        form: str,
        day: str,
        body: bytes,
        merchants: tuple[str, ...] = (),
        accounts: tuple[str, ...] = (),
        returns: str = "",
    ) -> Mapping[str, Any]:
        """`accounts` are the ledger's of this system; without, clearing:<system>. `returns` is the pipeline that gives
        back what was paid twice. Durable, and compared, when it returns; what it came to. The same bytes twice are
        once.

        Raises Refused (JL-Q001 to JL-Q009: it is no whole statement of that day; JL-Q034: the day is signed) and
        Unreachable while the database is away.
        """


def day_before(now_s: float) -> str:
    """Yesterday in China, yyyy-MM-dd.

    >>> day_before(1767625199)
    '2026-01-04'
    """
    return (datetime.fromtimestamp(now_s, UTC) + timedelta(hours=8 - 24)).strftime("%Y-%m-%d")
