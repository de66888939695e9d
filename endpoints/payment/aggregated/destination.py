"""The destination: each message is one operation of a merchant's orders at an aggregator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from config.errors import Refused
from endpoints.base import Ground, Options
from endpoints.payment.aggregated.channel import Aggregated
from endpoints.payment.aggregated.options import AggregatedOptions
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination
from endpoints.payment.orders import Evidence, Order
from endpoints.payment.party import Asked, PaymentParty
from endpoints.rest.sending import Sending
from schemas.message import Receipt


class AggregatedParty(PaymentParty):
    """The way of paying (`method`) is one of the profile's, or nothing is on record."""

    async def ask(self, operation: str, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        if operation == "noticed" and asked.get(
            "trade_no"
        ):  # the wallet's number: whoever is told is told it too
            order = await self.payments.order(self.system, str(asked.get("order") or ""))
            if order is not None:
                facts = {"trade_no": str(asked["trade_no"])[:64]}
                await self.payments.seen(order, Evidence("PAYING", facts=facts))
        return await super().ask(operation, asked, headers)

    async def _placed(self, asked: Asked, headers: Mapping[str, str], method: str) -> Order:
        assert isinstance(self.channel, Aggregated), "the channel of this kind"
        self.channel.check(str(asked.get("method") or method))
        return await super()._placed(asked, headers, method)


class AggregatedDestination(PaymentDestination):
    Options: ClassVar[type[Options]] = AggregatedOptions
    statement: ClassVar[str] = "aggregated"
    Party = AggregatedParty

    def channel_of(self) -> PaymentChannel:
        """Raises Refused (JL-P340): the profile went, or is not what it was."""
        options: AggregatedOptions = self.options
        return opened(options, self.ground)


def opened(options: AggregatedOptions, ground: Ground) -> Aggregated:
    try:
        profile = options.known_profile(Path(ground.base_dir))
        signer = options.signer(profile)
    except (LookupError, ValueError) as error:
        raise Refused("JL-P340", f"the profile {options.profile!r} cannot be used: {error}") from None
    sending = Sending(options, ground)
    return Aggregated(
        profile,
        signer,
        options.url,
        options.us,
        sending.ask,
        ground.payments,
        lambda: int(ground.now() * 1000),
        sending.close,
    )
