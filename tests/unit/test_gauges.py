"""The look at the queues once a second: trouble with one look costs no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from router import gauges
from router.brokers.base import BrokerDown, Depth


class Queues:
    """As much of a broker as gauges need."""

    async def depth(self, queues: Sequence[str]) -> dict[str, Depth]:
        return {queue: Depth(1) for queue in queues}

    async def delayed(self) -> int:
        return 0


@pytest.mark.parametrize("trouble", [BrokerDown("JL-B001", "away"), KeyError("a door that is gone")])
async def test_a_look_that_fails_is_followed_by_the_next(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "_EVERY_S", 0.01)
    heard: list[Mapping[str, Depth]] = []
    again = asyncio.Event()

    def tell(depths: Mapping[str, Depth]) -> None:
        heard.append(depths)
        if len(heard) == 1:
            raise trouble
        again.set()

    broker: Any = Queues()
    looking = gauges.Gauges(broker, list, lambda: 0, lambda: ["jl.adt.lis"], tell)
    looking.start()
    async with asyncio.timeout(20):
        await again.wait()
    await looking.stop()
    assert heard[1] == {"jl.journal": Depth(1), "jl.adt.lis": Depth(1)}
