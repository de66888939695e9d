"""One process at a time takes from what cannot be taken from twice: on both brokers."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from amqp_proxy import way_through
from broker_parts import Site

from config.errors import JingluoError
from router.brokers.rabbitmq import RabbitBroker
from router.turns import TurnQueue, turn_queue


@pytest.fixture
def name(site: Site) -> str:
    made = f"test-{uuid.uuid4().hex[:8]}"
    site.owns(turn_queue(made))
    return made


async def has(turn: TurnQueue) -> TurnQueue:
    async with asyncio.timeout(20):
        await turn.wait()
    return turn


async def test_the_second_waits_for_the_first_and_finds_what_it_kept(site: Site, name: str) -> None:
    broker = await site.broker()
    first, second = TurnQueue(broker, name), TurnQueue(broker, name)
    await first.start()
    assert (await has(first)).value == ""
    await second.start()
    for number in range(5):
        await first.keep(f"v{number}")
    assert first.value == "v4"
    assert not second.held
    await first.stop()
    assert not first.held
    assert (await has(second)).value == "v4"
    await second.stop()


async def test_of_what_is_kept_at_once_the_last_stays(site: Site, name: str) -> None:
    broker = await site.broker()
    turn = TurnQueue(broker, name)
    await turn.start()
    await has(turn)
    await asyncio.gather(*(turn.keep(str(number)) for number in range(10)), turn._renew())
    assert turn.value == "9"
    await turn.stop()


async def test_who_has_not_the_turn_keeps_nothing(site: Site, name: str) -> None:
    broker = await site.broker()
    first, second = TurnQueue(broker, name), TurnQueue(broker, name)
    await first.start()
    await has(first)
    await second.start()
    with pytest.raises(JingluoError, match="JL-B001"):
        await second.keep("mine")
    assert first.value == ""
    await first.stop()
    await second.stop()


async def test_what_was_kept_outlives_a_restart(site: Site, name: str) -> None:
    broker = await site.broker()
    turn = TurnQueue(broker, name)
    await turn.start()
    await (await has(turn)).keep("100")
    await site.stop(broker)
    again = TurnQueue(await site.broker(), name)
    await again.start()
    assert (await has(again)).value == "100"
    await again.stop()
    await turn.stop()


@pytest.mark.rabbitmq
async def test_who_is_cut_off_loses_the_turn_and_may_have_it_again(amqp_url: str) -> None:
    url, proxy = await way_through(amqp_url)
    name = f"test-{uuid.uuid4().hex[:8]}"
    cut, whole = RabbitBroker([url], prefix="test"), RabbitBroker([amqp_url], prefix="test")
    first, second = TurnQueue(cut, name), TurnQueue(whole, name)
    await cut.start()
    await whole.start()
    await first.start()
    await (await has(first)).keep("7")
    await second.start()
    proxy.cut()
    assert (await has(second)).value == "7"
    assert not first.held
    with pytest.raises(JingluoError, match="JL-B001"):
        await first.keep("8")
    await second.keep("9")
    await second.stop()
    assert (await has(first)).value == "9"
    await first.stop()
    await whole.delete([turn_queue(name)])
    await cut.stop()
    await whole.stop()
    await proxy.stop()
