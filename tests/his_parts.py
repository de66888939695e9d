"""A HIS party over the sandbox's billing side without a network: bytes go from one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from config.errors import Unreachable
from deploy.sandbox.billing import Billing
from endpoints.hisparty.party import HisParty
from endpoints.hisparty.profile import SHIPPED, load
from endpoints.hisparty.wire import Wire
from endpoints.rest.sending import Answer

SETTINGS = {"hospital": "H1", "terminal": "T1", "user": "100017"}
NOW = 1_767_574_800.0  # 2026-01-05 09:00:00 in China
BILLS = [{"bill_no": "B1", "amount": "30.10"}, {"bill_no": "B2", "amount": "6.40"}]
BODY = {"patient": {"patient_no": "P1"}, "bills": BILLS, "total": "36.50", "cash": "16.10", "fund": "20.40"}


class Line:
    """What `Sending.ask` is to a real one. `down`: no connection."""

    def __init__(self, billing: Any) -> None:
        self.billing = billing
        self.down = False

    async def post(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self.down:
            raise Unreachable("JL-E220", "no connection: refused")
        act, said = self.billing.take(url.removeprefix("http://his"), body)
        if act.kind in ("lose", "cut"):
            raise Unreachable("JL-E222", "the exchange broke off", maybe_done=True)
        if act.kind in ("deaf", "mute"):
            raise Unreachable("JL-E221", "no answer within 20 s", maybe_done=True)
        status = int(act.code or 500) if act.kind in ("error", "status") else 200
        if act.kind in ("garbage", "page", "error"):
            said = b"<html>\xff\xfe"
        if act.kind == "half":
            said = said[: len(said) // 2]
        return Answer(status, "", {}, said)


class His:
    """Asks the party as a settlement would."""

    def __init__(self, profile: str = "one-string", **options: Any) -> None:
        self.billing = Billing(**options)
        for one in BILLS:
            self.billing.books.bill(one["bill_no"], int(Decimal(one["amount"]) * 100))
        self.line = Line(self.billing)
        made = load(SHIPPED / f"{profile}.yaml")
        url = "http://his/soap" if made.speaks.soap else "http://his"
        wire = Wire(made, url, SETTINGS, self.billing.secret, lambda: NOW)
        self.party = HisParty(made, wire, self.line.post)

    async def ask(
        self, name: str, body: Any = BODY, direction: str = "do", about: str = "", step: str = "post"
    ) -> dict[str, Any]:
        headers = {"direction": direction, "about": about, "settlement": "S1", "step": step}
        return await self.party.ask(name, body, {**headers, "key": f"S1/{step}"})
