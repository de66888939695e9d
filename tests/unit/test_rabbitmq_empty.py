"""Whether a queue is empty for certain: a message that moves while one looks is not overlooked."""

from __future__ import annotations

import pytest

from router.brokers.base import Standing
from router.brokers.rabbitmq import RabbitBroker


@pytest.mark.parametrize("way", [("delayed", "queue"), ("queue", "delayed")])
async def test_what_moves_between_its_queue_and_its_delay_while_one_looks_is_seen(
    way: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time has come; or it was tried, failed, and waits again."""
    broker = RabbitBroker(["amqp://localhost"])
    place = way[0]

    async def look(queue: str) -> Standing:
        return Standing(int(_moved() == "queue"), 0)

    async def delayed() -> int:
        return int(_moved() == "delayed")

    def _moved() -> str:
        nonlocal place
        was, place = place, way[1]
        return was

    monkeypatch.setattr(broker, "look", look)
    monkeypatch.setattr(broker, "delayed", delayed)
    assert not await broker.empty(["jl.adt.lis"])
