"""How the simulated channels send their notices: until the merchant says the word, twice or backwards when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.door import Door
from deploy.sandbox.paying import Notice
from tests.payment.alipay_parts import Clock
from tests.payment.unionpay_parts import sandbox_of


class Merchant(Door):
    """Answers with these statuses, one after the other, and then with 200."""

    def __init__(self, *statuses: int) -> None:
        super().__init__("merchant")
        self.statuses = list(statuses)
        self.heard: list[bytes] = []

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        self.heard.append(asked.body)
        await wire.say(writer, b"", self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    made = Merchant(503, 500)
    await made.start()
    yield made
    await made.stop()


async def test_a_notice_comes_again_until_it_is_acknowledged(merchant: Merchant) -> None:
    sandbox = sandbox_of(Clock(), tells=True)
    sandbox.retries_s = (0, 0, 0, 0)
    sandbox.notify(Notice("JL1", f"{merchant.url}/notices", b"a=1"))
    await asyncio.gather(*sandbox._telling)
    assert [status for _, status in sandbox.sent] == [503, 500, 200]
    assert sandbox.notices == []


async def test_notices_are_sent_twice_and_backwards_when_told(merchant: Merchant) -> None:
    merchant.statuses.clear()
    sandbox = sandbox_of(Clock())
    for number in (b"1", b"2"):
        sandbox.notify(Notice("JL1", f"{merchant.url}/notices", number))
    await sandbox.send_notices(copies=2, backwards=True)
    assert merchant.heard == [b"2", b"2", b"1", b"1"]


async def test_a_notice_that_nobody_hears_stays_to_be_sent() -> None:
    sandbox = sandbox_of(Clock())
    sandbox.notify(Notice("JL1", "http://127.0.0.1:9/notices", b"a=1"))
    await sandbox.send_notices()
    assert (sandbox.sent, len(sandbox.notices)) == ([("JL1", 0)], 1)
