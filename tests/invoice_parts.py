"""An e-invoice party over the sandbox's platform without a network."""

from __future__ import annotations

from itertools import count
from typing import Any

from his_parts import NOW, Line

from deploy.sandbox.einvoice import Platform
from endpoints.invoice.party import InvoiceParty, Site

ABSENT = ("不存在", "未查询到")
BILL = {
    "payer": "测试甲",
    "totalAmt": "36.50",
    "chargeDetail": [
        {
            "sortNo": 1,
            "chargeCode": "01",
            "chargeName": "诊查费",
            "std": "30.1000",
            "number": 1,
            "amt": "30.10",
        },
        {
            "sortNo": 2,
            "chargeCode": "02",
            "chargeName": "化验费",
            "std": "3.2000",
            "number": 2,
            "amt": "6.40",
        },
    ],
}


class Invoices:
    """Asks the party as a settlement would."""

    def __init__(self, **options: Any) -> None:
        self.platform = Platform(**options)
        self.line = Line(self.platform)
        site = Site("http://his", "SANDBOX", "sandbox", "P01", "收费员", "系统", ABSENT)
        serial = count()
        self.party = InvoiceParty(site, self.line.post, lambda: NOW, lambda: f"noise{next(serial)}")

    async def ask(
        self, name: str, body: Any = None, direction: str = "do", about: str = "", step: str = "invoice"
    ) -> dict[str, Any]:
        headers = {"direction": direction, "about": about, "key": f"S1/{step}"}
        return await self.party.ask(name, {"bill": BILL} if body is None else body, headers)
