"""`collect`: messages become one of another channel, by key, count or time; on both brokers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from collecting_parts import came, charge, post, site, until, until_came
from engine_parts import running, settled, write_site

from router import collector
from router.board import Decided, Mode
from router.engine import Engine
from router.replay import Replayer, ReplayRequest
from router.search import Query

WITHIN = "{by: $.visit, within: 2s}"


async def say(engine: Engine, state: Any) -> None:
    await engine.board.say(Mode("adt", "lis", state, 0))


async def test_so_many_messages_become_one_and_the_journal_knows_which(tmp_path: Path, broker: str) -> None:
    async with running(site(tmp_path, "{count: 3}"), broker=broker) as engine:
        await post(engine, *map(charge, range(7)))
        await until_came(tmp_path, [0, 1, 2], [3, 4, 5])
        await settled(engine, "sent", 8)
        assert await engine.journal.caught_up()
        whole = engine.store.search(Query(channel="orders")).found
        items = engine.store.search(Query(channel="adt", state="sent")).found
        waiting = engine.store.search(Query(channel="adt", state="waiting")).found
        assert (len(whole), len(items), len(waiting)) == (2, 6, 1)
        story = engine.store.show(whole[-1].id)
        assert story.headers["collect.messages"].split() == [one.id for one in items[:2:-1]]
        assert [d.reason for one in items[:2:-1] for d in one.deliveries] == [
            f"{place} of 3 in {whole[-1].id}" for place in (1, 2, 3)
        ]


async def test_messages_of_one_key_go_together_after_their_time_also_over_a_restart(
    tmp_path: Path, broker: str
) -> None:
    place = site(tmp_path, WITHIN)
    async with running(place, broker=broker) as engine:
        await post(engine, charge(0, "A"), charge(1, "B"), charge(2, "A"))
    async with running(place, broker=broker) as engine:
        await until_came(tmp_path, [0, 2], [1])
        await post(engine, charge(3, "A"))
        await until_came(tmp_path, [0, 2], [1], [3])
        await settled(engine)


async def test_a_group_waits_through_many_rounds_and_nothing_is_held_for_long(
    tmp_path: Path, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "HELD_S", 0.3)
    async with running(site(tmp_path, "{count: 5, by: $.visit}"), broker=broker) as engine:
        for number in range(4):
            await post(engine, charge(number, "A"), charge(10 + number, "B"))
            await asyncio.sleep(0.25)
        assert came(tmp_path) == []
        await post(engine, charge(4, "A"), charge(14, "B"))
        await until_came(tmp_path, [0, 1, 2, 3, 4], [10, 11, 12, 13, 14])
        await settled(engine)


async def test_a_bad_one_is_a_dead_letter_by_itself(tmp_path: Path, broker: str) -> None:
    place = site(tmp_path, "{by: $.visit, count: 3}", branch=", validate: charge.json")
    (place / "schemas").mkdir()
    (place / "schemas" / "charge.json").write_text('{"properties": {"number": {"type": "integer"}}}')
    async with running(place, broker=broker) as engine:
        await post(engine, charge(0), {"number": 7}, {"visit": "V1", "number": "x"}, charge(1), charge(2))
        await until_came(tmp_path, [0, 1, 2])
        await settled(engine)
        dead = engine.store.search(Query(channel="adt", state="dead")).found
        assert sorted(d.code for one in dead for d in one.deliveries) == ["JL-M092", "JL-V005"]


async def test_what_the_other_channel_refuses_is_dead_message_by_message_and_a_replay_gathers_it_anew(
    tmp_path: Path, broker: str
) -> None:
    place = site(tmp_path, "{by: $.visit, count: 2}", back="validate: upload.json\n")
    (place / "schemas").mkdir()
    schema = place / "schemas" / "upload.json"
    schema.write_text('{"maxItems": 1}')
    async with running(place, broker=broker) as engine:
        await post(engine, charge(0), charge(1))
        await settled(engine, "dead", 2)
        assert came(tmp_path) == []
        (cause,) = engine.store.dead().groups
        assert (cause.count, cause.code) == (2, "JL-V002")
        schema.write_text("{}")
        assert (await engine.reload.apply()).applied
        dead = engine.store.search(Query(channel="adt", state="dead")).found
        replayer = Replayer(engine.store, engine.resend, lambda: dead[0].received_ms + 60_000)
        done = await replayer.replay(ReplayRequest(ids=tuple(one.id for one in reversed(dead))))
        assert done.failures == []
        await until_came(tmp_path, [0, 1])


async def test_a_group_that_is_given_up_holds_until_an_operator_decides(tmp_path: Path, broker: str) -> None:
    hold = ", retry: {then: hold}"
    place = site(tmp_path, "{by: $.visit, count: 2}", branch=hold, back="validate: upload.json\n")
    (place / "schemas").mkdir()
    schema = place / "schemas" / "upload.json"
    schema.write_text('{"items": {"properties": {"visit": {"enum": ["B"]}}}}')
    async with running(place, broker=broker) as engine:
        await post(engine, charge(0, "A"), charge(1, "A"), charge(2, "B"), charge(3, "B"))
        await until(lambda: engine.board.held)
        ((queue, held),) = engine.board.held.items()
        assert (held.code, came(tmp_path)) == ("JL-V006", []), "nothing overtakes"
        await engine.board.say(Decided(queue, held.id, False, held.at_ms + 1))
        await until(lambda: engine.board.held)
        await engine.board.say(Decided(queue, held.id, True, held.at_ms + 2))
        await until_came(tmp_path, [2, 3])
        await settled(engine)
        dead = engine.store.search(Query(channel="adt", state="dead")).found
        assert [one.index["visit"] for one in dead] == ["A", "A"]


async def test_a_pause_holds_it_and_a_drain_sends_what_there_is(tmp_path: Path, broker: str) -> None:
    async with running(site(tmp_path, "{count: 100}"), broker=broker) as engine:
        await say(engine, "paused")
        await post(engine, charge(0), charge(1))
        await say(engine, "running")
        await asyncio.sleep(0.3)
        assert came(tmp_path) == []
        await say(engine, "draining")
        await until_came(tmp_path, [0, 1])
        await settled(engine)


async def test_a_destination_that_goes_sends_first_what_there_is(tmp_path: Path, broker: str) -> None:
    place = site(tmp_path, "{count: 100}")
    async with running(place, broker=broker) as engine:
        await post(engine, charge(0), charge(1))
        await until(lambda: engine.outlets[0].known == 2)
        text = (place / "channels" / "adt.yaml").read_text()
        (place / "channels" / "adt.yaml").write_text(text.partition("to:")[0])
        assert not (await engine.reload.apply()).applied
        assert (await engine.reload.apply(drain=True)).applied
        await until_came(tmp_path, [0, 1])
        await until(lambda: ("adt", "lis") not in {outlet.way for outlet in engine.outlets})


async def test_a_destination_that_begins_to_collect_delivers_first_what_waited_before(
    tmp_path: Path, broker: str
) -> None:
    ordered = "order: {by: $.visit, lanes: 2}\n"
    place = site(tmp_path, "{count: 2}", more=ordered)
    text = (place / "channels" / "adt.yaml").read_text()
    back = (place / "channels" / "orders.yaml").read_text()
    plain = text.replace("collect: {count: 2}, ", "")
    write_site(tmp_path, {"adt": plain, "orders": back})
    async with running(place, broker=broker) as engine:
        await say(engine, "paused")
        await post(engine, charge(0, "A"), charge(1, "B"), charge(2, "A"))
    (place / "channels" / "adt.yaml").write_text(text)
    async with running(place, broker=broker) as engine:
        await post(engine, charge(3, "A"), charge(4, "A"))
        await say(engine, "running")
        await settled(engine)
        got = came(tmp_path)
        assert sorted(number for group in got for number in group) == [0, 1, 2, 3, 4]
        assert [3, 4] in got, "what comes into the new queue is gathered by itself"


async def test_what_waits_for_its_group_is_not_missing(tmp_path: Path, broker: str) -> None:
    async with running(site(tmp_path, "{count: 9}"), broker=broker) as engine:
        await post(engine, charge(0), charge(1))
        await missing_nothing(engine, 2)


@pytest.mark.rabbitmq
async def test_nor_is_it_where_another_process_has_it_in_hand(tmp_path: Path, amqp_vhost: str) -> None:
    place = site(tmp_path, "{count: 9}")
    async with (
        running(place, broker=amqp_vhost, roles="intake,journal", var=str(tmp_path / "front")) as front,
        running(place, broker=amqp_vhost, roles="delivery", var=str(tmp_path / "back")) as back,
    ):
        await post(front, charge(0), charge(1))
        await until(lambda: back.outlets[0].known == 2)
        await missing_nothing(front, 40)


async def missing_nothing(engine: Engine, looks: int) -> None:
    engine.conservation.settle_ms = -60_000
    for _ in range(looks):
        assert await engine.journal.caught_up()
        await engine.conservation.look()
        assert engine.conservation.missing == ()
