"""A statement is fetched until it is there, and whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from recon_parts import DAY, pay, wechat_bill

from config.errors import BadMessage, Refused, Unreachable
from endpoints.payment.reconciled import reconciled
from endpoints.stating import day_before
from schemas.json import Json
from schemas.statements.forms import read_statement
from schemas.statements.row import Wanted, begin_ms

BILL = wechat_bill([pay("A"), pay("B", 700)])


class Late:
    """A channel whose statement comes in the end, and a desk that reads it."""

    def __init__(self, *bodies: bytes | None) -> None:
        self.bodies = list(bodies)

    async def bill(self, day: str) -> bytes | None:
        return self.bodies.pop(0)

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
        try:
            return {"rows": len(read_statement(form, body, Wanted(system, day, merchants)))}
        except BadMessage as error:
            raise Refused(error.code, error.text) from None

    async def fetched(self, form: str = "wechat") -> Any:
        receipt = await reconciled(self, self, "wechat", form, (), (), "", DAY)  # type: ignore[arg-type]
        return Json().decode(receipt.answer)


async def test_F69_a_late_or_cut_statement_is_asked_for_again_until_it_is_whole() -> None:
    late = Late(None, BILL[:-50], BILL.replace(b"`43.50", b"`43.51"), BILL)
    for code in ("JL-Q010", "JL-Q003", "JL-Q004"):
        with pytest.raises(Unreachable, match=code):
            await late.fetched()
    assert await late.fetched() == {"outcome": "OK", "rows": 2}


async def test_F69_a_statement_of_another_day_is_refused_for_good() -> None:
    other = wechat_bill([pay("A", at_ms=begin_ms("2026-01-04"))])
    with pytest.raises(Refused, match="JL-Q005"):
        await Late(other).fetched()


async def test_a_channel_whose_form_nobody_says_is_told() -> None:
    with pytest.raises(Refused, match="JL-Q009"):
        await Late(BILL).fetched("")


def test_yesterday_is_chinas() -> None:
    assert day_before(begin_ms("2026-01-06") / 1000) == "2026-01-05"
    assert day_before(begin_ms("2026-01-06") / 1000 - 1) == "2026-01-04"
