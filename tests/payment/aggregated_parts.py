"""The invented aggregator, our channel to it over its own wire or none, payments in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alipay_parts import Clock
from memory_payments import MemoryPayments

from config.errors import Unreachable
from deploy.sandbox.aggregator import Aggregator, Signing
from endpoints.base import Ground
from endpoints.payment.aggregated.channel import Aggregated
from endpoints.payment.aggregated.destination import AggregatedParty
from endpoints.payment.aggregated.profile import Profile, load
from endpoints.payment.aggregated.signing import Signer
from endpoints.rest.sending import Answer
from schemas.json import Json

SECRET = "SECRET-OF-THE-TESTS"
EXAMPLE = Path(__file__).parents[2] / "endpoints" / "payment" / "aggregated" / "profiles" / "example.yaml"
US = {"merchant": "M1", "subject": "医疗费用", "notify_url": "http://127.0.0.1/notices"}


class Counter:
    """`acts`, one for each call: `lost` is done and not heard, `away` never leaves, else a misbehaviour's bytes."""

    def __init__(self, profile: Profile | None = None, ours: Any = None, theirs: Any = None) -> None:
        self.clock, self.payments = Clock(), MemoryPayments()
        self.profile = profile or load(EXAMPLE)
        self.aggregator = Aggregator("M1", theirs or Signing(SECRET), now=self.clock.china)
        self.acts: list[str | bytes] = []
        self.calls: list[str] = []
        signer = ours or Signer(self.profile.sign, SECRET, "", "")
        self.channel = Aggregated(
            self.profile,
            signer,
            "http://aggregator",
            US,
            self._ask,
            self.payments,
            lambda: self.clock.ms,
            self._done,
        )
        self.party = AggregatedParty("joint", self.channel, self.payments, lambda: self.clock.ms)

    async def _done(self) -> None: ...

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        act = self.acts.pop(0) if self.acts else ""
        path = url.removeprefix("http://aggregator")
        self.calls.append(path)
        if act == "away":
            raise Unreachable("JL-E220", "no connection")
        if path.endswith("daily"):
            return Answer(200, "", {}, self.aggregator.bill(str(Json().decode(body)["billDate"])))
        said = self.aggregator.answer(path, Json().decode(body), forged=act == "forged")
        if act == "lost":
            raise Unreachable("JL-E221", "no answer", maybe_done=True)
        return Answer(200, "", {}, act if isinstance(act, bytes) else said)

    async def asks(
        self, operation: str, key: str = "S1/pay", direction: str = "do", **asked: Any
    ) -> dict[str, Any]:
        headers = {"key": key, "direction": direction, "settlement": "S1"}
        tree = Json().decode((await self.party.ask(operation, asked, headers)).answer)
        assert isinstance(tree, dict)
        return tree

    def ground(self) -> Ground:
        return Ground("joint", now=self.clock, payments=self.payments)
