"""Orders and refunds in memory, of which the reconciliation reads."""

from __future__ import annotations

from collections.abc import Sequence

from endpoints.payment.orders import Order, Refund


class Remembered:
    """What `Payments` offers to reconciliation."""

    def __init__(self) -> None:
        self.all: dict[str, Order | Refund] = {}

    def paid(self, number: str, fen: int, at_ms: int, **other: object) -> Order:
        made = Order(
            "wechat",
            number,
            f"{number}/pay",
            fen,
            "native",
            at_ms - 5000,
            state="PAID",
            paid_fen=fen,
            paid_ms=at_ms,
            channel_no=f"42{number}",
            **other,  # type: ignore[arg-type]
        )
        self.all[number] = made
        return made

    def gone(self, number: str, order: str, fen: int, at_ms: int) -> Refund:
        made = Refund("wechat", number, order, f"{number}/back", fen, at_ms, state="SUCCESS")
        self.all[number] = made
        return made

    async def order(self, system: str, number: str) -> Order | None:
        found = self.all.get(number)
        return found if isinstance(found, Order) else None

    async def refund(self, system: str, number: str) -> Refund | None:
        found = self.all.get(number)
        return found if isinstance(found, Refund) else None

    async def of_channel(self, system: str, channel_no: str) -> Order | None:
        orders = (one for one in self.all.values() if isinstance(one, Order))
        return next((one for one in orders if one.channel_no == channel_no), None)

    async def between(
        self, system: str, from_ms: int, to_ms: int, after: str, limit: int
    ) -> Sequence[Order | Refund]:
        def at(one: Order | Refund) -> int:
            return one.paid_ms or one.at_ms if isinstance(one, Order) else one.at_ms

        found = [one for one in self.all.values() if from_ms <= at(one) < to_ms and one.number > after]
        return sorted(found, key=lambda one: one.number)[:limit]
