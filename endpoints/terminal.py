"""Terminals that take money themselves (自助机的银行POS与现金钞箱): kind `terminal`. They report, and are sent nothing.

What they say comes in at a channel of theirs, `from: {http: ...}`, and goes to `terminals.report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from config import registry
from endpoints.base import Options
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination
from endpoints.payment.options import PaymentOptions
from endpoints.payment.party import OPERATIONS, PaymentParty
from endpoints.payment.terminal.channel import TerminalChannel
from endpoints.payment.terminal.party import TerminalParty


class TerminalOptions(PaymentOptions):
    """`terminals: {kind: terminal, owners: {T1: kiosk-1}}`; a channel of reports sends `terminals.report`."""

    known: ClassVar[tuple[str, ...]] = (*OPERATIONS, "report")

    owners: Mapping[str, str] = Field(
        {},
        description="terminals, and the callers of callers.yaml who speak for them; none: whoever is let in",
    )
    voids: bool = Field(
        True, description="a charge that belongs to no order is voided; false: a person decides"
    )


@registry.destination("terminal")
class TerminalDestination(PaymentDestination):
    Options: ClassVar[type[Options]] = TerminalOptions
    Party = TerminalParty

    def channel_of(self) -> PaymentChannel:
        return TerminalChannel()

    def party(self) -> PaymentParty:
        party = super().party()
        assert isinstance(party, TerminalParty), "the party of this kind"
        party.owners, party.voids = self.options.owners, self.options.voids
        return party
