"""A process's reconciliation, and how endpoints and the ledger are joined to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.settings import Settings
from endpoints.payment.records import Payments
from router.reconcile.desk import Reconciler
from router.reconcile.kept import Source
from router.store.reconcile_store import ReconcileStore, open_reconcile
from router.store.settlement_book import SettlementBook
from schemas.statements.row import Kind, Row


class Received:
    """Meets `endpoints.stating.Statements`."""

    def __init__(self, desk: Reconciler, store: ReconcileStore) -> None:
        self.desk = desk
        self.store = store

    async def receive(
        self, system: str, form: str, day: str, body: bytes, merchants: tuple[str, ...] = (), sha1: str = ""
    ) -> Mapping[str, Any]:
        taken = await self.desk.take(Source(system, form, merchants), day, body, sha1)
        found = list(await self.desk.kept.items(system, state="OPEN", until=day))
        made = taken.statement
        return {
            "system": system,
            "day": day,
            "rows": made.count,
            "compared": [run.day for run in taken.runs],
            "open": len(found),
        }


def reconciliation(
    settings: Settings, payments: Payments, ledger: SettlementBook | None, now_ms: Callable[[], int]
) -> Received:
    """The site's. Touches no database before its first use."""
    store = open_reconcile(settings, now_ms)
    desk = Reconciler(store, payments, now_ms, booked_of(ledger) if ledger is not None else None)
    return Received(desk, store)


def booked_of(ledger: SettlementBook) -> Callable[[str, int, int], Any]:
    """What settlements booked by `clearing:<system>`."""

    async def booked(system: str, from_ms: int, to_ms: int) -> Sequence[Row]:
        found = await ledger.booked(f"clearing:{system}", from_ms, to_ms)
        return [_row(system, journal, settlement, at_ms, fen) for journal, settlement, at_ms, fen in found]

    return booked


def _row(system: str, journal: str, settlement: str, at_ms: int, fen: int) -> Row:
    kind: Kind = "PAY" if fen > 0 else "REFUND"
    return Row(system, kind, journal, abs(fen), at_ms, bill=settlement)
