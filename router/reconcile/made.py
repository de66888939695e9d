"""A process's reconciliation, and how endpoints and the ledger are joined to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from channels.model import Channel
from config.settings import Settings
from endpoints.base import HandOver
from endpoints.payment.records import Payments
from router.reconcile.desk import Booked, Deposit, Reconciler
from router.reconcile.kept import Source
from router.reconcile.means import SiteMeans
from router.reconcile.resolving import Resolver
from router.settlement.desk import Desk
from router.store.reconcile_store import ReconcileStore, open_reconcile
from router.store.settlement_book import SettlementBook
from schemas.statements.row import Kind, Row


class Received:
    """Meets `endpoints.stating.Statements`."""

    def __init__(self, desk: Reconciler, store: ReconcileStore) -> None:
        self.desk = desk
        self.store = store

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
        taken = await self.desk.take(
            Source(system, form, merchants, accounts=accounts, returns=returns), day, body
        )
        for run in taken.runs:
            await self.desk.resolve(run.system, run.day)
        open_ = await self.desk.kept.items(system, state="OPEN", until=day)
        compared = [run.day for run in taken.runs]
        rows = taken.statement.count
        return {"system": system, "day": day, "rows": rows, "compared": compared, "open": len(open_)}


def reconciliation(
    settings: Settings,
    payments: Payments,
    desk: Desk | None,
    channels: Callable[[], Sequence[Channel]],
    hand_over: HandOver,
    now_ms: Callable[[], int],
) -> Received:
    """The site's. Touches no database before its first use."""
    ledger = desk.book if desk is not None else None
    store = open_reconcile(settings, now_ms)
    made = Reconciler(store, payments, now_ms)
    if ledger is not None:
        made = Reconciler(store, payments, now_ms, booked_of(ledger), deposit_of(ledger))
    means = SiteMeans(channels, hand_over, desk, ledger, now_ms)
    made.resolver = Resolver(store, payments, means)
    return Received(made, store)


def booked_of(ledger: SettlementBook) -> Booked:
    """What settlements booked by a system's accounts; None where there is nothing: a site may book otherwise."""

    async def booked(
        system: str, accounts: tuple[str, ...], from_ms: int, to_ms: int
    ) -> Sequence[Row] | None:
        rows = []
        for account in accounts or (f"clearing:{system}",):
            for journal, settlement, at_ms, fen in await ledger.booked(account, from_ms, to_ms):
                if not settlement.startswith(
                    "order:"
                ):  # money without an order, that reconciliation itself booked
                    rows.append(_row(system, journal, settlement, at_ms, fen))
        return rows or None

    return booked


def deposit_of(ledger: SettlementBook) -> Deposit:
    async def deposit(admission: str, until_ms: int) -> int:
        return (await ledger.deposit(admission, 0, until_ms)).closing_fen

    return deposit


def _row(system: str, journal: str, settlement: str, at_ms: int, fen: int) -> Row:
    kind: Kind = "PAY" if fen > 0 else "REFUND"
    return Row(system, kind, journal, abs(fen), at_ms, bill=settlement)
